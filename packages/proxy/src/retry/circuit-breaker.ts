/** When an origin is left alone. */
export interface CircuitBreakerOptions {
  /** So many failures in a row, with no success in between. Default: 5. */
  readonly failures?: number;
  /** For how long; then one request tries it. Default: 5,000. */
  readonly openMs?: number;
}

/** Origins that failed lately, at most. Beyond, the one that failed longest ago is forgotten. */
const mostOrigins = 10_000;

/**
 * Leaves origins alone that fail again and again: one that is overloaded gets time, and requests do not wait for one that
 * is gone. After a while a single request tries: when it succeeds, all may come again.
 */
export class CircuitBreaker {
  readonly #failures: number;
  readonly #openMs: number;
  readonly #origins = new Map<string, Circuit>();

  constructor({ failures = 5, openMs = 5_000 }: CircuitBreakerOptions = {}) {
    this.#failures = failures;
    this.#openMs = openMs;
  }

  /** Whether the origin may be asked. @param nowMs Of a monotonic clock. */
  allows(origin: string, nowMs: number): boolean {
    const circuit = this.#origins.get(origin);
    if (circuit === undefined || circuit.failures < this.#failures) return true;
    if (nowMs < circuit.openUntilMs) return false;
    // This one tries; the others wait for what comes of it, or as long again.
    circuit.openUntilMs = nowMs + this.#openMs;
    return true;
  }

  onSuccess(origin: string): void {
    if (this.#origins.size > 0) this.#origins.delete(origin);
  }

  /** @returns whether this failure has opened the circuit. */
  onFailure(origin: string, nowMs: number): boolean {
    const failures = (this.#origins.get(origin)?.failures ?? 0) + 1;
    // Anew, so that the order of the map is that of the last failures.
    this.#origins.delete(origin);
    this.#origins.set(origin, { failures, openUntilMs: nowMs + this.#openMs });
    if (this.#origins.size > mostOrigins) this.#forgetOldest();
    return failures === this.#failures;
  }

  #forgetOldest(): void {
    for (const origin of this.#origins.keys()) {
      this.#origins.delete(origin);
      return;
    }
  }
}

interface Circuit {
  readonly failures: number;
  openUntilMs: number;
}
