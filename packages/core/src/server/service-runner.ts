import type { Service, ServiceContext } from "../services/service.ts";
import type { ServiceHandle } from "../services/service-handle.ts";
import { whenAborted } from "../services/when-aborted.ts";

/** How often a service that waits for others says so. */
const reminderIntervalMs = 10_000;

/** Starts and stops services in the order of their dependencies. */
export class ServiceRunner {
  readonly #handles: readonly ServiceHandle[];
  readonly #context: Omit<ServiceContext, "shutdown">;
  readonly #shutdowns = new Map<ServiceHandle, AbortController>();
  readonly #starts = new Map<ServiceHandle, Promise<void>>();
  readonly #unfinished = new Set<ServiceHandle>();
  #stopping = false;

  /** @param handles In start order: dependencies first. */
  constructor(handles: readonly ServiceHandle[], context: Omit<ServiceContext, "shutdown">) {
    this.#handles = handles;
    this.#context = context;
  }

  /** The services that were told to stop and have not. */
  get unfinished(): readonly string[] {
    return Array.from(this.#unfinished, ({ name }) => name);
  }

  /** Resolves when all are ready; rejects with the first failure (`SVC-04`). */
  async start(): Promise<void> {
    const ready = new Map<ServiceHandle, Promise<void>>();
    for (const handle of this.#handles) ready.set(handle, this.#startOne(handle, ready));
    await Promise.all(ready.values());
  }

  /** Stops each service once those that depend on it have stopped. When `force` aborts, stops all that are left at once. */
  async stop(force: AbortSignal): Promise<void> {
    this.#stopping = true;
    const stopped = new Map<ServiceHandle, Promise<void>>();
    for (const handle of this.#handles.toReversed()) {
      const dependents = [...stopped].filter(([other]) => other.dependencies.has(handle)).map(([, done]) => done);
      stopped.set(handle, this.#stopOne(handle, dependents, force));
    }
    await Promise.all(stopped.values());
  }

  async #startOne(handle: ServiceHandle, ready: ReadonlyMap<ServiceHandle, Promise<void>>): Promise<void> {
    if (handle.dependencies.size > 0) await this.#waitForDependencies(handle, ready);
    if (this.#stopping) return;
    const { logger } = this.#context;
    const shutdown = new AbortController();
    this.#shutdowns.set(handle, shutdown);
    const context = { ...this.#context, logger: logger.child({ service: handle.name }), shutdown: shutdown.signal };
    const started = startService(handle.service, context);
    this.#starts.set(handle, started);
    await started;
    logger.debug({ service: handle.name }, "the service is ready");
  }

  async #waitForDependencies(handle: ServiceHandle, ready: ReadonlyMap<ServiceHandle, Promise<void>>): Promise<void> {
    const { logger } = this.#context;
    const { name, dependencies, service } = handle;
    const begin = performance.now();
    const waiting = new Set(dependencies);
    const waitFor = async (other: ServiceHandle): Promise<void> => {
      await ready.get(other);
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

  async #stopOne(handle: ServiceHandle, dependents: readonly Promise<void>[], force: AbortSignal): Promise<void> {
    const forced = whenAborted(force);
    await Promise.race([Promise.all(dependents), forced]);
    const start = this.#starts.get(handle);
    if (!start) return;
    this.#unfinished.add(handle);
    this.#shutdowns.get(handle)?.abort();
    await Promise.race([start.catch(() => {}), forced]);
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
