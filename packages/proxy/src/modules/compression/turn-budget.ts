import type { MaybePromise } from "../../maybe-promise.ts";

/**
 * How much of a turn of the event loop may go into work that could as well be done in the next one. Many small bodies that
 * come at once, and are coded on this thread, would otherwise keep everything else waiting.
 */
export class TurnBudget {
  readonly #budgetMs: number;
  readonly #clock: () => number;
  readonly #waiting: (() => void)[] = [];
  #spentMs = 0;
  #turnIsAwaited = false;

  /** @param clock Milliseconds; another one than the real one for tests. */
  constructor(budgetMs: number, clock: () => number = () => performance.now()) {
    this.#budgetMs = budgetMs;
    this.#clock = clock;
  }

  /** Does the work now, if this turn has something left and nobody waits; else in one of the next, in order. */
  run<T>(work: () => MaybePromise<T>): MaybePromise<T> {
    if (this.#hasRoom && this.#waiting.length === 0) return this.#measured(work);
    return new Promise((resolve, reject) => {
      this.#waiting.push(() => {
        try {
          resolve(this.#measured(work));
        } catch (error) {
          reject(error);
        }
      });
    });
  }

  get #hasRoom(): boolean {
    return this.#spentMs < this.#budgetMs;
  }

  /** Only what is done at once counts, and not what it promises. */
  #measured<T>(work: () => T): T {
    const startedAt = this.#clock();
    try {
      return work();
    } finally {
      this.#spentMs += this.#clock() - startedAt;
      this.#awaitTurn();
    }
  }

  #awaitTurn(): void {
    if (this.#turnIsAwaited) return;
    this.#turnIsAwaited = true;
    setImmediate(() => {
      this.#turnIsAwaited = false;
      this.#spentMs = 0;
      while (this.#hasRoom) {
        const next = this.#waiting.shift();
        if (next === undefined) return;
        next();
      }
    });
  }
}
