import { type BackgroundTask, createLogger, type Logger, type ServiceContext } from "@cirque/core";
import type { Backend } from "./backend.ts";
import { type BackendSet, Backends } from "./backends.ts";
import type { BackendsSnapshot } from "./backends-snapshot.ts";
import { StaticDiscovery } from "./discovery/static-discovery.ts";
import { checkedDurationMs } from "./duration.ts";
import type { HealthCheck } from "./health/health-check.ts";
import type { BackendSelection, SelectionBuilder, SelectionKey } from "./selection/backend-selection.ts";
import { RoundRobin } from "./selection/round-robin.ts";
import { uniqueCandidates } from "./selection/unique-candidates.ts";

/** Settings of a {@link LoadBalancer}. */
export interface LoadBalancerOptions {
  /** How a backend is chosen: `RoundRobin`, or a builder of your own. Default: `RoundRobin`. */
  readonly selection?: SelectionBuilder;
  /**
   * What is done when no backend is ready: `false` selects none, `true` one that is enabled, ill or not. Default:
   * `false`.
   */
  readonly failOpen?: boolean;
  /** Where changes of health and failed updates are logged. Default: the log of the server that runs it. */
  readonly logger?: Logger;
}

/**
 * A set of backends, the health of each, and the choice of one for each request (`LB-05`).
 *
 * As a background service (`LB-09`) it keeps the set and the health up to date; without one, call `update` and
 * `runHealthCheck`.
 *
 * @example
 * const upstreams = LoadBalancer.from(["10.0.0.1:80", "10.0.0.2:80"], { selection: RoundRobin });
 * upstreams.healthCheck = new TcpHealthCheck();
 * upstreams.healthCheckFrequencyMs = 1_000;
 * server.addService(backgroundService("health check", upstreams));
 */
export class LoadBalancer<Ext = unknown> implements BackgroundTask {
  /**
   * A balancer over a fixed set, which can be used at once (`LB-04`).
   *
   * @param backends Addresses (of weight 1) or backends. Of several with one address the last one counts.
   * @throws CirqueError `InvalidArgument` when an address is malformed.
   */
  static from<Ext = unknown>(
    backends: Iterable<string | Backend<Ext>>,
    options: LoadBalancerOptions = {},
  ): LoadBalancer<Ext> {
    const discovery = new StaticDiscovery<Ext>(backends);
    const set = new Backends<Ext>(discovery);
    set.replace(discovery.discover());
    return new LoadBalancer<Ext>(set, options);
  }

  /** The set, and the health of each. */
  readonly backends: Backends<Ext>;
  /** Whether backends are checked at the same time, or one after another (`LB-08`). Default: `true`. */
  parallelHealthCheck = true;
  /** What is done when no backend is ready: `false` selects none, `true` one that is enabled, ill or not. */
  failOpen: boolean;
  readonly #builder: SelectionBuilder;
  #updateFrequencyMs: number | undefined;
  #healthCheckFrequencyMs: number | undefined;
  #rotation: Rotation<Ext>;
  /** The set that the rotation was last built for, or could not be built for. */
  #followed: BackendSet<Ext>;

  /** A balancer over backends with a discovery of their own, which starts with what they hold. */
  constructor(backends: Backends<Ext>, options: LoadBalancerOptions = {}) {
    this.backends = backends;
    this.failOpen = options.failOpen ?? false;
    if (options.logger) this.backends.logger = options.logger;
    this.#builder = options.selection ?? RoundRobin;
    this.#followed = backends.current;
    this.#rotation = this.#build(this.#followed);
  }

  /** How health is found out. Default: not at all, and all are healthy. */
  get healthCheck(): HealthCheck<Ext> | undefined {
    return this.backends.healthCheck;
  }

  set healthCheck(healthCheck: HealthCheck<Ext> | undefined) {
    this.backends.healthCheck = healthCheck;
  }

