import type { Labels } from "./metric.ts";

export type MetricKind = "counter" | "gauge" | "histogram";

/** What all series of one metric were at one moment, in a form that can cross threads. */
export interface FamilySnapshot {
  readonly name: string;
  readonly kind: MetricKind;
  readonly help: string;
  readonly labelNames: readonly string[];
  readonly bounds: readonly number[];
  readonly series: readonly SeriesSnapshot[];
}

/** One number, or for a histogram the counts and, behind them, the sum. */
export interface SeriesSnapshot {
  readonly labels: Labels;
  readonly numbers: readonly number[];
}

/** One line of the exposition: the name with its suffix, the labels, the number. */
export interface Sample {
  readonly metricName: string;
  readonly labels: Labels;
  readonly value: number;
}

/** The families of one thread, and its name. */
export interface ThreadSnapshot {
  readonly thread: string;
  readonly families: readonly FamilySnapshot[];
}

/** How snapshots of several threads become one. */
export interface MergeOptions {
  /** Whether each series is shown for each thread, with a label `thread`, and not the sum. */
  readonly perThread: boolean;
  /** How many series one metric may have; further ones share one whose labels are `other`. */
  readonly maxSeries: number;
}

/**
 * The families of all threads: series with the same labels are added up. A family that says something else in one thread
 * than in an earlier one, by its kind, labels or buckets, is left out there: it cannot be added.
 */
export function mergeSnapshots(threads: readonly ThreadSnapshot[], options: MergeOptions): FamilySnapshot[] {
  const merged = new Map<string, MergedFamily>();
  for (const { thread, families } of threads) {
    for (const family of families) {
      let target = merged.get(family.name);
      if (!target) {
        target = new MergedFamily(family, options);
        merged.set(family.name, target);
      }
      target.add(family, thread);
    }
  }
  return Array.from(merged.values(), (family) => family.snapshot());
}

/** The lines of a family. */
export function samplesOf({ name, kind, bounds, series }: FamilySnapshot): Sample[] {
  return series.flatMap(({ labels, numbers }) => {
    if (kind === "histogram") return histogramSamples(name, labels, bounds, numbers);
    return [{ metricName: name, labels, value: numbers[0] ?? Number.NaN }];
  });
}

class MergedFamily {
  readonly #first: FamilySnapshot;
  readonly #labelNames: readonly string[];
  readonly #options: MergeOptions;
  readonly #series = new Map<string, { readonly labels: Labels; readonly numbers: number[] }>();

  constructor(first: FamilySnapshot, options: MergeOptions) {
    this.#first = first;
    this.#options = options;
    const tellsThread = options.perThread && !first.labelNames.includes("thread");
    this.#labelNames = tellsThread ? [...first.labelNames, "thread"] : first.labelNames;
  }

  add(family: FamilySnapshot, thread: string): void {
    if (describe(family) !== describe(this.#first)) return;
    for (const { labels, numbers } of family.series) {
      this.#addSeries(
        this.#labelNames === family.labelNames ? labels : { ...labels, ...this.#threadLabel(thread) },
        numbers,
      );
    }
  }

  snapshot(): FamilySnapshot {
    return { ...this.#first, labelNames: this.#labelNames, series: [...this.#series.values()] };
  }

  #threadLabel(thread: string): Labels {
    return this.#labelNames.length > this.#first.labelNames.length ? { thread } : {};
  }

  #addSeries(labels: Labels, numbers: readonly number[]): void {
    let target = labels;
    let series = this.#series.get(labelsKey(this.#labelNames, target));
    if (!series && this.#series.size >= this.#options.maxSeries) {
      target = Object.fromEntries(this.#labelNames.map((name) => [name, "other"]));
      series = this.#series.get(labelsKey(this.#labelNames, target));
    }
    if (!series) {
      series = { labels: target, numbers: numbers.map(() => 0) };
      this.#series.set(labelsKey(this.#labelNames, target), series);
    }
    for (let index = 0; index < series.numbers.length; index++) {
      series.numbers[index] = (series.numbers[index] as number) + (numbers[index] ?? 0); // within the length
    }
  }
}

/** Tells label values apart, whatever they contain. */
export function labelsKey(names: readonly string[], labels: Labels): string {
  return JSON.stringify(names.map((name) => labels[name]));
}

function describe({ kind, labelNames, bounds }: FamilySnapshot): string {
  return JSON.stringify([kind, labelNames, bounds]);
}

function histogramSamples(
  name: string,
  labels: Labels,
  bounds: readonly number[],
  numbers: readonly number[],
): Sample[] {
  let cumulative = 0;
  const buckets = numbers.slice(0, -1).map((count, index) => {
    cumulative += count;
    const le = String(bounds[index] ?? "+Inf");
    return { metricName: `${name}_bucket`, labels: { ...labels, le }, value: cumulative };
  });
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels, value: numbers.at(-1) ?? Number.NaN },
    { metricName: `${name}_count`, labels, value: cumulative },
  ];
}
