import { type CirqueError, type Counter, type Logger, type MetricsRegistry, turnTime } from "@cirque/core";
import { backOffMs } from "./back-off.ts";
import { CircuitBreaker } from "./circuit-breaker.ts";
import { RetryBudget } from "./retry-budget.ts";
import { checkRetryPolicy, type RetryPolicy } from "./retry-policy.ts";

/** A {@link RetryPolicy} at work: what all exchanges of a proxy share of it. */
export class RetryRules {
  readonly policy: RetryPolicy;
  readonly #statuses: ReadonlySet<number> | undefined;
  readonly #budget: RetryBudget | undefined;
  readonly #breaker: CircuitBreaker | undefined;
  readonly #logger: Logger;
  readonly #denied: Counter;
  readonly #opened: Counter;

  /** @throws CirqueError `InvalidArgument` for what can be no policy. */
  constructor(policy: RetryPolicy, logger: Logger, metrics: MetricsRegistry, service: string) {
    checkRetryPolicy(policy);
    this.policy = policy;
    this.#statuses = policy.statuses && policy.statuses.length > 0 ? new Set(policy.statuses) : undefined;
    this.#budget = policy.budget === false ? undefined : new RetryBudget(policy.budget);
    this.#breaker = policy.circuitBreaker && new CircuitBreaker(policy.circuitBreaker);
    this.#logger = logger;
    this.#denied = metrics.counter(
      "cirque_upstream_retries_denied_total",
      "Attempts that did not follow a failed one because the retry budget was used up",
      { service },
    );
    this.#opened = metrics.counter(
      "cirque_upstream_circuits_opened_total",
      "Times that an origin was left alone because it failed again and again",
      { service },
    );
  }

  /** Counts a request that is about to be sent to its first origin. */
  onRequest(): void {
    this.#budget?.onRequest(turnTime());
  }

  /** Whether a failed attempt may be followed by another as far as all requests together are concerned. */
  allowsRetry(): boolean {
    if (this.#budget === undefined || this.#budget.withdraw(turnTime())) return true;
    this.#denied.inc();
    return false;
  }

  /** Whether a response with this status counts as a failure of its origin. */
  isFailure(status: number): boolean {
    return this.#statuses?.has(status) === true;
  }

  /** Whether the origin may be asked: it has not failed too often of late. */
  allowsOrigin(address: string): boolean {
    return this.#breaker === undefined || this.#breaker.allows(address, turnTime());
  }

  originSucceeded(address: string): void {
    this.#breaker?.onSuccess(address);
  }

  originFailed(address: string, error: CirqueError): void {
    if (!this.#breaker?.onFailure(address, turnTime())) return;
    this.#opened.inc();
    this.#logger.warn({ err: error, peer: address }, "the origin fails again and again, and is left alone for a while");
  }

  /** How long to wait before the next attempt, in milliseconds. */
  pauseMs(attempts: number): number {
    return this.policy.backOff === undefined ? 0 : backOffMs(this.policy.backOff, attempts);
  }
}
