import { once } from "node:events";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { MessageChannel, Worker } from "node:worker_threads";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Command, Work } from "../../test/observability/counting-thread.ts";
import { RecordingLogger } from "../../test/server/recording-logger.ts";
import { MetricsRegistry } from "./metrics-registry.ts";

// Each test starts threads, which takes its time on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

let registry: MetricsRegistry;
let logger: RecordingLogger;
let threads: CountingThread[];

beforeEach(() => {
  registry = new MetricsRegistry();
  logger = new RecordingLogger();
  threads = [];
});

afterEach(async () => {
  for (const thread of threads) await thread.kill();
});

describe("the metrics of several threads", () => {
  it("are counters and histograms that are summed, and gauges that are added", async () => {
    registry.counter("a_total", "Counted", { x: "1" }).inc(100);
    registry.gauge("g", "Set").set(1);
    registry.histogram("h", "Observed", [1, 2]).observe(1);
    registry.gaugeFrom("s", "Asked", () => 1_000);
    for (const thread of [await start("1"), await start("2")]) {
      await thread.run({ do: "count", name: "a_total", labels: { x: "1" }, by: 10 });
      await thread.run({ do: "count", name: "a_total", labels: { x: "2" }, by: 1 });
      await thread.run({ do: "set", name: "g", value: 2 });
      await thread.run({ do: "observe", name: "h", buckets: [1, 2], value: 1.5 });
      await thread.run({ do: "source", name: "s", value: 30 });
    }
    expect(await shown()).toMatchObject({
      'a_total{x="1"}': 120,
      'a_total{x="2"}': 2,
      g: 5,
      'h_bucket{le="1"}': 1,
      'h_bucket{le="2"}': 3,
      'h_bucket{le="+Inf"}': 3,
      h_sum: 4,
      h_count: 3,
      s: 1_060,
      early_total: 2,
    });
  });

  it("can be seen for each thread, under its name", async () => {
    registry.counter("a_total", "Counted", { thread: "of the program" }).inc(100);
    registry.counter("b_total", "Counted", { x: "1" }).inc();
    const [first, second] = [await start("1"), await start("2")];
    await first.run({ do: "count", name: "b_total", labels: { x: "1" }, by: 10 });
    await second.run({ do: "observe", name: "h", buckets: [1], value: 0.5 });
    await second.run({ do: "source", name: "s", value: 7 });
    const samples = await shown({ perThread: true });
    expect(samples).toMatchObject({
      'a_total{exported_thread="of the program",thread="main"}': 100,
      'b_total{x="1",thread="main"}': 1,
      'b_total{x="1",thread="1"}': 10,
      'h_bucket{thread="2",le="1"}': 1,
      'h_count{thread="2"}': 1,
      's{thread="2"}': 7,
      'early_total{thread="1"}': 1,
      'early_total{thread="2"}': 1,
    });
    expect(Object.keys(samples).filter((name) => name.startsWith("b_total"))).toHaveLength(2);
  });

  it("appear when they are first used, however late, and go on in further chunks of memory", async () => {
    const thread = await start("1");
    expect(await shown()).not.toHaveProperty("late_total");
    await thread.run({ do: "count", name: "late_total", by: 1 });
    expect(await shown()).toHaveProperty("late_total", 1);
    await thread.run({ do: "count", name: "late_total", by: 1 });
    expect(await shown()).toHaveProperty("late_total", 2);
    for (let index = 0; index < 200; index++) {
      await thread.run({ do: "observe", name: `h${index}`, buckets: [1, 2, 3, 4, 5, 6, 7, 8], value: index });
    }
    expect(await shown()).toMatchObject({ h0_sum: 0, h101_sum: 101, h199_sum: 199, h199_count: 1 });
  });

  it("lose a source that was taken away, and follow one that was replaced", async () => {
    const thread = await start("1");
    await thread.run({ do: "source", name: "s", value: 1 });
    await thread.run({ do: "source", name: "s", value: 2 });
    expect(await shown()).toHaveProperty("s", 2);
    await thread.run({ do: "removeSource", name: "s" });
    expect(await shown()).not.toHaveProperty("s");
  });

  it("keep what a thread has counted that was killed in the middle of it, and never go backwards", async () => {
    let seen = 0;
    for (let round = 0; round < 2; round++) {
      const thread = await start("1");
      void thread.work({ do: "countForEver", name: "a_total" });
      await expect.poll(async () => (await shown()).a_total ?? 0, { timeout: 30_000 }).toBeGreaterThan(seen);
      const before = Number((await shown()).a_total);
      expect(before).toBeGreaterThanOrEqual(seen);
      await thread.kill();
      const after = await shown();
      expect(after.a_total).toBeGreaterThanOrEqual(before);
      expect((await shown({ perThread: true }))['a_total{thread="1"}']).toBe(after.a_total);
      seen = Number(after.a_total);
    }
    expect(await shown()).toMatchObject({ a_total: seen, early_total: 2 });
  });

  it("have what a thread said last, though nobody had looked before it was killed", async () => {
    const thread = await start("1");
    await thread.run({ do: "count", name: "a_total", by: 5 });
    await thread.run({ do: "observe", name: "h", buckets: [1], value: 0.25 });
    await thread.kill();
    expect(await shown()).toMatchObject({ a_total: 5, h_sum: 0.25, 'h_bucket{le="1"}': 1 });
  });

  it("have what a thread counted after it had closed its port", async () => {
    const thread = await start("1");
    await thread.run({ do: "count", name: "a_total", by: 1 });
    await thread.run({ do: "source", name: "s", value: 1 });
    await thread.run({ do: "closePort" });
    await thread.run({ do: "count", name: "a_total", by: 1 });
    const samples = await shown();
    expect(samples).toMatchObject({ a_total: 2, 'cirque_thread_up{thread="1"}': 0 });
    await thread.kill();
    expect(await shown()).toHaveProperty("a_total", 2);
  });

  it("have no gauges of a thread that has ended", async () => {
    registry.gauge("g", "Set").set(1);
    const thread = await start("1");
    await thread.run({ do: "set", name: "g", value: 10 });
    await thread.run({ do: "set", name: "only_there", value: 10 });
    await thread.run({ do: "source", name: "s", value: 10 });
    expect(await shown()).toMatchObject({ g: 11, only_there: 10, s: 10 });
    await thread.kill();
    const samples = await shown();
    expect(samples.g).toBe(1);
    expect(samples).not.toHaveProperty("only_there");
    expect(samples).not.toHaveProperty("s");
  });

  it("are shown without the sources of a thread that is stuck, and with everything else", async () => {
    registry.gaugeFrom("s", "Asked", () => 1);
    const [stuck, other] = [await start("1"), await start("2")];
    await stuck.run({ do: "count", name: "a_total", by: 1 });
    await stuck.run({ do: "set", name: "g", value: 5 });
    await stuck.run({ do: "source", name: "s", value: 10 });
    await stuck.run({ do: "source", name: "only_there", value: 10 });
    await other.run({ do: "source", name: "s", value: 100 });
    const until = new Int32Array(new SharedArrayBuffer(4));
    const released = stuck.work({ do: "block", until });
    for (let round = 0; round < 3; round++) {
      const samples = await shown();
      expect(samples).toMatchObject({ a_total: 1, g: 5, s: 101, only_there: Number.NaN });
      expect(samples).toMatchObject({ 'cirque_thread_up{thread="1"}': 0, 'cirque_thread_up{thread="2"}': 1 });
    }
    Atomics.store(until, 0, 1);
    Atomics.notify(until, 0);
    await released;
    await expect
      .poll(() => shown(), { timeout: 30_000 })
      .toMatchObject({ s: 111, only_there: 10, 'cirque_thread_up{thread="1"}': 1 });
  });

  it("are shown when a thread dies while it is asked", async () => {
    const thread = await start("1");
    await thread.run({ do: "count", name: "a_total", by: 1 });
    void thread.work({ do: "block", until: new Int32Array(new SharedArrayBuffer(4)) });
    const page = shown();
    await thread.kill();
    expect(await page).toMatchObject({ a_total: 1, 'cirque_thread_up{thread="1"}': 0 });
  });

  it("are shown without a source that never answers, and with the others of its thread", async () => {
    const thread = await start("1");
    await thread.run({ do: "sourceWithoutAnswer", name: "silent" });
    await thread.run({ do: "source", name: "s", value: 10 });
    registry.gaugeFrom("silent_here", "Asked", () => new Promise(() => {}));
    const silent = { silent: Number.NaN, silent_here: Number.NaN };
    expect(await shown()).toMatchObject({ ...silent, s: 10, 'cirque_thread_up{thread="1"}': 1 });
  });

  it("are limited to so many series for all threads together, and what goes beyond is not lost", async () => {
    registry = new MetricsRegistry({ maxSeriesPerMetric: 2 });
    registry.counter("a_total", "Counted", { host: "main" }).inc();
    for (const name of ["1", "2"]) {
      const thread = await start(name);
      await thread.run({ do: "count", name: "a_total", labels: { host: "shared" }, by: 1 });
      for (let host = 0; host < 10; host++) {
        await thread.run({ do: "count", name: "a_total", labels: { host: `${name}-${host}` }, by: 1 });
      }
      await shown();
    }
    const expected = { 'a_total{host="main"}': 1, 'a_total{host="shared"}': 2, 'a_total{host="other"}': 20 };
    expect(only("a_total", await shown())).toEqual(expected);
    for (const thread of threads) await thread.kill();
    expect(only("a_total", await shown())).toEqual(expected);
    registry.counter("a_total", "Counted", { host: "late" }).inc();
    expect(only("a_total", await shown())).toEqual({ ...expected, 'a_total{host="other"}': 21 });
  });

  it.each([
    ["no object", "garbage"],
    ["an unknown type", { type: "series?" }],
    ["no labels", { type: "series", name: "x", kind: "counter", help: "", bounds: [], chunk: 0, first: 0 }],
    ["unknown memory", series({ chunk: 7 })],
    ["a place beyond the memory", series({ first: 5_000 })],
    ["buckets beyond the memory", series({ name: "h", kind: "histogram", bounds: [1, 2], first: 1_022 })],
    ["a negative place", series({ first: -1 })],
    ["a bad name", series({ name: "a b" })],
    ["buckets that do not ascend", series({ name: "h", kind: "histogram", bounds: [2, 1] })],
    ["another kind", series({ name: "a_total", kind: "gauge" })],
    ["other labels", series({ name: "a_total", labels: { x: "1" } })],
    ["memory that is not shared", { type: "chunk", chunk: 0, buffer: new ArrayBuffer(8) }],
    ["values that are no numbers", { type: "values", values: new Map([[0, "1"]]), runtime: {} }],
  ])("ignore a description with %s, and say so once", async (_what, message) => {
    registry.counter("a_total", "Counted").inc();
    const thread = await start("1");
    const before = Object.keys(await shown());
    await thread.run({ do: "send", message });
    await thread.run({ do: "send", message });
    await thread.run({ do: "count", name: "a_total", by: 1 });
    const samples = await shown();
    expect(samples).toHaveProperty("a_total", 2);
    expect(Object.keys(samples)).toEqual(before);
    const warnings = logger.records.filter(({ message }) => message === "a metric of the thread is ignored");
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatchObject({ level: "warn", fields: { thread: "1", reason: expect.any(String) } });
  });

  it("cannot keep this thread from using a name in its own way", async () => {
    const thread = await start("1");
    await thread.run({ do: "set", name: "a_total", value: 5 });
    expect(await shown()).toHaveProperty("a_total", 5);
    registry.counter("a_total", "Counted").inc();
    expect(await shown()).toHaveProperty("a_total", 1);
    expect(logger.records).toMatchObject([{ fields: { reason: expect.stringContaining("it is a gauge") } }]);
  });

  it("do not keep a thread alive that has nothing else to do", async () => {
    const thread = await start("1");
    await thread.run({ do: "source", name: "s", value: 1 });
    const ended = thread.ended();
    await thread.run({ do: "listenNoMore" });
    await ended;
    expect(await shown()).toMatchObject({ early_total: 1, 'cirque_thread_up{thread="1"}': 0 });
  });

  it("take no more memory when threads die again and again", async () => {
    const arrayBuffers = liveArrayBuffers();
    for (let round = 0; round < 1_000; round++) {
      const other = new MetricsRegistry();
      const { port1, port2 } = new MessageChannel();
      const end = registry.addThread("1", port1);
      other.shareWith(port2);
      other.counter("a_total", "Counted").inc();
      other.histogram("h", "Observed", [1]).observe(1);
      end();
      end();
    }
    expect(await shown()).toMatchObject({ a_total: 1_000, h_count: 1_000 });
    expect(Object.keys(only("a_total", await shown({ perThread: true })))).toEqual(['a_total{thread="1"}']);
    // They have had 8 MB.
    await expect.poll(() => liveArrayBuffers() - arrayBuffers, { timeout: 30_000 }).toBeLessThan(1_000_000);
  });
});

