import { CirqueError, type Logger } from "@cirque/core";
import { Backend } from "./backend.ts";
import { type BackendsSnapshot, backendsOf, takeSnapshot } from "./backends-snapshot.ts";
import { withDeadline } from "./deadline.ts";
import type { Discovered, ServiceDiscovery } from "./discovery/service-discovery.ts";
import { checkedDurationMs } from "./duration.ts";
import { BackendHealth } from "./health/backend-health.ts";
import type { HealthCheck } from "./health/health-check.ts";
import { type HealthCheckResult, type HealthCheckRun, runHealthChecks } from "./health/health-check-run.ts";

/** The backends at one moment, and the health of each, by position. A change of the set makes a new one. */
export interface BackendSet<Ext = unknown> {
  readonly backends: readonly Backend<Ext>[];
  readonly health: readonly BackendHealth[];
}

/**
 * A set of backends, kept up by a discovery, and what is known of their health (`LB-02`).
 *
 * Health belongs to the address: a backend that stays in the set, or gets another weight, keeps it (`LB-11`). One that
 * leaves and comes back starts as healthy.
 */
export class Backends<Ext = unknown> {
  /** Where changes of health are logged. Default: nowhere. */
  logger: Logger | undefined;
  readonly #discovery: ServiceDiscovery<Ext>;
  readonly #discoveryTimeoutMs: number;
  #healthCheck: HealthCheck<Ext> | undefined;
  #set: BackendSet<Ext> = { backends: [], health: [] };
  #healthOf: ReadonlyMap<string, BackendHealth> = new Map();
  readonly #listeners = new Set<() => void>();

  /** @throws CirqueError `InvalidArgument` when the time-out of the discovery is out of range. */
  constructor(discovery: ServiceDiscovery<Ext>) {
    this.#discovery = discovery;
    this.#discoveryTimeoutMs = checkedDurationMs("timeoutMs of the discovery", discovery.timeoutMs ?? 10_000);
  }

  /** How health is found out. Default: not at all, and all are healthy. Taking a check away makes all healthy again. */
  get healthCheck(): HealthCheck<Ext> | undefined {
    return this.#healthCheck;
  }

