/** What kind of address a socket is bound to. */
export type SocketKind = "tcp" | "unix" | "udp";

/** A socket that is bound, and that the next process can inherit (`UPG-01`). */
export interface ListeningSocket {
  readonly kind: SocketKind;
  /** As it was configured, which is the key under which the next process looks it up (`UPG-02`). */
  readonly address: string;
  /** Where it is bound: the same, but with the port that the system chose. */
  readonly boundAddress: string;
  readonly descriptor: number;
}

/** The listening sockets of one thread: inherited ones to take, own ones to pass on. */
export interface ListeningSockets {
  /**
   * The descriptors that this thread has inherited for an address, to be bound with `listen({ fd })`; empty when it has
   * to bind the address itself. They are given out once.
   */
  take(kind: SocketKind, address: string): readonly number[];
  /**
   * The address to bind when nothing was inherited: the same, but where the configured port is 0, the port that all
   * threads share.
   */
  resolve(kind: SocketKind, address: string): string;
  /** Whether other sockets listen at the address as well, those of other threads, so that binding needs `reusePort`. */
  readonly shared: boolean;
  /** Says that this thread listens. The function returned says that it has stopped. */
  offer(socket: ListeningSocket): () => void;
}
