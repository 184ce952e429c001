import type { ServerConfiguration } from "../configuration/server-configuration.ts";
import type { Endpoint } from "../listeners/endpoint.ts";
import type { Logger } from "../observability/logger.ts";
import type { MetricsRegistry } from "../observability/metrics-registry.ts";
import type { ThreadContext } from "../threads/thread-context.ts";

/** What a service is given when it starts. */
export interface ServiceContext {
  /** Adds the name of the service to each record. */
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  readonly configuration: ServerConfiguration;
  readonly thread: ThreadContext;
  /** Aborts when this service is told to stop, gracefully or at once, and also while it is still starting (`SVC-07`). */
  readonly shutdown: AbortSignal;
}

/** What applies new settings, if there is anything to apply. */
export type ReloadAnswer = (() => void) | undefined;

/** Where a service runs when the server has several threads. */
export type ServicePlacement = "main" | "data";

/** A part of a server with a life of its own (`SVC-01`): a listening service, a background task. */
export interface Service {
  readonly name: string;
  /**
   * Where it runs when the server has several threads (`threads`): once, in the main thread, or in each data thread.
   * Default: `"main"`.
   */
  readonly placement?: ServicePlacement;
  /** In how many of the data threads it runs, if its placement is `"data"` (`SVC-01`). Default: in all. */
  readonly threads?: number | undefined;
  /**
   * Resolves when the service is ready: those that depend on it start then (`SVC-02`). A rejection makes the start of
   * the whole server fail. It has to settle soon after `context.shutdown` aborts.
   */
  start(context: ServiceContext): Promise<void>;
  /**
   * Stops gracefully: takes nothing new on, and resolves when nothing is left. When `force` aborts, drops what is left
   * at once and resolves. `force` may be aborted from the beginning. Only called after `start` was.
   */
  stop(force: AbortSignal): Promise<void>;
  /** Where it listens. */
  endpoints?(): readonly Endpoint[];
  /**
   * Called in the main thread in place of `start` when the service runs in data threads: makes sure that they will be
   * able to listen. The function returned is called when they do.
   */
  reserve?(context: ServiceContext): Promise<() => void>;
  /**
   * Called in data threads in place of `start` when the service runs in the main thread: it can listen there to what its
   * like in the main thread publishes.
   */
  follow?(context: ServiceContext): Promise<void>;
  /**
   * Looks at new settings (a reload). What it returns applies them, and is called when nobody has refused them. Throws,
   * or rejects, to refuse: then nothing changes anywhere.
   */
  reload?(configuration: ServerConfiguration): ReloadAnswer | Promise<ReloadAnswer>;
  /** Called before `start` when the service had to wait for others. Default: it is logged. */
  onStartupDelay?(waitedMs: number): void;
}
