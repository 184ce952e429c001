import type { ListeningSockets } from "./listening-sockets.ts";

/** The thread that a service runs in, and what it has in common with the other threads of its server. */
export interface ThreadContext {
  /** 0 for the main thread, else the number of the data thread. */
  readonly index: number;
  /** How many threads serve traffic: 1 when the main thread does it alone. */
  readonly dataThreads: number;
  /** Sockets that were inherited from the process before this one, and those that the next one will inherit. */
  readonly sockets: ListeningSockets;
  /**
   * Tells the same service in all other threads. The last value is kept, and told to threads that start later. Only what
   * `structuredClone` can copy. From a data thread it reaches the main thread only, and is not kept.
   */
  publish(value: unknown): void;
  /** Calls back with what the same service publishes in another thread, first with the last value if there is one. */
  onPublished(listener: (value: unknown) => void): void;
}
