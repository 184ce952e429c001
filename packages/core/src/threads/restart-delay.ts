const firstDelayMs = 100;
const longestDelayMs = 10_000;

/** A thread that lived for so long did not die of its start. */
const healthyLifeMs = 60_000;

/** When a thread that died is started again: soon, and less and less soon when it dies again and again. */
export class RestartDelay {
  #delayMs = 0;
  #timer: NodeJS.Timeout | undefined;

  /** Calls back after the delay. @returns the delay. */
  schedule(livedMs: number, restart: () => void): number {
    this.#delayMs = livedMs >= healthyLifeMs || this.#delayMs === 0 ? firstDelayMs : this.#delayMs * 2;
    this.#delayMs = Math.min(this.#delayMs, longestDelayMs);
    this.#timer = setTimeout(restart, this.#delayMs);
    return this.#delayMs;
  }

  cancel(): void {
    clearTimeout(this.#timer);
  }
}
