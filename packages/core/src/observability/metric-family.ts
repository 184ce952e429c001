import { CirqueError } from "../errors/cirque-error.ts";
import type { Labels } from "./metric.ts";
import type { MetricSlots } from "./metric-slots.ts";
import { SlotCounter, SlotGauge, SlotHistogram, type SlotRange } from "./slot-metrics.ts";

export type MetricKind = "counter" | "gauge" | "histogram";

/** Whose series it is: of this thread, of another one, or of those of a name that have ended. */
export interface MetricOwner {
  /** The value of the label `thread`. */
  readonly name: string;
}

export type SlotSeries = SlotCounter | SlotGauge | SlotHistogram;

/** A series, or a gauge whose value comes from elsewhere. */
export type Series = SlotSeries | { readonly value: number };

/** The contribution of one owner to what is shown as one series. */
export interface Part {
  readonly owner: MetricOwner;
  readonly series: Series;
}

/** What is shown as one series: the sum of its parts. */
export interface Entry {
  readonly labels: Labels;
  readonly parts: Set<Part>;
  /** The handle of this thread. */
  own: SlotSeries | undefined;
}

/** One line of the exposition: the name with its suffix, the labels, the number. */
export interface Sample {
  readonly metricName: string;
  readonly labels: Labels;
  readonly value: number;
}

/** All series of one metric, of all threads: one for each combination of label values. */
export class MetricFamily {
  readonly name: string;
  readonly kind: MetricKind;
  readonly help: string;
  readonly labelNames: readonly string[];
  readonly bounds: readonly number[];
  /** Whether this thread uses the metric, and not only others. */
  ownedHere = false;
  readonly #maxSeries: number;
  readonly #entries = new Map<string, Entry>();