describe("the metrics about threads", () => {
  it("say whether a thread is there, how busy it is, and how often it was replaced, in both views", async () => {
    const thread = await start("1");
    registry.threadRestarted("2");
    registry.threadRestarted("2");
    for (const perThread of [false, true]) {
      const samples = await shown({ perThread });
      expect(only("cirque_thread_up", samples)).toEqual({
        'cirque_thread_up{thread="main"}': 1,
        'cirque_thread_up{thread="1"}': 1,
        'cirque_thread_up{thread="2"}': 0,
      });
      expect(only("cirque_thread_restarts_total", samples)).toEqual({
        'cirque_thread_restarts_total{thread="1"}': 0,
        'cirque_thread_restarts_total{thread="2"}': 2,
      });
      for (const name of ["main", "1"]) {
        const utilization = samples[`cirque_thread_event_loop_utilization{thread="${name}"}`];
        expect(utilization).toBeGreaterThanOrEqual(0);
        expect(utilization).toBeLessThanOrEqual(1);
        expect(samples[`cirque_thread_heap_used_bytes{thread="${name}"}`]).toBeGreaterThan(1_000_000);
        for (const quantile of ["0.5", "0.99", "1"]) {
          const delay = `cirque_thread_event_loop_delay_seconds{thread="${name}",quantile="${quantile}"}`;
          expect(samples[delay]).toBeGreaterThanOrEqual(0);
        }
      }
    }
    await thread.kill();
    const samples = await shown();
    expect(samples).toMatchObject({ 'cirque_thread_up{thread="1"}': 0, 'cirque_thread_restarts_total{thread="1"}': 0 });
    expect(Object.keys(samples).filter((name) => /heap|event_loop/.test(name) && name.includes('"1"'))).toEqual([
      'cirque_thread_event_loop_delay_seconds{thread="main",quantile="1"}',
    ]);
  });

  it("are not there when there is only one thread", async () => {
    registry.counter("a_total", "Counted").inc();
    expect(await shown()).toEqual({ a_total: 1 });
    expect(await shown({ perThread: true })).toEqual({ 'a_total{thread="main"}': 1 });
  });

  it("show a delay when the event loop was held up", async () => {
    await start("1");
    await shown();
    const blocked = new Int32Array(new SharedArrayBuffer(4));
    const latest = async (): Promise<number | undefined> => {
      Atomics.wait(blocked, 0, 0, 300);
      return (await shown())['cirque_thread_event_loop_delay_seconds{thread="main",quantile="1"}'];
    };
    await expect.poll(latest, { timeout: 30_000 }).toBeGreaterThan(0.2);
  });
});

