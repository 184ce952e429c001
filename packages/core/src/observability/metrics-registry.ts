import type { MessagePort } from "node:worker_threads";
import { observeProcess, type ShownMetric, writeExposition } from "./exposition.ts";
import { type Logger, silentLogger } from "./logger.ts";
import type { Counter, Gauge, Histogram, Labels } from "./metric.ts";
import { type Entry, invalid, MetricFamily, type MetricKind, type Part, type SlotSeries } from "./metric-family.ts";
import { MetricSlots } from "./metric-slots.ts";
import { SharedMetrics } from "./shared-metrics.ts";
import { type GaugeSource, SourceGauge } from "./source-gauge.ts";
import { ThreadMetrics } from "./thread-metrics.ts";
import { ThreadsOfMetrics } from "./threads-of-metrics.ts";

export interface MetricsRegistryOptions {
  /** Whether CPU, memory, event loop and garbage collection of the process are shown as well. Default: `false`. */
  readonly processMetrics?: boolean;
  /**
   * How many label combinations one metric may have, those of all threads together. Further ones share one series whose
   * label values are `other`, so that a label taken from requests cannot fill the memory. Default: 10,000.
   */
  readonly maxSeriesPerMetric?: number;
}

export interface ExpositionOptions {
  /**
   * Whether each thread has series of its own, told by the label `thread`: `main`, or the name of the thread. Default:
   * `false`, which shows sums.
   */
  readonly perThread?: boolean;
}

/**
 * Metrics by name and labels (`OBS-10`). Ask for a handle once and keep it: the same name and labels give the same
 * handle, and a handle does nothing but add. The Prometheus text is made when it is asked for.
 *
 * The numbers are in memory that threads share. A server connects the registries of its threads, so that the one of the
 * main thread shows them all.
 *
 * @example
 * const refused = registry.counter("shop_refused_total", "Orders refused", { reason: "stock" });
 * refused.inc();
 */