  /** @throws CirqueError `InvalidArgument` for a name, labels or bounds that Prometheus does not accept. */
  constructor(
    name: string,
    kind: MetricKind,
    help: string,
    labelNames: readonly string[],
    bounds: readonly number[],
    maxSeries: number,
  ) {
    if (!/^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name)) throw invalid(name, "the name is not one that Prometheus accepts");
    for (const label of labelNames) {
      const reserved = label.startsWith("__") || (kind === "histogram" && label === "le");
      if (reserved || !/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(label)) {
        throw invalid(name, `${JSON.stringify(label)} is not a label name that Prometheus accepts`);
      }
    }
    if (!bounds.every((bound, index) => Number.isFinite(bound) && (index === 0 || bound > Number(bounds[index - 1])))) {
      throw invalid(name, "the buckets have to be finite and ascending");
    }
    this.name = name;
    this.kind = kind;
    this.help = help;
    this.labelNames = labelNames;
    this.bounds = bounds;
    this.#maxSeries = maxSeries;
  }

  /** @throws CirqueError `InvalidArgument` when the same name is used for something else. */
  assertSame(kind: MetricKind, labelNames: readonly string[], bounds: readonly number[]): void {
    if (kind !== this.kind) throw invalid(this.name, `it is a ${this.kind} and cannot be a ${kind} as well`);
    if (labelNames.join() !== this.labelNames.join()) {
      throw invalid(this.name, `its labels are [${this.labelNames}] and not [${labelNames}]`);
    }
    if (bounds.join() !== this.bounds.join()) throw invalid(this.name, `its buckets are [${this.bounds}]`);
  }

  /** How many slots a series takes. */
  get slotsPerSeries(): number {
    return this.kind === "histogram" ? this.bounds.length + 2 : 1;
  }

  /** Tells the series of the metric apart. */
  key(labels: Labels): string {
    return JSON.stringify(this.labelNames.map((name) => labels[name]));
  }

  /** What is shown for the labels; when there are too many, the entry whose label values are `other`. */
  entry(labels: Labels): Entry {
    const found = this.#entries.get(this.key(labels));
    if (found) return found;
    const full = this.#entries.size >= this.#maxSeries;
    const shown = full ? Object.fromEntries(this.labelNames.map((name) => [name, "other"])) : { ...labels };
    const key = this.key(shown);
    let entry = this.#entries.get(key);
    if (!entry) {
      entry = { labels: shown, parts: new Set(), own: undefined };
      this.#entries.set(key, entry);
    }
    return entry;
  }

  entries(): IterableIterator<Entry> {
    return this.#entries.values();
  }

  *parts(): Generator<Part> {
    for (const entry of this.#entries.values()) yield* entry.parts;
  }

  /** A series in these slots. */
  createSeries(range: SlotRange): SlotSeries {
    if (this.kind === "counter") return new SlotCounter(range);
    return this.kind === "gauge" ? new SlotGauge(range) : new SlotHistogram(this.bounds, range);
  }

  remove(entry: Entry, part: Part): void {
    entry.parts.delete(part);
    if (entry.parts.size === 0) this.#entries.delete(this.key(entry.labels));
  }

  /**
   * The owner has ended. Its gauges go; what it has counted is added to what `former` has, which is kept in `slots` for
   * good: what only grows must not shrink because a thread died.
   */
  end(owner: MetricOwner, former: MetricOwner, slots: MetricSlots): void {
    for (const entry of this.#entries.values()) {
      for (const part of entry.parts) {
        if (part.owner !== owner) continue;
        if (this.kind !== "gauge") this.#addTo(former, slots, entry, part.series as SlotSeries);
        this.remove(entry, part);
      }
    }
  }

  /** The lines of the metric: sums, or with the label `thread` one for each name of an owner. */
  samples(perThread: boolean): Sample[] {
    const samples: Sample[] = [];
    for (const { labels, parts } of this.#entries.values()) {
      if (!perThread) samples.push(...this.#samples(labels, parts));
      else {
        for (const [thread, own] of Map.groupBy(parts, ({ owner }) => owner.name)) {
          samples.push(...this.#samples(withThread(labels, thread), own));
        }
      }
    }
    return samples;
  }

  #samples(labels: Labels, parts: Iterable<Part>): Sample[] {
    if (this.kind === "histogram") return histogramSamples(this.name, labels, this.bounds, parts);
    return [{ metricName: this.name, labels, value: sumOf(parts) }];
  }

  #addTo(former: MetricOwner, slots: MetricSlots, entry: Entry, ended: SlotRange): void {
    let kept = entry.parts.values().find(({ owner }) => owner === former)?.series as SlotSeries | undefined;
    if (!kept) {
      kept = this.createSeries(slots.take(this.slotsPerSeries));
      entry.parts.add({ owner: former, series: kept });
    }
    for (let index = 0; index < this.slotsPerSeries; index++) {
      const target = kept.first + index;
      kept.slots[target] = Number(kept.slots[target]) + Number(ended.slots[ended.first + index]);
    }
  }
}

/** An error about the metric. */
export function invalid(name: string, reason: string): CirqueError {
  return new CirqueError("InvalidArgument", `metric ${JSON.stringify(name)}: ${reason}`, { context: { metric: name } });
}

/** Of those that are known: one thread that does not answer does not hide what the others have. */
function sumOf(parts: Iterable<Part>): number {
  let sum = Number.NaN;
  for (const { series } of parts) {
    const { value } = series as { readonly value: number };
    if (!Number.isNaN(value)) sum = Number.isNaN(sum) ? value : sum + value;
  }
  return sum;
}

function histogramSamples(name: string, labels: Labels, bounds: readonly number[], parts: Iterable<Part>): Sample[] {
  const counts = new Float64Array(bounds.length + 1);
  let sum = 0;
  for (const { series } of parts) {
    const histogram = series as SlotHistogram;
    for (let index = 0; index < counts.length; index++) {
      counts[index] = Number(counts[index]) + Number(histogram.slots[histogram.first + index]);
    }
    sum += histogram.sum;
  }
  let cumulative = 0;
  const buckets = Array.from(counts, (count, index) => {
    cumulative += count;
    const le = String(bounds[index] ?? "+Inf");
    return { metricName: `${name}_bucket`, labels: { ...labels, le }, value: cumulative };
  });
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels, value: sum },
    { metricName: `${name}_count`, labels, value: cumulative },
  ];
}

/** A label of the metric with the same name gives way, under the name that Prometheus would give it. */
function withThread({ thread: exported, ...labels }: Labels, thread: string): Labels {
  return exported === undefined ? { ...labels, thread } : { ...labels, exported_thread: exported, thread };
}
