import type { MessagePort } from "node:worker_threads";
import type { FamilySnapshot, MetricKind } from "./family-snapshot.ts";
import type { Labels } from "./metric.ts";
import { numbersOf } from "./metric-family.ts";

/** What a thread tells of its metrics: once for each chunk and each series, and when it is asked. */
export type FromThread =
  | { readonly type: "chunk"; readonly index: number; readonly buffer: SharedArrayBuffer }
  | ({ readonly type: "series" } & SharedSeries)
  | { readonly type: "sources"; readonly request: number; readonly families: readonly FamilySnapshot[] };

/** Asks for the values that are not in shared memory. */
export interface ToThread {
  readonly type: "askSources";
  readonly request: number;
}

/** A series, and where its numbers are. */
export interface SharedSeries {
  readonly name: string;
  readonly kind: MetricKind;
  readonly help: string;
  readonly labelNames: readonly string[];
  readonly bounds: readonly number[];
  readonly labels: Labels;
  readonly chunk: number;
  readonly first: number;
}

/** How long a thread may take to answer. One that is stuck shows what is in shared memory, and nothing else. */
const answerTimeoutMs = 1_000;

/** The metrics of another thread, seen from the main thread. */
export class ThreadMetrics {
  readonly thread: string;
  readonly #port: MessagePort;
  readonly #chunks: Float64Array[] = [];
  readonly #series: SharedSeries[] = [];
  readonly #answers = new Map<number, (families: readonly FamilySnapshot[]) => void>();
  #requests = 0;

  constructor(thread: string, port: MessagePort) {
    this.thread = thread;
    this.#port = port;
    port.on("message", (message: FromThread) => this.#onMessage(message));
    // Metrics alone keep no process alive.
    port.unref();
  }

  /** What is in shared memory: to be had at any time, also when the thread is gone. */
  shared(): FamilySnapshot[] {
    const families = new Map<string, FamilySnapshot & { readonly series: { labels: Labels; numbers: number[] }[] }>();
    for (const { name, kind, help, labelNames, bounds, labels, chunk, first } of this.#series) {
      const numbers = this.#chunks[chunk];
      if (!numbers) continue;
      let family = families.get(name);
      if (!family) {
        family = { name, kind, help, labelNames, bounds, series: [] };
        families.set(name, family);
      }
      family.series.push({ labels, numbers: numbersOf(kind, bounds, { numbers, first }) });
    }
    return [...families.values()];
  }

  /** What has to be asked for; none when the thread does not answer in time. */
  async sources(): Promise<readonly FamilySnapshot[]> {
    const request = this.#requests++;
    const { promise, resolve } = Promise.withResolvers<readonly FamilySnapshot[]>();
    const timer = setTimeout(resolve, answerTimeoutMs, []);
    this.#answers.set(request, resolve);
    this.#port.postMessage({ type: "askSources", request } satisfies ToThread);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#answers.delete(request);
    }
  }

  /** Answers what is still asked for with nothing. */
  end(): void {
    for (const answer of this.#answers.values()) answer([]);
  }

  #onMessage(message: FromThread): void {
    if (message.type === "chunk") this.#chunks[message.index] = new Float64Array(message.buffer);
    else if (message.type === "series") this.#series.push(message);
    else this.#answers.get(message.request)?.(message.families);
  }
}
