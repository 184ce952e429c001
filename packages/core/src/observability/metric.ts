import type { SlotRange } from "./metric-slots.ts";

/** A number that only grows. */
export interface Counter {
  /** Adds `n`, 1 unless given. It must not be negative. */
  inc(n?: number): void;
  readonly value: number;
}

/** A number that goes up and down. */
export interface Gauge {
  set(n: number): void;
  /** Adds `n`, which may be negative. */
  add(n: number): void;
  readonly value: number;
}

/** Counts observations by size. */
export interface Histogram {
  /** Counts one value, in the unit of the metric: seconds for durations, bytes for sizes. */
  observe(value: number): void;
  readonly count: number;
  readonly sum: number;
}

/** The names and values that tell the series of one metric apart. */
export type Labels = Readonly<Record<string, string>>;

/** {@link Counter}: nothing but an addition, since it runs several times for each request. */
export class SlotCounter implements Counter {
  readonly slots: SlotRange;
  readonly #numbers: Float64Array;
  readonly #index: number;

  constructor(slots: SlotRange) {
    this.slots = slots;
    this.#numbers = slots.numbers;
    this.#index = slots.first;
  }

  inc(n = 1): void {
    this.#numbers[this.#index] = this.value + n;
  }

  get value(): number {
    return this.#numbers[this.#index] as number; // within the range
  }
}

/** {@link Gauge}: nothing but an assignment. */
export class SlotGauge implements Gauge {
  readonly slots: SlotRange;
  readonly #numbers: Float64Array;
  readonly #index: number;

  constructor(slots: SlotRange) {
    this.slots = slots;
    this.#numbers = slots.numbers;
    this.#index = slots.first;
  }

  set(n: number): void {
    this.#numbers[this.#index] = n;
  }

  add(n: number): void {
    this.#numbers[this.#index] = this.value + n;
  }

  get value(): number {
    return this.#numbers[this.#index] as number; // within the range
  }
}

/** {@link Histogram}: a count for each bucket, one for what is above, and the sum behind them. */
export class SlotHistogram implements Histogram {
  readonly slots: SlotRange;
  /** The upper bounds, ascending; the last count has none. */
  readonly bounds: readonly number[];
  readonly #numbers: Float64Array;
  readonly #first: number;
  readonly #sum: number;

  constructor(bounds: readonly number[], slots: SlotRange) {
    this.slots = slots;
    this.bounds = bounds;
    this.#numbers = slots.numbers;
    this.#first = slots.first;
    this.#sum = slots.first + bounds.length + 1;
  }

  observe(value: number): void {
    const bounds = this.bounds;
    const numbers = this.#numbers;
    let index = 0;
    // From below: most values are small, and a bound that compares false with NaN would end the search as well.
    while (index < bounds.length && !(value <= (bounds[index] as number))) index++;
    const slot = this.#first + index;
    numbers[slot] = (numbers[slot] as number) + 1;
    numbers[this.#sum] = this.sum + value;
  }

  get count(): number {
    let total = 0;
    for (let slot = this.#first; slot < this.#sum; slot++) total += this.#numbers[slot] as number;
    return total;
  }

  get sum(): number {
    return this.#numbers[this.#sum] as number; // within the range
  }
}

/** How many numbers a histogram keeps: one for each bucket, one for what is above, and the sum. */
export function histogramLength(bounds: readonly number[]): number {
  return bounds.length + 2;
}

/** Upper bounds in seconds that suit the duration of a request: from 1 ms to 10 s. */
export const durationBuckets: readonly number[] = Object.freeze([
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
]);
