import type { MessagePort } from "node:worker_threads";
import type { Metric } from "prom-client";
import {
  type FamilySnapshot,
  type MetricKind,
  mergeSnapshots,
  samplesOf,
  type ThreadSnapshot,
} from "./family-snapshot.ts";
import {
  type Counter,
  type Gauge,
  type Histogram,
  histogramLength,
  type Labels,
  SlotCounter,
  SlotGauge,
  SlotHistogram,
} from "./metric.ts";
import { type GaugeSource, MetricFamily, type SlotSeries } from "./metric-family.ts";
import { MetricSlots, type SlotRange } from "./metric-slots.ts";
import { showThreadFacts } from "./thread-facts.ts";
import { type FromThread, type SharedSeries, ThreadMetrics, type ToThread } from "./thread-metrics.ts";

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
  readonly #slots = new MetricSlots();
  readonly #threads = new Set<ThreadMetrics>();
  #showsThreads = false;
  /** What threads that have ended have counted. */
  #ended: MetricsRegistry | undefined;
  /** Told of each series that is kept in slots. */
  #onSeries: ((family: MetricFamily, labels: Labels, slots: SlotRange) => void) | undefined;
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
    return this.#series(
      this.#family(name, "counter", help, labels),
      labels,
      () => new SlotCounter(this.#slots.allocate(1)),
    );
  }

  /** A number that goes up and down. Throws like {@link counter}. */
  gauge(name: string, help: string, labels: Labels = {}): Gauge {
    return this.#series(
      this.#family(name, "gauge", help, labels),
      labels,
      () => new SlotGauge(this.#slots.allocate(1)),
    );
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
    const create = (): SlotHistogram =>
      new SlotHistogram(family.bounds, this.#slots.allocate(histogramLength(family.bounds)));
    return this.#series(family, labels, create);
  }

  /**
   * All metrics in the Prometheus text format, version 0.0.4: those of all threads together, or with `perThread` each
   * thread by itself, with a label `thread`.
   */
  async exposition(options: ExpositionOptions = {}): Promise<string> {
    // Loaded here: a program that never shows its metrics does not pay for it.
    const { Registry } = await import("prom-client");
    const registry = new Registry();
    const merged = mergeSnapshots(await this.#snapshots(), {
      perThread: options.perThread ?? false,
      maxSeries: this.#maxSeries,
    });
    for (const family of merged) registry.registerMetric(promMetric(family));
    const own = await registry.metrics();
    if (!this.#processMetrics) return own;
    this.#processText ??= await observeProcess();
    return own + (await this.#processText());
  }

  /**
   * In a data thread: lets the registry of the main thread see the metrics of this one. Counters and histograms are in
   * shared memory, so the main thread has them also when this thread is stuck or gone.
   */
  shareWith(port: MessagePort, thread: string): void {
    const post = (message: FromThread): void => port.postMessage(message);
    this.#slots.onChunk = (buffer, index) => post({ type: "chunk", index, buffer });
    this.#slots.chunks.forEach((buffer, index) => {
      post({ type: "chunk", index, buffer });
    });
    this.#onSeries = (family, labels, slots) => post({ type: "series", ...sharedSeries(family, labels, slots) });
    for (const family of this.#families.values()) {
      for (const { labels, slots } of family.slots()) this.#onSeries(family, labels, slots);
    }
    port.on("message", async ({ request }: ToThread) => {
      const families = (await this.#sources()).filter(({ series }) => series.length > 0);
      post({ type: "sources", request, families });
    });
    port.unref();
    showThreadFacts(this, thread);
  }

  /**
   * In the main thread: shows the metrics of a data thread, which has called {@link shareWith} with the other port, as
   * well. The function returned is called when the thread has ended: what it counted stays, and its gauges go.
   */
  addThread(thread: string, port: MessagePort): () => void {
    if (!this.#showsThreads) {
      this.#showsThreads = true;
      showThreadFacts(this, mainThread);
    }
    const metrics = new ThreadMetrics(thread, port);
    this.#threads.add(metrics);
    const removeUp = this.gaugeFrom("cirque_thread_up", "1 for each data thread that runs", () => 1, { thread });
    return () => {
      if (!this.#threads.delete(metrics)) return;
      removeUp();
      metrics.end();
      this.#ended ??= new MetricsRegistry({ maxSeriesPerMetric: this.#maxSeries });
      this.#ended.#absorb(metrics.shared());
    };
  }

  /** Those of this thread, of the threads that run, and of those that have ended. */
  async #snapshots(): Promise<ThreadSnapshot[]> {
    const [ownSources, ...threadSources] = await Promise.all([
      this.#sources(),
      ...Array.from(this.#threads, async (metrics) => ({ metrics, sources: await metrics.sources() })),
    ]);
    // From here on in one go: what a thread has counted must not be there twice because it ends in between.
    return [
      { thread: mainThread, families: [...this.#kept(), ...ownSources] },
      ...threadSources
        .filter(({ metrics }) => this.#threads.has(metrics))
        .map(({ metrics, sources }) => ({ thread: metrics.thread, families: [...metrics.shared(), ...sources] })),
      { thread: "ended", families: this.#ended ? this.#ended.#kept() : [] },
    ];
  }

  #kept(): FamilySnapshot[] {
    return Array.from(this.#families.values(), (family) => family.snapshot());
  }

  #sources(): Promise<FamilySnapshot[]> {
    return Promise.all(Array.from(this.#families.values(), (family) => family.sources()));
  }

  /** Adds what another registry has counted. */
  #absorb(families: readonly FamilySnapshot[]): void {
    for (const { name, kind, help, bounds, series } of families) {
      if (kind === "gauge") continue;
      for (const { labels, numbers } of series) {
        try {
          const own =
            kind === "counter" ? this.counter(name, help, labels) : this.histogram(name, help, bounds, labels);
          // Both are kept in slots.
          addTo((own as SlotCounter | SlotHistogram).slots, numbers);
        } catch {
          // Threads that have ended used the name for different things, which cannot be added.
        }
      }
    }
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

  #series<S extends SlotSeries>(family: MetricFamily, labels: Labels, create: () => S): S {
    let target = labels;
    let series = family.find(target);
    if (!series && family.size >= this.#maxSeries) {
      target = Object.fromEntries(family.labelNames.map((name) => [name, "other"]));
      series = family.find(target);
    }
    if (!series) {
      const created = create();
      series = created;
      family.add(target, created);
      this.#onSeries?.(family, target, created.slots);
    }
    // The family holds one kind only, and assertSame() has compared it.
    return series as S;
  }
}

/** How {@link MetricsRegistry.exposition} shows the metrics. */
export interface ExpositionOptions {
  /** Whether each thread is shown by itself, with a label `thread`. Default: `false`, the sum. */
  readonly perThread?: boolean;
}

/** The name of the main thread in the label `thread`. */
const mainThread = "main";

function sharedSeries(family: MetricFamily, labels: Labels, { chunk, first }: SlotRange): SharedSeries {
  const { name, kind, help, labelNames, bounds } = family;
  return { name, kind, help, labelNames, bounds, labels, chunk, first };
}

function addTo({ numbers: own, first }: SlotRange, numbers: readonly number[]): void {
  numbers.forEach((number, index) => {
    own[first + index] = (own[first + index] ?? 0) + number;
  });
}

/** What `Registry.metrics()` of prom-client asks of a metric, answered from a family. */
function promMetric(family: FamilySnapshot): Metric {
  const { name, help, kind } = family;
  const metric = {
    name,
    async get() {
      return { name, help, type: kind, values: samplesOf(family) };
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
