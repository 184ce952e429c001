import type { ShownMetric } from "./exposition.ts";
import type { MetricFamily, MetricOwner } from "./metric-family.ts";
import type { RuntimeFacts } from "./metric-messages.ts";
import type { MetricSlots } from "./metric-slots.ts";
import type { ThreadMetrics } from "./thread-metrics.ts";
import { ThreadRuntime } from "./thread-runtime.ts";

/** The threads that a registry shows beside its own: those that live, and what is kept of those that have ended. */
export class ThreadsOfMetrics {
  readonly #runtime = new ThreadRuntime();
  readonly #living = new Set<ThreadMetrics>();
  readonly #restarts = new Map<string, number>();
  readonly #former = new Map<string, MetricOwner>();

  add(thread: ThreadMetrics): void {
    this.#living.add(thread);
    this.#restarts.set(thread.name, this.#restarts.get(thread.name) ?? 0);
  }

  /** Keeps what a thread has counted, and forgets the thread. Ending it again does nothing. */
  end(thread: ThreadMetrics, families: Iterable<MetricFamily>, slots: MetricSlots): void {
    if (!this.#living.delete(thread)) return;
    thread.end();
    let former = this.#former.get(thread.name);
    if (!former) {
      former = { name: thread.name };
      this.#former.set(thread.name, former);
    }
    for (const family of families) family.end(thread, former, slots);
  }

  restarted(name: string): void {
    this.#restarts.set(name, (this.#restarts.get(name) ?? 0) + 1);
  }

  /** Asks all threads for what is not in their memory. */
  async refresh(): Promise<void> {
    await Promise.all(Array.from(this.#living, (thread) => thread.refresh()));
  }

  /** What is known of the threads themselves. */
  metrics(own: MetricOwner): ShownMetric[] {
    const answers = new Map<string, RuntimeFacts>([[own.name, this.#runtime.read()]]);
    for (const { name, runtime } of this.#living) if (runtime) answers.set(name, runtime);
    const up = [own.name, ...this.#restarts.keys()].map((thread) => [thread, answers.has(thread) ? 1 : 0] as const);
    return [
      metric("cirque_thread_up", "gauge", "Whether the thread runs and answers", up),
      metric("cirque_thread_restarts_total", "counter", "Threads that died and were replaced", this.#restarts),
      metric(
        "cirque_thread_event_loop_utilization",
        "gauge",
        "The share of time that the event loop was busy, since the metrics were last shown",
        facts(answers, ({ utilization }) => utilization),
      ),
      delays(answers),
      metric(
        "cirque_thread_heap_used_bytes",
        "gauge",
        "Memory used by JavaScript",
        facts(answers, ({ heapUsedBytes }) => heapUsedBytes),
      ),
    ];
  }
}

type Values = Iterable<readonly [thread: string, value: number]>;

function metric(name: string, kind: ShownMetric["kind"], help: string, values: Values): ShownMetric {
  const samples = Array.from(values, ([thread, value]) => ({ metricName: name, labels: { thread }, value }));
  return { name, kind, help, samples };
}

function facts(answers: ReadonlyMap<string, RuntimeFacts>, fact: (facts: RuntimeFacts) => number): Values {
  return Array.from(answers, ([thread, answer]) => [thread, fact(answer)]);
}

function delays(answers: ReadonlyMap<string, RuntimeFacts>): ShownMetric {
  const name = "cirque_thread_event_loop_delay_seconds";
  const samples = Array.from(answers, ([thread, { delayP50, delayP99, delayMax }]) => {
    const quantiles = { "0.5": delayP50, "0.99": delayP99, "1": delayMax };
    return Object.entries(quantiles).map(([quantile, value]) => {
      return { metricName: name, labels: { thread, quantile }, value };
    });
  });
  const help = "How late timers fired since the metrics were last shown: the median, the 99th percentile, the latest";
  return { name, kind: "gauge", help, samples: samples.flat() };
}
