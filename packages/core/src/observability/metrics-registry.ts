import type { Metric } from "prom-client";
import {
  type Counter,
  type Gauge,
  type Histogram,
  type Labels,
  PlainCounter,
  PlainGauge,
  PlainHistogram,
} from "./metric.ts";
import { type GaugeSource, MetricFamily, type MetricKind, type Series } from "./metric-family.ts";

export interface MetricsRegistryOptions {
  /** Whether CPU, memory, event loop and garbage collection of the process are shown as well. Default: `false`. */
  readonly processMetrics?: boolean;
  /**
   * How many label combinations one metric may have. Further ones share one series whose label values are `other`, so
   * that a label taken from requests cannot fill the memory. Default: 10,000.
   */
  readonly maxSeriesPerMetric?: number;
}

/**
 * Metrics by name and labels (`OBS-10`). Ask for a handle once and keep it: the same name and labels give the same
 * handle, and a handle does nothing but add. The Prometheus text is made when it is asked for.
 *
 * @example
 * const refused = registry.counter("shop_refused_total", "Orders refused", { reason: "stock" });
 * refused.inc();
 */
export class MetricsRegistry {
  readonly #families = new Map<string, MetricFamily>();
  readonly #processMetrics: boolean;
  readonly #maxSeries: number;
  #processText: (() => Promise<string>) | undefined;

  constructor(options: MetricsRegistryOptions = {}) {
    this.#processMetrics = options.processMetrics ?? false;
    this.#maxSeries = options.maxSeriesPerMetric ?? 10_000;
  }

  /**
   * A number that only grows. Prometheus wants its name to end in `_total`.
   *
   * @throws CirqueError `InvalidArgument` when the name is malformed, or used with another kind or other labels.
   */
  counter(name: string, help: string, labels: Labels = {}): Counter {
    return this.#series(this.#family(name, "counter", help, labels), labels, () => new PlainCounter());
  }

  /** A number that goes up and down. Throws like {@link counter}. */
  gauge(name: string, help: string, labels: Labels = {}): Gauge {
    return this.#series(this.#family(name, "gauge", help, labels), labels, () => new PlainGauge());
  }

  /**
   * A number that is asked for when the text is made, for what is known elsewhere anyway. The function returned takes
   * the series away. A later source with the same labels replaces an earlier one. Throws like {@link counter}.
   */
  gaugeFrom(name: string, help: string, source: GaugeSource, labels: Labels = {}): () => void {
    const family = this.#family(name, "gauge", help, labels);
    family.add(labels, source);
    return () => {
      if (family.find(labels) === source) family.remove(labels);
    };
  }

  /** Counts values by upper bound; `buckets` ascend and leave out infinity. Throws like {@link counter}. */
  histogram(name: string, help: string, buckets: readonly number[], labels: Labels = {}): Histogram {
    const family = this.#family(name, "histogram", help, labels, buckets);
    return this.#series(family, labels, () => new PlainHistogram(family.bounds));
  }

  /** All metrics in the Prometheus text format, version 0.0.4. */
  async exposition(): Promise<string> {
    // Loaded here: a program that never shows its metrics does not pay for it.
    const { Registry } = await import("prom-client");
    const registry = new Registry();
    for (const family of this.#families.values()) registry.registerMetric(promMetric(family));
    const own = await registry.metrics();
    if (!this.#processMetrics) return own;
    this.#processText ??= await observeProcess();
    return own + (await this.#processText());
  }

  #family(name: string, kind: MetricKind, help: string, labels: Labels, buckets: readonly number[] = []): MetricFamily {
    const labelNames = Object.keys(labels).sort();
    const existing = this.#families.get(name);
    if (existing) {
      existing.assertSame(kind, labelNames, buckets);
      return existing;
    }
    const family = new MetricFamily(name, kind, help, labelNames, [...buckets]);
    this.#families.set(name, family);
    return family;
  }

  #series<S extends Series>(family: MetricFamily, labels: Labels, create: () => S): S {
    let target = labels;
    let series = family.find(target);
    if (!series && family.size >= this.#maxSeries) {
      target = Object.fromEntries(family.labelNames.map((name) => [name, "other"]));
      series = family.find(target);
    }
    if (!series) {
      series = create();
      family.add(target, series);
    }
    // The family holds one kind only, and assertSame() has compared it.
    return series as S;
  }
}

/** What `Registry.metrics()` of prom-client asks of a metric, answered from a family. */
function promMetric(family: MetricFamily): Metric {
  const metric = {
    name: family.name,
    async get() {
      return { name: family.name, help: family.help, type: family.kind, values: await family.samples() };
    },
  };
  return metric as unknown as Metric;
}

async function observeProcess(): Promise<() => Promise<string>> {
  const { Registry, collectDefaultMetrics } = await import("prom-client");
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  return () => registry.metrics();
}
