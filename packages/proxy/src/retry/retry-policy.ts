import { CirqueError } from "@cirque/core";
import type { BackOffOptions } from "./back-off.ts";
import type { CircuitBreakerOptions } from "./circuit-breaker.ts";
import type { RetryBudgetOptions } from "./retry-budget.ts";

/**
 * When a request is sent to an origin again, and what keeps that from making things worse (ERRP-10, ERRP-11). Whatever it
 * says, a request is sent again only when that is safe: nothing of it has left, or its method is idempotent, or the origin
 * said that it did nothing; and when its body was kept.
 */
export interface RetryPolicy {
  /** Statuses of origins that are taken for a failure: the next origin is asked, as long as attempts are left. Default: none. */
  readonly statuses?: readonly number[];
  /** The pause before another attempt. Default: none. */
  readonly backOff?: BackOffOptions;
  /** How long an attempt may take until its response head is there, in milliseconds. Default: no limit but the peer's. */
  readonly perTryTimeoutMs?: number;
  /** How long all attempts together may take until a response head is there; then 504. Default: no limit. */
  readonly totalTimeoutMs?: number;
  /** How many requests may be repeated at all. Default: a fifth of them, and ten each second. `false`: as many as want to. */
  readonly budget?: RetryBudgetOptions | false;
  /**
   * Asks a second origin when the first has not answered in time, and takes the answer that comes first. For requests that
   * may be sent twice, and have no body. Default: never.
   */
  readonly hedge?: { readonly afterMs: number };
  /** Leaves origins alone that fail again and again. Default: none is. */
  readonly circuitBreaker?: CircuitBreakerOptions;
}

/** @throws CirqueError `InvalidArgument` for what can be no policy. */
export function checkRetryPolicy(policy: RetryPolicy): void {
  for (const status of policy.statuses ?? []) {
    if (!Number.isInteger(status) || status < 200 || status > 599)
      throw invalid("statuses", "statuses of responses", status);
  }
  const times = {
    perTryTimeoutMs: policy.perTryTimeoutMs,
    totalTimeoutMs: policy.totalTimeoutMs,
    "hedge.afterMs": policy.hedge?.afterMs,
    "backOff.baseMs": policy.backOff?.baseMs,
    "backOff.maxMs": policy.backOff?.maxMs,
    "circuitBreaker.openMs": policy.circuitBreaker?.openMs,
  };
  for (const [name, ms] of Object.entries(times)) {
    if (ms !== undefined && !(ms > 0 && ms <= longestTimerMs)) throw invalid(name, "milliseconds above 0", ms);
  }
  const { failures } = policy.circuitBreaker ?? {};
  if (failures !== undefined && !(Number.isInteger(failures) && failures > 0)) {
    throw invalid("circuitBreaker.failures", "a whole number above 0", failures);
  }
  const { ratio, minimumPerSecond } = policy.budget || {};
  if (ratio !== undefined && !(ratio >= 0 && ratio <= 1)) throw invalid("budget.ratio", "a number from 0 to 1", ratio);
  if (minimumPerSecond !== undefined && !(minimumPerSecond >= 0)) {
    throw invalid("budget.minimumPerSecond", "a number from 0", minimumPerSecond);
  }
}

const longestTimerMs = 2 ** 31 - 1;

function invalid(name: string, expected: string, found: unknown): CirqueError {
  return new CirqueError("InvalidArgument", `retry.${name}: expected ${expected}, found ${String(found)}`);
}
