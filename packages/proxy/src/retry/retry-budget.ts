/** How many requests may be repeated. */
export interface RetryBudgetOptions {
  /** The share of requests, from 0 to 1. Default: 0.2. */
  readonly ratio?: number;
  /** So many more each second, so that a proxy with few requests may repeat some as well. Default: 10. */
  readonly minimumPerSecond?: number;
}

const windowSeconds = 10;

/**
 * Keeps repeated requests a small part of all: when many fail, repeating each would double the load of origins that fail
 * for too much of it. Counts over the last ten seconds, so that a short failure of one of several origins is within it.
 */
export class RetryBudget {
  readonly #ratio: number;
  readonly #minimum: number;
  readonly #requests = new Float64Array(windowSeconds);
  readonly #retries = new Float64Array(windowSeconds);
  #second = 0;

  constructor({ ratio = 0.2, minimumPerSecond = 10 }: RetryBudgetOptions = {}) {
    this.#ratio = ratio;
    this.#minimum = minimumPerSecond * windowSeconds;
  }

  /** Counts a request. @param nowMs Of a monotonic clock. */
  onRequest(nowMs: number): void {
    const slot = this.#slotAt(nowMs);
    this.#requests[slot] = (this.#requests[slot] as number) + 1; // within the window
  }

  /** Whether one may be repeated now; counts it then. */
  withdraw(nowMs: number): boolean {
    const slot = this.#slotAt(nowMs);
    if (sum(this.#retries) + 1 > sum(this.#requests) * this.#ratio + this.#minimum) return false;
    this.#retries[slot] = (this.#retries[slot] as number) + 1; // within the window
    return true;
  }

  #slotAt(nowMs: number): number {
    const second = Math.floor(nowMs / 1_000);
    if (second !== this.#second) {
      const passed = Math.min(windowSeconds, second - this.#second);
      for (let i = 1; i <= passed; i++) {
        const slot = (this.#second + i) % windowSeconds;
        this.#requests[slot] = 0;
        this.#retries[slot] = 0;
      }
      this.#second = second;
    }
    return second % windowSeconds;
  }
}

function sum(numbers: Float64Array): number {
  let total = 0;
  for (const number of numbers) total += number;
  return total;
}