  /**
   * The pause between two rounds of health checks, in milliseconds (`LB-07`). Default: none, one round at the start.
   */
  get healthCheckFrequencyMs(): number | undefined {
    return this.#healthCheckFrequencyMs;
  }

  /** @throws CirqueError `InvalidArgument` when it is not above 0. */
  set healthCheckFrequencyMs(value: number | undefined) {
    this.#healthCheckFrequencyMs = value === undefined ? value : checkedDurationMs("healthCheckFrequencyMs", value);
  }

  /** The pause between two discoveries, in milliseconds (`LB-06`). Default: none, one discovery at the start. */
  get updateFrequencyMs(): number | undefined {
    return this.#updateFrequencyMs;
  }

  /** @throws CirqueError `InvalidArgument` when it is not above 0. */
  set updateFrequencyMs(value: number | undefined) {
    this.#updateFrequencyMs = value === undefined ? value : checkedDurationMs("updateFrequencyMs", value);
  }

  /**
   * The first ready backend in the order that the selection has for `key` (`LB-14`), or `undefined` when there is none.
   * Costs no allocation when the first one is ready.
   *
   * @param key What the request is told apart by; `RoundRobin` takes no notice of it.
   * @param maxIterations How many candidates are looked at, repeated ones included. Default: 256, or as many as there
   *   are backends if that is more.
   */
  select(key?: SelectionKey, maxIterations?: number): Backend<Ext> | undefined {
    if (this.backends.current !== this.#followed) this.#follow();
    if (maxIterations !== undefined && !(maxIterations >= 1)) return undefined;
    const { backends, health, selection } = this.#rotation;
    const first = selection.first(key);
    if (first < 0) return undefined;
    if (health[first]?.ready) return backends[first];
    return this.#fallOver(key, maxIterations, first);
  }

  /**
   * The first backend in the order of the selection that `accept` says yes to (`LB-15`): to try a backend that is ill
   * rather than none, or to leave out those that failed this request already.
   *
   * @param accept Gets each candidate once, and whether it is healthy and enabled.
   */
  selectWith(
    key: SelectionKey | undefined,
    maxIterations: number,
    accept: (backend: Backend<Ext>, ready: boolean) => boolean,
  ): Backend<Ext> | undefined {
    if (this.backends.current !== this.#followed) this.#follow();
    const { backends, health, selection } = this.#rotation;
    for (const candidate of uniqueCandidates(selection, key, maxIterations)) {
      const backend = backends[candidate];
      if (backend && accept(backend, health[candidate]?.ready ?? false)) return backend;
    }
    return undefined;
  }

  /**
   * Asks the discovery, and selects from what it found from then on. The selection is only rebuilt when the set changed
   * (`LB-10`).
   *
   * @throws CirqueError `InternalError` when that failed; the set in use stays.
   */
  async update(signal?: AbortSignal): Promise<void> {
    await this.backends.update(signal);
    if (this.backends.current !== this.#followed) this.#follow();
  }

  /** Checks every backend once. Does nothing when there is no health check. */
  async runHealthCheck(signal?: AbortSignal): Promise<void> {
    await this.backends.runHealthCheck({ parallel: this.parallelHealthCheck, ...(signal && { signal }) });
  }

  /**
   * What the background service runs: the first discovery, then it is ready, then discoveries and health checks at
   * their frequencies, neither waiting for the other. Ends at once when `shutdown` aborts, and when neither has a
   * frequency.
   */
  async startWithReadyNotifier(
    shutdown: AbortSignal,
    notifyReady: () => void,
    context?: Pick<ServiceContext, "logger"> & Partial<Pick<ServiceContext, "thread">>,
  ): Promise<void> {
    this.backends.logger ??= context?.logger ?? createLogger();
    if (context?.thread && context.thread.dataThreads > 1) this.#publish(context.thread, shutdown);
    const discovered = await this.#updateOrLog(shutdown);
    if (shutdown.aborted) return;
    notifyReady();
    await Promise.all([this.#keepUpdated(discovered, shutdown), this.#keepChecked(shutdown)]);
  }

  /** What the background service does in data threads: it takes over what the main thread finds out. */
  follow(_shutdown: AbortSignal, { thread }: Pick<ServiceContext, "thread">): void {
    // Only the balancer of the same name publishes there.
    thread.onPublished((snapshot) => this.backends.adopt(snapshot as BackendsSnapshot));
  }

  /** Tells the data threads of changes: those of one moment together. */
  #publish(thread: ServiceContext["thread"], shutdown: AbortSignal): void {
    let waiting = false;
    const publish = (): void => {
      waiting = false;
      thread.publish(this.backends.snapshot());
    };
    const stop = this.backends.onChange(() => {
      if (waiting) return;
      waiting = true;
      queueMicrotask(publish);
    });
    shutdown.addEventListener("abort", stop, { once: true });
    publish();
  }

  async #keepUpdated(discovered: boolean, shutdown: AbortSignal): Promise<void> {
    let succeeded = discovered;
    for (;;) {
      // Without a frequency one success is enough, but a balancer that never had one would stay empty for ever.
      const pauseMs = this.#updateFrequencyMs ?? (succeeded ? undefined : firstDiscoveryRetryMs);
      if (pauseMs === undefined || !(await pause(pauseMs, shutdown))) return;
      succeeded = (await this.#updateOrLog(shutdown)) || succeeded;
    }
  }

  async #keepChecked(shutdown: AbortSignal): Promise<void> {
    do {
      await this.runHealthCheck(shutdown);
    } while (this.#healthCheckFrequencyMs !== undefined && (await pause(this.#healthCheckFrequencyMs, shutdown)));
  }

  async #updateOrLog(shutdown: AbortSignal): Promise<boolean> {
    try {
      await this.update(shutdown);
      return true;
    } catch (error) {
      if (!shutdown.aborted) this.backends.logger?.error({ err: error }, "the discovery of backends failed");
      return false;
    }
  }

  #fallOver(key: SelectionKey | undefined, maxIterations: number | undefined, first: number): Backend<Ext> | undefined {
    const { backends, health, selection } = this.#rotation;
    const enabledIsEnough = this.failOpen && !health.some(({ ready }) => ready);
    if (enabledIsEnough && health[first]?.enabled) return backends[first];
    let left = (maxIterations ?? Math.max(defaultIterations, backends.length)) - 1;
    if (left < 1) return undefined;
    // A repeated candidate is as little fit as it was the first time, so there is no need to keep account of them.
    for (const candidate of selection.others(key, first)) {
      const state = health[candidate];
      if (state?.ready || (enabledIsEnough && state?.enabled)) return backends[candidate];
      left -= 1;
      if (left < 1) break;
    }
    return undefined;
  }

  #follow(): void {
    // Set first: a builder that throws is not asked again for the same set, and the selection in use stays.
    this.#followed = this.backends.current;
    this.#rotation = this.#build(this.#followed, this.#rotation.selection);
  }

  #build({ backends, health }: BackendSet<Ext>, previous?: BackendSelection): Rotation<Ext> {
    return { backends, health, selection: this.#builder.build(backends, previous) };
  }
}

/** What a selection reads, exchanged as a whole when the set changes, so that positions always fit the list. */
interface Rotation<Ext> extends BackendSet<Ext> {
  readonly selection: BackendSelection;
}

const defaultIterations = 256;
const firstDiscoveryRetryMs = 1_000;

/** Resolves with `true` when the time passed, or with `false` as soon as `shutdown` aborts. */
function pause(durationMs: number, shutdown: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const end = (passed: boolean): void => {
      clearTimeout(timer);
      shutdown.removeEventListener("abort", onAbort);
      resolve(passed);
    };
    const onAbort = (): void => end(false);
    const timer = setTimeout(end, durationMs, true);
    if (shutdown.aborted) end(false);
    else shutdown.addEventListener("abort", onAbort);
  });
}
