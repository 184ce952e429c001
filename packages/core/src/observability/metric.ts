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
export class PlainCounter implements Counter {
  value = 0;

  inc(n = 1): void {
    this.value += n;
  }
}

/** {@link Gauge}: nothing but an assignment. */
export class PlainGauge implements Gauge {
  value = 0;

  set(n: number): void {
    this.value = n;
  }

  add(n: number): void {
    this.value += n;
  }
}

/** {@link Histogram}: one array of counts that is never replaced. */
export class PlainHistogram implements Histogram {
  /** The upper bounds, ascending; the last count has none. */
  readonly bounds: readonly number[];
  readonly counts: Float64Array;
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    const bounds = this.bounds;
    let index = 0;
    // From below: most values are small, and a bound that compares false with NaN would end the search as well.
    while (index < bounds.length && !(value <= (bounds[index] as number))) index++;
    this.counts[index] = (this.counts[index] as number) + 1;
    this.sum += value;
  }

  get count(): number {
    let total = 0;
    for (const count of this.counts) total += count;
    return total;
  }
}

/** Upper bounds in seconds that suit the duration of a request: from 1 ms to 10 s. */
export const durationBuckets: readonly number[] = Object.freeze([
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
]);
