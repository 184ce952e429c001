import { once } from "node:events";
import { MessageChannel, Worker } from "node:worker_threads";
import { afterEach, describe, expect, it } from "vitest";
import { MetricsRegistry } from "./metrics-registry.ts";

const program = new URL("../../test/observability/counting-thread.ts", import.meta.url);
const started: CountingThread[] = [];

afterEach(async () => {
  for (const thread of started.splice(0)) await thread.end();
});

describe("metrics of several threads", () => {
  it("are added up, those made before and after the thread was added", async () => {
    const registry = new MetricsRegistry();
    registry.counter("late_total", "Made later", { code: "x" }).inc();
    for (const name of ["1", "2"]) await (await CountingThread.start(registry, name)).tell("count");
    const text = await registry.exposition();
    expect(text).toContain("\nearly_total 20\n");
    expect(text).toContain('\nlate_total{code="x"} 5\n');
    expect(text).toContain("\nlevel 6\n");
    expect(text).toContain('\nasked{service="a"} 14\n');
    expect(text).toContain('\nsize_bytes_bucket{le="1"} 0\n');
    expect(text).toContain('\nsize_bytes_bucket{le="10"} 2\n');
    expect(text).toContain("\nsize_bytes_sum 10\nsize_bytes_count 2\n");
  });

  it("are shown for each thread when that is asked for", async () => {
    const registry = new MetricsRegistry();
    registry.counter("late_total", "Made later", { code: "x" }).inc();
    for (const name of ["1", "2"]) await (await CountingThread.start(registry, name)).tell("count");
    const text = await registry.exposition({ perThread: true });
    expect(text).toContain('\nlate_total{code="x",thread="main"} 1\n');
    expect(text).toContain('\nlate_total{code="x",thread="1"} 2\n');
    expect(text).toContain('\nsize_bytes_count{thread="2"} 1\n');
    expect(text).toContain('\nasked{service="a",thread="1"} 7\n');
  });

  it("tell how each thread is", async () => {
    const registry = new MetricsRegistry();
    const thread = await CountingThread.start(registry, "1");
    const text = await registry.exposition();
    for (const name of ["main", "1"]) {
      expect(text).toMatch(new RegExp(`^cirque_thread_event_loop_utilization\\{thread="${name}"\\} [0-9.e-]+$`, "m"));
      expect(text).toMatch(
        new RegExp(`^cirque_thread_event_loop_delay_seconds\\{thread="${name}",quantile="0.99"\\} [0-9.e-]+$`, "m"),
      );
      expect(text).toMatch(new RegExp(`^cirque_thread_heap_used_bytes\\{thread="${name}"\\} [1-9][0-9]+$`, "m"));
    }
    expect(text).toContain('\ncirque_thread_up{thread="1"} 1\n');
    await thread.end();
    expect(await registry.exposition()).not.toContain('cirque_thread_up{thread="1"}');
  });

  it("stay when a thread was killed, but for its gauges, and never go backwards", async () => {
    const registry = new MetricsRegistry();
    for (let life = 1; life <= 3; life++) {
      const thread = await CountingThread.start(registry, "1");
      await thread.tell("count");
      expect(await registry.exposition()).toContain(`\nearly_total ${10 * life}\n`);
      await thread.end();
      const text = await registry.exposition();
      expect(text).toContain(`\nearly_total ${10 * life}\n`);
      expect(text).toContain(`\nsize_bytes_count ${life}\n`);
      expect(text).not.toContain("\nlevel ");
      expect(text).not.toContain("\nasked");
    }
    expect(await registry.exposition({ perThread: true })).toContain('\nearly_total{thread="ended"} 30\n');
  });

  it("are shown as far as they are in shared memory when a thread is stuck", async () => {
    const registry = new MetricsRegistry();
    const thread = await CountingThread.start(registry, "1");
    await thread.tell("count");
    await thread.tell("hang");
    const text = await registry.exposition();
    expect(text).toContain('\nlate_total{code="x"} 2\n');
    expect(text).not.toContain("\nasked");
  });

  it("are shown when the thread dies while it is asked", async () => {
    const registry = new MetricsRegistry();
    const thread = await CountingThread.start(registry, "1");
    await thread.tell("hang");
    const text = registry.exposition();
    await thread.end();
    expect(await text).toContain("\nearly_total 10\n");
  });

  it("keep to the limit of series, and to what the main thread says a metric is", async () => {
    const registry = new MetricsRegistry({ maxSeriesPerMetric: 100 });
    registry.counter("early_total_of_main", "A counter").inc();
    const thread = await CountingThread.start(registry, "1");
    await thread.tell("many");
    await thread.tell("conflict");
    const text = await registry.exposition();
    expect(text.match(/^many_total\{/gm)).toHaveLength(101);
    expect(text).toContain('\nmany_total{i="other"} 2900\n');
    expect(text).toContain("\n# TYPE early_total_of_main counter\nearly_total_of_main 1\n");
  });
});

class CountingThread {
  static async start(registry: MetricsRegistry, name: string): Promise<CountingThread> {
    const { port1, port2 } = new MessageChannel();
    const worker = new Worker(program, { workerData: { port: port2, thread: name }, transferList: [port2] });
    const thread = new CountingThread(worker, registry.addThread(name, port1));
    started.push(thread);
    await once(worker, "message");
    return thread;
  }

  readonly #worker: Worker;
  readonly #ended: () => void;

  private constructor(worker: Worker, ended: () => void) {
    this.#worker = worker;
    this.#ended = ended;
  }

  /** Resolves when the thread has done it, or is about to hang. */
  async tell(command: string): Promise<void> {
    this.#worker.postMessage(command);
    await once(this.#worker, "message");
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
    this.#ended();
  }
}