export class MetricsRegistry {
  readonly #owner = { name: "main" };
  readonly #slots = new MetricSlots();
  readonly #families = new Map<string, MetricFamily>();
  readonly #sources = new Set<SourceGauge>();
  readonly #processMetrics: boolean;
  readonly #maxSeries: number;
  #shares: readonly SharedMetrics[] = [];
  #threads: ThreadsOfMetrics | undefined;
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
    return this.#handle(this.#ownFamily(name, "counter", help, labels), labels) as SlotSeries & Counter;
  }

  /** A number that goes up and down. Throws like {@link counter}. */
  gauge(name: string, help: string, labels: Labels = {}): Gauge {
    const family = this.#ownFamily(name, "gauge", help, labels);
    if (this.#sourcePart(family.entry(labels), family.key(labels))) throw invalid(name, "a source tells its value");
    return this.#handle(family, labels) as SlotSeries & Gauge;
  }

  /**
   * A number that is asked for when the text is made, for what is known elsewhere anyway. It is not a number while the
   * source fails, or has not answered within 800 ms. The function returned takes the series away. A later source with
   * the same labels replaces an earlier one. Throws like {@link counter}.
   */
  gaugeFrom(name: string, help: string, source: GaugeSource, labels: Labels = {}): () => void {
    const family = this.#ownFamily(name, "gauge", help, labels);
    const key = family.key(labels);
    const entry = family.entry(labels);
    if (entry.own && family.key(entry.labels) === key)
      throw invalid(name, "it is set, and no source can tell its value");
    const earlier = this.#sourcePart(entry, key);
    const series = new SourceGauge(source, key);
    this.#add(family, entry, { owner: this.#owner, series });
    this.#sources.add(series);
    if (earlier) this.#removeSource(family, entry, earlier);
    return () => {
      const part = entry.parts.values().find((candidate) => candidate.series === series);
      if (part) this.#removeSource(family, entry, part as SourcePart);
    };
  }

  /** Counts values by upper bound; `buckets` ascend and leave out infinity. Throws like {@link counter}. */
  histogram(name: string, help: string, buckets: readonly number[], labels: Labels = {}): Histogram {
    return this.#handle(this.#ownFamily(name, "histogram", help, labels, buckets), labels) as SlotSeries & Histogram;
  }

  /**
   * All metrics in the Prometheus text format, version 0.0.4. A thread that does not answer within a second costs its
   * gauges from sources, and nothing else.
   */
  async exposition({ perThread = false }: ExpositionOptions = {}): Promise<string> {
    await Promise.all([...Array.from(this.#sources, (source) => source.refresh()), this.#threads?.refresh()]);
    const shown: ShownMetric[] = Array.from(this.#families.values(), (family) => {
      return { name: family.name, help: family.help, kind: family.kind, samples: family.samples(perThread) };
    });
    const ofThreads = this.#threads?.metrics(this.#owner) ?? [];
    const text = await writeExposition([...shown, ...ofThreads.filter(({ name }) => !this.#families.has(name))]);
    if (!this.#processMetrics) return text;
    this.#processText ??= await observeProcess();
    return text + (await this.#processText());
  }

  /**
   * Shows the metrics of this thread, present and future ones, to the thread at the other side of the port, which has
   * called {@link addThread}. For the registry of a data thread; a server calls it.
   */
  shareWith(port: MessagePort): void {
    const share = new SharedMetrics(port);
    this.#shares = [...this.#shares, share];
    for (const family of this.#families.values()) {
      for (const entry of family.entries()) {
        for (const part of entry.parts) if (part.owner === this.#owner) share.add(family, entry, part);
      }
    }
  }

  /**
   * Shows the metrics of another thread with its own: counters and histograms are summed, and so are gauges. A server
   * calls it for each data thread.
   *
   * @param name The value of the label `thread`. A thread that takes the place of another one has its name.
   * @param port Its other side was given to {@link shareWith} in the thread. It is closed in the end.
   * @param logger Told of metrics of the thread that cannot be shown. Default: none.
   * @returns To be called when the thread has ended, however it did: what it has counted stays in the sums, its gauges
   *   go.
   */
  addThread(name: string, port: MessagePort, logger: Logger = silentLogger): () => void {
    this.#threads ??= new ThreadsOfMetrics();
    const threads = this.#threads;
    const thread = new ThreadMetrics(name, port, {
      logger,
      family: (metric, kind, help, labels, bounds) => this.#family(metric, kind, help, labels, bounds),
    });
    threads.add(thread);
    return () => threads.end(thread, this.#families.values(), this.#slots);
  }

  /** Counts a thread that died and was replaced, in `cirque_thread_restarts_total`. */
  threadRestarted(name: string): void {
    this.#threads ??= new ThreadsOfMetrics();
    this.#threads.restarted(name);
  }

  #family(name: string, kind: MetricKind, help: string, labels: Labels, bounds: readonly number[]): MetricFamily {
    const labelNames = Object.keys(labels).sort();
    const existing = this.#families.get(name);
    if (existing) {
      existing.assertSame(kind, labelNames, bounds);
      return existing;
    }
    const family = new MetricFamily(name, kind, help, labelNames, [...bounds], this.#maxSeries);
    this.#families.set(name, family);
    return family;
  }

  #ownFamily(
    name: string,
    kind: MetricKind,
    help: string,
    labels: Labels,
    bounds: readonly number[] = [],
  ): MetricFamily {
    try {
      const family = this.#family(name, kind, help, labels, bounds);
      family.ownedHere = true;
      return family;
    } catch (error) {
      const existing = this.#families.get(name);
      if (!existing || existing.ownedHere) throw error;
      // What another thread has made of the name must not make this one fail.
      this.#families.delete(name);
      for (const { owner } of existing.parts()) if (owner instanceof ThreadMetrics) owner.refuse(String(error));
      return this.#ownFamily(name, kind, help, labels, bounds);
    }
  }

  #handle(family: MetricFamily, labels: Labels): SlotSeries {
    const entry = family.entry(labels);
    if (!entry.own) {
      entry.own = family.createSeries(this.#slots.take(family.slotsPerSeries));
      this.#add(family, entry, { owner: this.#owner, series: entry.own });
    }
    return entry.own;
  }

  #add(family: MetricFamily, entry: Entry, part: Part): void {
    entry.parts.add(part);
    for (const share of this.#shares) share.add(family, entry, part);
  }

  #sourcePart(entry: Entry, key: string): SourcePart | undefined {
    return entry.parts.values().find((part): part is SourcePart => {
      return part.series instanceof SourceGauge && part.series.key === key;
    });
  }

  #removeSource(family: MetricFamily, entry: Entry, part: SourcePart): void {
    family.remove(entry, part);
    this.#sources.delete(part.series);
    for (const share of this.#shares) share.remove(part.series);
  }
}

interface SourcePart extends Part {
  readonly series: SourceGauge;
}