/** A thread that counts what it is told to, connected to the registry. */
class CountingThread {
  readonly #worker: Worker;
  readonly #end: () => void;

  constructor(name: string) {
    const { port1, port2 } = new MessageChannel();
    this.#worker = new Worker(new URL("../../test/observability/counting-thread.ts", import.meta.url), {
      workerData: { metricsPort: port2 },
      transferList: [port2],
    });
    this.#end = registry.addThread(name, port1, logger);
  }

  async running(): Promise<void> {
    await once(this.#worker, "message");
  }

  /** Resolves when the thread has done it. */
  async run(command: Command): Promise<void> {
    this.#worker.postMessage(command);
    await once(this.#worker, "message");
  }

  /** Resolves when the thread has finished it, if ever. */
  async work(work: Work): Promise<void> {
    this.#worker.postMessage(work);
    await once(this.#worker, "message");
  }

  async ended(): Promise<void> {
    await once(this.#worker, "exit");
    this.#end();
  }

  async kill(): Promise<void> {
    await this.#worker.terminate();
    this.#end();
  }
}

/** Resolves when the thread runs. */
async function start(name: string): Promise<CountingThread> {
  const thread = new CountingThread(name);
  threads.push(thread);
  await thread.running();
  return thread;
}

/** The samples of the page, by their name and labels as they are written. */
async function shown(options?: { readonly perThread: boolean }): Promise<Record<string, number>> {
  const text = await registry.exposition(options);
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return Object.fromEntries(
    lines.map((line) => {
      const end = line.lastIndexOf(" ");
      return [line.slice(0, end), Number(line.slice(end + 1))];
    }),
  );
}

function liveArrayBuffers(): number {
  setFlagsFromString("--expose-gc");
  runInNewContext("gc")();
  return process.memoryUsage().arrayBuffers;
}

function only(name: string, samples: Record<string, number>): Record<string, number> {
  return Object.fromEntries(Object.entries(samples).filter(([key]) => key.startsWith(name)));
}

function series(overrides: object): object {
  const whole = { type: "series", name: "x", kind: "counter", help: "X", labels: {}, bounds: [], chunk: 0, first: 0 };
  return { ...whole, ...overrides };
}
