import type { Backend } from "../backend.ts";
import { withDeadline } from "../deadline.ts";
import type { HealthCheck } from "./health-check.ts";

/** How a round of health checks goes. */
export interface HealthCheckRun {
  /** Whether backends are checked at the same time, up to 64, or one after another (`LB-08`). Default: `true`. */
  readonly parallel?: boolean;
  /** Ends the round: checks under way are cut, and say nothing about their backends. */
  readonly signal?: AbortSignal;
}

/** The result of one check. */
export interface HealthCheckResult<Ext> {
  readonly backend: Backend<Ext>;
  readonly healthy: boolean;
  /** Why it is not healthy: what the check threw. */
  readonly reason?: unknown;
}

/** Checks each backend once, and reports each result as soon as it is there. */
export async function runHealthChecks<Ext>(
  backends: readonly Backend<Ext>[],
  healthCheck: HealthCheck<Ext>,
  run: HealthCheckRun,
  report: (result: HealthCheckResult<Ext>) => void,
): Promise<void> {
  const waiting = backends.values();
  const lane = async (): Promise<void> => {
    for (const backend of waiting) {
      const result = await runHealthCheck(backend, healthCheck, run.signal);
      if (run.signal?.aborted) return;
      report(result);
    }
  };
  const lanes = (run.parallel ?? true) ? checksAtOnce : 1;
  await Promise.all(Array.from({ length: Math.min(lanes, backends.length) }, lane));
}

const checksAtOnce = 64;
const defaultTimeoutMs = 5_000;

async function runHealthCheck<Ext>(
  backend: Backend<Ext>,
  healthCheck: HealthCheck<Ext>,
  signal: AbortSignal | undefined,
): Promise<HealthCheckResult<Ext>> {
  const timeoutMs = healthCheck.timeoutMs ?? defaultTimeoutMs;
  try {
    await withDeadline({ name: "the health check", timeoutMs, signal }, (cut) => healthCheck.check(backend, cut));
    return { backend, healthy: true };
  } catch (reason) {
    return { backend, healthy: false, reason };
  }
}