  /** @throws CirqueError `InvalidArgument` when its time-out is out of range. */
  set healthCheck(healthCheck: HealthCheck<Ext> | undefined) {
    if (healthCheck?.timeoutMs !== undefined) checkedDurationMs("timeoutMs of the health check", healthCheck.timeoutMs);
    this.#healthCheck = healthCheck;
    if (healthCheck) return;
    for (const health of this.#set.health) health.forget();
    this.#changed();
  }

  /** The set in use. The same object for as long as neither a backend nor its weight or `ext` changes. */
  get current(): BackendSet<Ext> {
    return this.#set;
  }

  /**
   * Whether the backend takes requests: healthy and enabled. One that is not in the set does if there is no check
   * (`LB-12`).
   */
  ready(backend: Backend<Ext>): boolean {
    return this.#healthOf.get(backend.address)?.ready ?? this.#healthCheck === undefined;
  }

  /** Lets a backend take requests, or not, whatever its health. Does nothing when it is not in the set. */
  setEnable(backend: Backend<Ext>, enabled: boolean): void {
    const health = this.#healthOf.get(backend.address);
    if (!health) return;
    health.enabled = enabled;
    this.#changed();
  }

  /**
   * Calls back when the set, or the health of one of its backends, has changed: several times for several changes. The
   * function returned ends that.
   */
  onChange(listener: () => void): () => void {
    const own = (): void => listener();
    this.#listeners.add(own);
    return () => this.#listeners.delete(own);
  }

  /** The set and the health of each backend, for other threads. */
  snapshot(): BackendsSnapshot {
    return takeSnapshot(this.#set);
  }

  /** Takes over what another thread knows: the set, and the health of each backend. */
  adopt(snapshot: BackendsSnapshot): void {
    const backends = backendsOf(snapshot, this.#set.backends);
    if (backends.length > 0) this.replace({ backends });
    backends.forEach(({ address }, position) => {
      this.#healthOf.get(address)?.adopt(snapshot.healthy[position] ?? true, snapshot.enabled[position] ?? true);
    });
  }

  /**
   * Asks the discovery, and takes over what it found.
   *
   * @param signal Ends the look-up.
   * @returns Whether the set changed. What is enabled may have changed in any case.
   * @throws CirqueError `InternalError`, with the cause, when the discovery failed, took too long, or found nothing
   *   after there was something; the set is the same as before then.
   */
  async update(signal?: AbortSignal): Promise<boolean> {
    try {
      const deadline = { name: "the discovery of backends", timeoutMs: this.#discoveryTimeoutMs, signal };
      return this.replace(await withDeadline(deadline, (cut) => this.#discovery.discover(cut)));
    } catch (cause) {
      const kept = this.#set.backends.length;
      throw CirqueError.internal("InternalError", `no update of the backends; ${kept} stay in use`, { cause });
    }
  }

  /**
   * Takes over a set of backends at once.
   *
   * @returns Whether the set changed.
   * @throws CirqueError `InvalidArgument` when it is empty and the present one is not, or holds something else than
   *   backends; the present set stays then.
   */
  replace(discovered: Discovered<Ext>): boolean {
    const found = byAddress(discovered.backends);
    if (found.size === 0 && this.#set.backends.length > 0) {
      throw new CirqueError("InvalidArgument", "an empty set does not replace one that has backends");
    }
    const changed = !this.#isCurrent(found);
    if (changed) {
      this.#healthOf = new Map(
        Array.from(found.keys(), (address) => [address, this.#healthOf.get(address) ?? new BackendHealth()]),
      );
      this.#set = Object.freeze({ backends: [...found.values()], health: [...this.#healthOf.values()] });
    }
    for (const [address, enabled] of discovered.enabled ?? []) {
      const health = this.#healthOf.get(address);
      if (health) health.enabled = enabled;
    }
    if (changed || discovered.enabled) this.#changed();
    return changed;
  }

  /**
   * Checks every backend once, also those that are not enabled. A check that fails, throws or takes too long says that
   * the backend is ill, and concerns no other. Does nothing when there is no health check.
   */
  async runHealthCheck(run: HealthCheckRun = {}): Promise<void> {
    const healthCheck = this.#healthCheck;
    if (!healthCheck) return;
    await runHealthChecks(this.#set.backends, healthCheck, run, (result) => this.#observe(healthCheck, result));
  }

  #observe(healthCheck: HealthCheck<Ext>, { backend, healthy, reason }: HealthCheckResult<Ext>): void {
    const health = this.#healthOf.get(backend.address);
    // In the meantime the backend may have left the set, and the check may have been replaced.
    if (!health || this.#healthCheck !== healthCheck) return;
    try {
      if (!health.observe(healthy, healthCheck.healthThreshold(healthy))) return;
      this.#changed();
      this.#logChange(healthCheck.backendSummary?.(backend) ?? backend.address, healthy, reason);
      const told = healthCheck.healthStatusChange?.(backend, healthy);
      told?.catch((error: unknown) => this.#logFault(backend, error));
    } catch (error) {
      this.#logFault(backend, error);
    }
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }

  #logChange(summary: string, healthy: boolean, reason: unknown): void {
    if (healthy) this.logger?.info({ backend: summary }, "backend is healthy again");
    else this.logger?.warn({ backend: summary, reason: String(reason) }, "backend is not healthy");
  }

  #logFault(backend: Backend<Ext>, error: unknown): void {
    this.logger?.error({ backend: backend.address, err: error }, "the health check threw when it was told the outcome");
  }

  #isCurrent(found: ReadonlyMap<string, Backend<Ext>>): boolean {
    return (
      found.size === this.#set.backends.length &&
      this.#set.backends.every((old) => {
        const backend = found.get(old.address);
        return backend?.equals(old) && backend.ext === old.ext;
      })
    );
  }
}

function byAddress<Ext>(backends: Iterable<Backend<Ext>>): Map<string, Backend<Ext>> {
  const found = new Map<string, Backend<Ext>>();
  for (const backend of backends) {
    if (!(backend instanceof Backend)) {
      throw new CirqueError("InvalidArgument", "a set of backends holds something that is not a Backend");
    }
    found.set(backend.address, backend);
  }
  return found;
}
