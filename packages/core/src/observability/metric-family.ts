import { CirqueError } from "../errors/cirque-error.ts";
import { type Counter, type Gauge, type Labels, type PlainCounter, type PlainGauge, PlainHistogram } from "./metric.ts";

export type MetricKind = "counter" | "gauge" | "histogram";

/** Asked for the value each time the text is made. */
export type GaugeSource = () => number | Promise<number>;

export type Series = PlainCounter | PlainGauge | PlainHistogram | GaugeSource;

/** One line of the exposition: the name with its suffix, the labels, the number. */
export interface Sample {
  readonly metricName: string;
  readonly labels: Labels;
  readonly value: number;
}

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
    return this.#series.get(keyOf(this.labelNames, labels))?.series;
  }

  add(labels: Labels, series: Series): void {
    this.#series.set(keyOf(this.labelNames, labels), { labels: { ...labels }, series });
  }

  remove(labels: Labels): void {
    this.#series.delete(keyOf(this.labelNames, labels));
  }

  async samples(): Promise<Sample[]> {
    const samples: Sample[] = [];
    for (const { labels, series } of this.#series.values()) {
      if (series instanceof PlainHistogram) samples.push(...histogramSamples(this.name, labels, series));
      else samples.push({ metricName: this.name, labels, value: await readValue(series) });
    }
    return samples;
  }
}

function histogramSamples(name: string, labels: Labels, series: PlainHistogram): Sample[] {
  let cumulative = 0;
  const buckets = Array.from(series.counts, (count, index) => {
    cumulative += count;
    const le = String(series.bounds[index] ?? "+Inf");
    return { metricName: `${name}_bucket`, labels: { ...labels, le }, value: cumulative };
  });
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels, value: series.sum },
    { metricName: `${name}_count`, labels, value: cumulative },
  ];
}

async function readValue(series: Counter | Gauge | GaugeSource): Promise<number> {
  if (typeof series !== "function") return series.value;
  try {
    return await series();
  } catch {
    // One source that fails must not hide all other metrics; the format has a word for "not known".
    return Number.NaN;
  }
}

function keyOf(names: readonly string[], labels: Labels): string {
  return JSON.stringify(names.map((name) => labels[name]));
}

function invalid(name: string, reason: string): CirqueError {
  return new CirqueError("InvalidArgument", `metric ${JSON.stringify(name)}: ${reason}`, { context: { metric: name } });
}
