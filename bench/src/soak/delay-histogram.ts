/** Counts delays in steps of a tenth of a millisecond, and what is above ten seconds as ten seconds. */
export class DelayHistogram {
  readonly #counts = new Uint32Array(100_001);
  #total = 0;

  /** Counts more of them. */
  add(delaysMs: readonly number[]): void {
    for (const delayMs of delaysMs) {
      const step = Math.min(Math.max(Math.round(delayMs * 10), 0), this.#counts.length - 1);
      this.#counts[step] = (this.#counts[step] ?? 0) + 1;
      this.#total += 1;
    }
  }

  /** The delay that this share of them stayed at or below; NaN when there are none. */
  quantile(share: number): number {
    let left = Math.max(1, Math.ceil(this.#total * share));
    for (const [step, count] of this.#counts.entries()) {
      left -= count;
      if (left <= 0) return step / 10;
    }
    return Number.NaN;
  }
}
