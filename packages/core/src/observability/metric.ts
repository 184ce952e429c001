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

/** Upper bounds in seconds that suit the duration of a request: from 1 ms to 10 s. */
export const durationBuckets: readonly number[] = Object.freeze([
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
]);
