import type { MessagePort } from "node:worker_threads";
import type { Labels } from "./metric.ts";
import type { Entry, MetricFamily, Part } from "./metric-family.ts";
import type { MetricMessage } from "./metric-messages.ts";
import type { SlotRange } from "./slot-metrics.ts";
import { SourceGauge } from "./source-gauge.ts";
import { ThreadRuntime } from "./thread-runtime.ts";

/** Shows the metrics of this thread to another one: it tells where they are, and answers for what is not in memory. */
export class SharedMetrics {
  readonly #port: MessagePort;
  readonly #runtime = new ThreadRuntime();
  readonly #chunks = new Map<Float64Array, number>();
  readonly #sources = new Map<SourceGauge, number>();
  #nextSource = 0;

  constructor(port: MessagePort) {
    this.#port = port;
    port.on("message", () => void this.#answer());
    port.on("close", () => this.#runtime.stop());
    // A thread that has nothing else to do may end.
    port.unref();
  }

  /** Tells of a series of this thread. */
  add(family: MetricFamily, { labels: shown }: Entry, { series }: Part): void {
    const labels = strings(shown);
    const { name, kind, help } = family;
    if (series instanceof SourceGauge) {
      const source = this.#nextSource++;
      this.#sources.set(series, source);
      this.#tell({ type: "source", source, name, help, labels });
      return;
    }
    // Each series of this thread but those of sources is in slots.
    const { slots, first } = series as unknown as SlotRange;
    const chunk = this.#chunkOf(slots);
    this.#tell({ type: "series", name, kind, help, labels, bounds: [...family.bounds], chunk, first });
  }

  /** Tells that a source was taken away. */
  remove(gauge: SourceGauge): void {
    const source = this.#sources.get(gauge);
    if (source === undefined) return;
    this.#sources.delete(gauge);
    this.#tell({ type: "sourceRemoved", source });
  }

  #chunkOf(slots: Float64Array): number {
    const known = this.#chunks.get(slots);
    if (known !== undefined) return known;
    const chunk = this.#chunks.size;
    this.#chunks.set(slots, chunk);
    // All slots of a registry are in shared memory.
    this.#tell({ type: "chunk", chunk, buffer: slots.buffer as unknown as SharedArrayBuffer });
    return chunk;
  }

  async #answer(): Promise<void> {
    await Promise.all(Array.from(this.#sources.keys(), (gauge) => gauge.refresh()));
    const values = new Map(Array.from(this.#sources, ([gauge, source]) => [source, gauge.value]));
    this.#tell({ type: "values", values, runtime: this.#runtime.read() });
  }

  #tell(message: MetricMessage): void {
    this.#port.postMessage(message);
  }
}

/** A label value that is no string, from a program that is not type-checked, must not fail here either. */
function strings(labels: Labels): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).map(([name, value]) => [name, String(value)]));
}
