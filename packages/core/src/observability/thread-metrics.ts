import { type MessagePort, receiveMessageOnPort } from "node:worker_threads";
import type { Logger } from "./logger.ts";
import type { Labels } from "./metric.ts";
import type { Entry, MetricFamily, MetricKind, MetricOwner, Part } from "./metric-family.ts";
import { type MetricMessage, type MetricRequest, parseMetricMessage, type RuntimeFacts } from "./metric-messages.ts";

/** How long a thread may take to answer. */
const answerTimeoutMs = 1_000;

/** How many different problems with a thread's messages are logged. */
const mostProblems = 100;

/** Where the series of a thread are shown. */
export interface ThreadMetricsTarget {
  /** @throws CirqueError `InvalidArgument` when the metric cannot be shown. */
  family(name: string, kind: MetricKind, help: string, labels: Labels, bounds: readonly number[]): MetricFamily;
  readonly logger: Logger;
}

/** The metrics of another thread, as that thread tells of them through its port. */
export class ThreadMetrics implements MetricOwner {
  readonly name: string;
  /** What was last answered; undefined when the thread did not answer. */
  runtime: RuntimeFacts | undefined;
  readonly #port: MessagePort;
  readonly #target: ThreadMetricsTarget;
  readonly #chunks = new Map<number, Float64Array>();
  readonly #sources = new Map<number, RemoteSource>();
  readonly #problems = new Set<string>();
  #question: Question | undefined;
  #closed = false;

  constructor(name: string, port: MessagePort, target: ThreadMetricsTarget) {
    this.name = name;
    this.#port = port;
    this.#target = target;
    port.on("message", (message: unknown) => this.#receive(message));
    port.on("close", () => this.#onClose());
    // Metrics alone keep no process alive.
    port.unref();
  }

  /**
   * Asks the thread for what is not in its memory. A thread that does not answer in time loses these values, and is not
   * waited for again before it has answered.
   */
  async refresh(): Promise<void> {
    if (this.#closed) return;
    this.#question ??= this.#ask();
    const { askedAt, answered } = this.#question;
    const remainingMs = askedAt + answerTimeoutMs - performance.now();
    if (remainingMs > 0) {
      const timer = setTimeout(answered.resolve, remainingMs, false);
      const inTime = await answered.promise;
      clearTimeout(timer);
      if (inTime) return;
    }
    this.#forgetValues();
  }

  /** Takes what the thread has still said before it ended. Nothing is taken afterwards. */
  end(): void {
    for (;;) {
      const received = receiveMessageOnPort(this.#port);
      if (!received) break;
      this.#receive(received.message);
    }
    this.#port.removeAllListeners("message");
    this.#onClose();
    this.#port.close();
  }

  /** A metric of the thread cannot be shown. */
  refuse(reason: string): void {
    if (this.#problems.has(reason) || this.#problems.size >= mostProblems) return;
    this.#problems.add(reason);
    this.#target.logger.warn({ thread: this.name, reason }, "a metric of the thread is ignored");
  }

  #ask(): Question {
    this.#port.postMessage("read" satisfies MetricRequest);
    return { askedAt: performance.now(), answered: Promise.withResolvers() };
  }

  #onClose(): void {
    this.#closed = true;
    this.#question?.answered.resolve(false);
    this.#forgetValues();
  }

  #receive(message: unknown): void {
    const parsed = parseMetricMessage(message);
    if (!parsed) {
      this.refuse("its description is malformed");
      return;
    }
    try {
      this.#apply(parsed);
    } catch (error) {
      this.refuse(error instanceof Error ? error.message : String(error));
    }
  }

  #apply(message: MetricMessage): void {
    switch (message.type) {
      case "chunk":
        this.#chunks.set(message.chunk, new Float64Array(message.buffer));
        break;
      case "series":
        this.#addSeries(message);
        break;
      case "source":
        this.#addSource(message);
        break;
      case "sourceRemoved":
        this.#removeSource(message.source);
        break;
      case "values":
        this.#takeValues(message);
        break;
    }
  }

  #addSeries({ name, kind, help, labels, bounds, chunk, first }: Message<"series">): void {
    const slots = this.#chunks.get(chunk);
    const length = kind === "histogram" ? bounds.length + 2 : 1;
    if (!slots || first + length > slots.length) {
      this.refuse(`metric ${JSON.stringify(name)}: it is in memory that was not shared`);
      return;
    }
    const family = this.#target.family(name, kind, help, labels, bounds);
    family.entry(labels).parts.add({ owner: this, series: family.createSeries({ slots, first }) });
  }

  #addSource({ source, name, help, labels }: Message<"source">): void {
    const family = this.#target.family(name, "gauge", help, labels, []);
    this.#removeSource(source);
    const entry = family.entry(labels);
    const part = { owner: this, series: { value: Number.NaN } };
    entry.parts.add(part);
    this.#sources.set(source, { family, entry, part });
  }

  #removeSource(source: number): void {
    const known = this.#sources.get(source);
    if (!known) return;
    this.#sources.delete(source);
    known.family.remove(known.entry, known.part);
  }

  #takeValues({ values, runtime }: Message<"values">): void {
    this.runtime = runtime;
    for (const [source, { part }] of this.#sources) part.series.value = values.get(source) ?? Number.NaN;
    this.#question?.answered.resolve(true);
    this.#question = undefined;
  }

  #forgetValues(): void {
    this.runtime = undefined;
    for (const { part } of this.#sources.values()) part.series.value = Number.NaN;
  }
}

/** A question that the thread has not answered. */
interface Question {
  readonly askedAt: number;
  /** Whether it was answered in time. */
  readonly answered: PromiseWithResolvers<boolean>;
}

/** A gauge whose value the thread is asked for. */
interface RemoteSource {
  readonly family: MetricFamily;
  readonly entry: Entry;
  readonly part: Part & { readonly series: { value: number } };
}

type Message<T extends MetricMessage["type"]> = Extract<MetricMessage, { readonly type: T }>;
