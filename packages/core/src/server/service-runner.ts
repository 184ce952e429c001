import type { Service, ServiceContext } from "../services/service.ts";
import type { ServiceHandle } from "../services/service-handle.ts";
import { whenAborted } from "../services/when-aborted.ts";
import type { ThreadContext } from "../threads/thread-context.ts";

/** How often a service that waits for others says so. */
const reminderIntervalMs = 10_000;

/** The services that run in other threads, as far as those of this thread depend on them, and they on these. */
export interface OtherThreads {
  /** Whether the service runs in this thread. */
  isHere(handle: ServiceHandle): boolean;
  /** Rejects when it failed to start. */
  whenReady(handle: ServiceHandle): Promise<void>;
  whenStopped(handle: ServiceHandle): Promise<void>;
  tellReady(handle: ServiceHandle): void;
  tellStopped(handle: ServiceHandle): void;
}

/** With one thread, everything runs here. */
export const noOtherThreads: OtherThreads = {
  isHere: () => true,
  whenReady: () => Promise.resolve(),
  whenStopped: () => Promise.resolve(),
  tellReady() {},
  tellStopped() {},
};

/** What a runner gives to services, each with a logger and a thread of its own. */
export interface RunnerContext extends Omit<ServiceContext, "shutdown" | "thread"> {
  threadFor(handle: ServiceHandle): ThreadContext;
  /** The service has stopped: what its thread context holds can go. */
  forget(handle: ServiceHandle): void;
}

/** Starts and stops services in the order of their dependencies. */
export class ServiceRunner {
  readonly #context: RunnerContext;
  readonly #others: OtherThreads;
  readonly #handles = new Set<ServiceHandle>();
  readonly #ready = new Map<ServiceHandle, Promise<void>>();
  readonly #stopped = new Map<ServiceHandle, Promise<void>>();
  readonly #shutdowns = new Map<ServiceHandle, AbortController>();
  readonly #starts = new Map<ServiceHandle, Promise<void>>();
  readonly #unfinished = new Set<ServiceHandle>();
  #stopping = false;

  constructor(context: RunnerContext, others: OtherThreads = noOtherThreads) {
    this.#context = context;
    this.#others = others;
  }

  /** The services that were told to stop and have not. */
  get unfinished(): readonly string[] {
    return Array.from(this.#unfinished, ({ name }) => name);
  }

  /** The services that run in this thread, or are about to. */
  get local(): readonly Service[] {
    return Array.from(this.#handles).flatMap((handle) => (this.#others.isHere(handle) ? [handle.service] : []));
  }

  /**
   * Resolves when all are ready; rejects with the first failure (`SVC-04`).
   *
   * @param handles In start order: dependencies first.
   */
  async start(handles: readonly ServiceHandle[]): Promise<void> {
    for (const handle of handles) {
      this.#handles.add(handle);
      this.#ready.set(handle, this.#others.isHere(handle) ? this.#startOne(handle) : this.#others.whenReady(handle));
    }
    await Promise.all(handles.flatMap((handle) => this.#ready.get(handle) ?? []));
  }

  /** Stops each service once those that depend on it have stopped. When `force` aborts, stops all that are left at once. */
  async stop(force: AbortSignal): Promise<void> {
    this.#stopping = true;
    const here = Array.from(this.#handles)
      .reverse()
      .filter((handle) => this.#others.isHere(handle));
    await Promise.all(here.map((handle) => this.stopService(handle, force)));
  }

  /** Stops one service, likewise. */
  async stopService(handle: ServiceHandle, force: AbortSignal): Promise<void> {
    if (!this.#others.isHere(handle)) return this.#others.whenStopped(handle);
    const stopped = this.#stopped.get(handle) ?? this.#stopOne(handle, force);
    this.#stopped.set(handle, stopped);
    await stopped;
  }

  async #startOne(handle: ServiceHandle): Promise<void> {
    if (handle.dependencies.size > 0) await this.#waitForDependencies(handle);
    if (this.#stopping) return;
    const { threadFor, forget: _, ...shared } = this.#context;
    const shutdown = new AbortController();
    this.#shutdowns.set(handle, shutdown);
    const context: ServiceContext = {
      ...shared,
      logger: shared.logger.child({ service: handle.name }),
      thread: threadFor(handle),
      shutdown: shutdown.signal,
    };
    const started = startService(handle.service, context);
    this.#starts.set(handle, started);
    await started;
    shared.logger.debug({ service: handle.name }, "the service is ready");
    this.#others.tellReady(handle);
  }

  async #waitForDependencies(handle: ServiceHandle): Promise<void> {
    const { logger } = this.#context;
    const { name, dependencies, service } = handle;
    const begin = performance.now();
    const waiting = new Set(dependencies);
    const waitFor = async (other: ServiceHandle): Promise<void> => {
      await this.#ready.get(other);
      waiting.delete(other);
    };
    const reminder = setInterval(() => {
      const waitsFor = Array.from(waiting, (dependency) => dependency.name);
      logger.warn({ service: name, waitsFor }, "the service still waits for others to become ready");
    }, reminderIntervalMs);
    try {
      await Promise.all(Array.from(dependencies, waitFor));
    } finally {
      clearInterval(reminder);
    }
    const waitedMs = Math.round(performance.now() - begin);
    if (service.onStartupDelay) service.onStartupDelay(waitedMs);
    else logger.info({ service: name, waitedMs }, "the services that this one depends on are ready");
  }

  async #stopOne(handle: ServiceHandle, force: AbortSignal): Promise<void> {
    const forced = whenAborted(force);
    const dependents = Array.from(this.#handles).filter(({ dependencies }) => dependencies.has(handle));
    await Promise.race([Promise.all(dependents.map((dependent) => this.stopService(dependent, force))), forced]);
    const start = this.#starts.get(handle);
    if (start) await this.#end(handle, start, force);
    this.#handles.delete(handle);
    this.#ready.delete(handle);
    this.#context.forget(handle);
    this.#others.tellStopped(handle);
  }

  async #end(handle: ServiceHandle, start: Promise<void>, force: AbortSignal): Promise<void> {
    this.#unfinished.add(handle);
    this.#shutdowns.get(handle)?.abort();
    await Promise.race([start.catch(() => {}), whenAborted(force)]);
    try {
      await handle.service.stop(force);
    } catch (error) {
      this.#context.logger.error({ err: error, service: handle.name }, "the service failed to stop");
    }
    this.#unfinished.delete(handle);
  }
}

/** Also what `start` throws before it returns a promise becomes a rejection. */
async function startService(service: Service, context: ServiceContext): Promise<void> {
  await service.start(context);
}
