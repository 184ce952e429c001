import { CirqueError } from "../errors/cirque-error.ts";
import { type FamilySnapshot, labelsKey, type MetricKind, type SeriesSnapshot } from "./family-snapshot.ts";
import { histogramLength, type Labels, type SlotCounter, type SlotGauge, type SlotHistogram } from "./metric.ts";
import type { SlotRange } from "./metric-slots.ts";

/** Asked for the value each time the text is made. */
export type GaugeSource = () => number | Promise<number>;

export type SlotSeries = SlotCounter | SlotGauge | SlotHistogram;
export type Series = SlotSeries | GaugeSource;

/** All series of one metric: one for each combination of label values. */
export class MetricFamily {
  readonly name: string;
  readonly kind: MetricKind;
  readonly help: string;
  readonly labelNames: readonly string[];
  readonly bounds: readonly number[];
  readonly #series = new Map<string, { readonly labels: Labels; readonly series: Series }>();

  constructor(name: string, kind: MetricKind, help: string, labelNames: readonly string[], bounds: readonly number[]) {
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
  }

  get size(): number {
    return this.#series.size;
  }

  /** @throws CirqueError `InvalidArgument` when the same name is used for something else. */
  assertSame(kind: MetricKind, labelNames: readonly string[], bounds: readonly number[]): void {
    if (kind !== this.kind) throw invalid(this.name, `it is a ${this.kind} and cannot be a ${kind} as well`);
    if (labelNames.join() !== this.labelNames.join()) {
      throw invalid(this.name, `its labels are [${this.labelNames}] and not [${labelNames}]`);
    }
    if (bounds.join() !== this.bounds.join()) throw invalid(this.name, `its buckets are [${this.bounds}]`);
  }

  find(labels: Labels): Series | undefined {
    return this.#series.get(labelsKey(this.labelNames, labels))?.series;
  }

  add(labels: Labels, series: Series): void {
    this.#series.set(labelsKey(this.labelNames, labels), { labels: { ...labels }, series });
  }

  remove(labels: Labels): void {
    this.#series.delete(labelsKey(this.labelNames, labels));
  }

  /** The series with numbers in slots, and their labels. */
  slots(): { readonly labels: Labels; readonly slots: SlotRange }[] {
    return Array.from(this.#series.values()).flatMap(({ labels, series }) =>
      typeof series === "function" ? [] : [{ labels, slots: series.slots }],
    );
  }

  /** What is kept in slots, at this moment. */
  snapshot(): FamilySnapshot {
    const series = this.slots().map(({ labels, slots }) => ({
      labels,
      numbers: numbersOf(this.kind, this.bounds, slots),
    }));
    return { ...this.#description, series };
  }

  /** What has to be asked for. */
  async sources(): Promise<FamilySnapshot> {
    const series: SeriesSnapshot[] = [];
    for (const { labels, series: source } of this.#series.values()) {
      if (typeof source === "function") series.push({ labels, numbers: [await readSource(source)] });
    }
    return { ...this.#description, series };
  }

  get #description(): Omit<FamilySnapshot, "series"> {
    const { name, kind, help, labelNames, bounds } = this;
    return { name, kind, help, labelNames, bounds };
  }
}

/** The numbers of a series. */
export function numbersOf(
  kind: MetricKind,
  bounds: readonly number[],
  { numbers, first }: Pick<SlotRange, "numbers" | "first">,
): number[] {
  return [...numbers.subarray(first, first + (kind === "histogram" ? histogramLength(bounds) : 1))];
}

async function readSource(source: GaugeSource): Promise<number> {
  try {
    return await source();
  } catch {
    // One source that fails must not hide all other metrics; the format has a word for "not known".
    return Number.NaN;
  }
}

function invalid(name: string, reason: string): CirqueError {
  return new CirqueError("InvalidArgument", `metric ${JSON.stringify(name)}: ${reason}`, { context: { metric: name } });
}
