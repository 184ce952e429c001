import { describe, expect, it } from "vitest";
import { durationBuckets } from "./metric.ts";
import { MetricsRegistry } from "./metrics-registry.ts";

describe("MetricsRegistry", () => {
  it("gives the same handle for the same name and labels, in whatever order the labels are named", () => {
    const registry = new MetricsRegistry();
    const first = registry.counter("a_total", "A", { x: "1", y: "2" });
    expect(registry.counter("a_total", "A", { y: "2", x: "1" })).toBe(first);
    expect(registry.counter("a_total", "A", { x: "1", y: "3" })).not.toBe(first);
    expect(registry.gauge("g", "G")).toBe(registry.gauge("g", "G"));
    expect(registry.histogram("h", "H", [1, 2])).toBe(registry.histogram("h", "H", [1, 2]));
  });

  it("writes counters, gauges and histograms in the Prometheus text format", async () => {
    const registry = new MetricsRegistry();
    const ok = registry.counter("requests_total", "Requests", { status: "200" });
    ok.inc();
    ok.inc(2);
    registry.counter("requests_total", "Requests", { status: "500" }).inc();
    const gauge = registry.gauge("open", "Open");
    gauge.set(5);
    gauge.add(-2);
    const histogram = registry.histogram("seconds", "Duration", [0.1, 1], { route: "a" });
    for (const value of [0.05, 0.1, 0.5, 7]) histogram.observe(value);
    expect(ok.value).toBe(3);
    expect(gauge.value).toBe(3);
    expect(histogram.count).toBe(4);
    expect(await registry.exposition()).toBe(`# HELP requests_total Requests
# TYPE requests_total counter
requests_total{status="200"} 3
requests_total{status="500"} 1

# HELP open Open
# TYPE open gauge
open 3

# HELP seconds Duration
# TYPE seconds histogram
seconds_bucket{route="a",le="0.1"} 2
seconds_bucket{route="a",le="1"} 3
seconds_bucket{route="a",le="+Inf"} 4
seconds_sum{route="a"} 7.65
seconds_count{route="a"} 4
`);
  });

  it("keeps a hostile label value on one line", async () => {
    const registry = new MetricsRegistry();
    registry.counter("a_total", "A\nB", { path: 'x"} 1\nforged 2\\' }).inc();
    const lines = (await registry.exposition()).trimEnd().split("\n");
    expect(lines).toEqual([
      "# HELP a_total A\\nB",
      "# TYPE a_total counter",
      'a_total{path="x\\"} 1\\nforged 2\\\\"} 1',
    ]);
  });

  it("asks a source for its value each time, and leaves it out when it was taken away", async () => {
    const registry = new MetricsRegistry();
    let value = 1;
    const remove = registry.gaugeFrom("g", "G", async () => value, { of: "x" });
    expect(await registry.exposition()).toContain('g{of="x"} 1\n');
    value = 2;
    expect(await registry.exposition()).toContain('g{of="x"} 2\n');
    remove();
    expect(await registry.exposition()).not.toContain('g{of="x"}');
  });

  it("asks only the latest of the sources with the same labels, and the earlier one cannot take it away", async () => {
    const registry = new MetricsRegistry();
    const removeFirst = registry.gaugeFrom("g", "G", () => 1, { of: "x" });
    registry.gaugeFrom("g", "G", () => 2, { of: "x" });
    removeFirst();
    expect(await registry.exposition()).toContain('g{of="x"} 2\n');
  });

  it("adds up sources of further label combinations when there are too many", async () => {
    const registry = new MetricsRegistry({ maxSeriesPerMetric: 1 });
    const removals = [1, 10, 100].map((value) => registry.gaugeFrom("g", "G", () => value, { of: `${value}` }));
    registry.gaugeFrom("g", "G", () => 20, { of: "10" });
    expect(await registry.exposition()).toMatch(/^g\{of="1"\} 1\ng\{of="other"\} 120$/m);
    for (const remove of removals) remove();
    expect(await registry.exposition()).toMatch(/TYPE g gauge\ng\{of="other"\} 20\n/);
  });

  it("does not ask a source again that has not answered", async () => {
    const registry = new MetricsRegistry();
    const answer = Promise.withResolvers<number>();
    let asked = 0;
    registry.gaugeFrom("slow", "S", () => {
      asked++;
      return answer.promise;
    });
    const pages = Promise.all([registry.exposition(), registry.exposition()]);
    answer.resolve(7);
    for (const page of await pages) expect(page).toContain("slow 7\n");
    expect(asked).toBe(1);
    await registry.exposition();
    expect(asked).toBe(2);
  });

  it.each(["1", undefined, null, {}])("shows no number when a source gives %j", async (value) => {
    const registry = new MetricsRegistry();
    registry.gaugeFrom("g", "G", () => value as number);
    expect(await registry.exposition()).toContain("g Nan\n");
  });

  it("shows the other metrics when a source fails", async () => {
    const registry = new MetricsRegistry();
    registry.gaugeFrom("broken", "B", () => {
      throw new Error("no value");
    });
    registry.counter("a_total", "A").inc();
    const text = await registry.exposition();
    expect(text).toContain("broken Nan\n");
    expect(text).toContain("a_total 1\n");
  });

  it("puts further label combinations into one series when there are too many", async () => {
    const registry = new MetricsRegistry({ maxSeriesPerMetric: 2 });
    const known = registry.counter("a_total", "A", { host: "h0" });
    for (let index = 0; index < 100; index++) registry.counter("a_total", "A", { host: `h${index}` }).inc();
    expect(registry.counter("a_total", "A", { host: "h0" })).toBe(known);
    expect((await registry.exposition()).split("\n").filter((line) => line.startsWith("a_total"))).toEqual([
      'a_total{host="h0"} 1',
      'a_total{host="h1"} 1',
      'a_total{host="other"} 98',
    ]);
  });

  it("counts a value that is not a number beyond all bounds", () => {
    const histogram = new MetricsRegistry().histogram("h", "H", durationBuckets);
    histogram.observe(Number.NaN);
    expect(histogram.count).toBe(1);
  });

  it("shows the process when asked to", async () => {
    const registry = new MetricsRegistry({ processMetrics: true });
    registry.counter("a_total", "A").inc();
    const text = await registry.exposition();
    expect(text).toContain("a_total 1\n");
    expect(text).toMatch(/^process_resident_memory_bytes \d+/m);
    expect(text).toMatch(/^nodejs_eventloop_lag_seconds /m);
    expect(await new MetricsRegistry().exposition()).not.toContain("process_");
  });

  it.each([
    ["another kind", (r: MetricsRegistry) => r.gauge("a_total", "A"), "it is a counter and cannot be a gauge as well"],
    ["other labels", (r: MetricsRegistry) => r.counter("a_total", "A", { x: "1" }), "its labels are [] and not [x]"],
    ["other buckets", (r: MetricsRegistry) => r.histogram("h", "H", [2]), "its buckets are [1]"],
    ["a value for what a source tells", (r: MetricsRegistry) => r.gauge("asked", "A"), "a source tells its value"],
    ["a source for what is set", (r: MetricsRegistry) => r.gaugeFrom("set", "S", () => 1), "it is set"],
    ["a bad name", (r: MetricsRegistry) => r.counter("a b", "A"), "the name is not one that Prometheus accepts"],
    ["a bad label", (r: MetricsRegistry) => r.counter("b", "B", { "x-y": "1" }), '"x-y" is not a label name'],
    ["a reserved label", (r: MetricsRegistry) => r.histogram("i", "I", [1], { le: "1" }), '"le" is not a label name'],
    ["buckets that do not ascend", (r: MetricsRegistry) => r.histogram("i", "I", [1, 1]), "finite and ascending"],
    ["an infinite bucket", (r: MetricsRegistry) => r.histogram("i", "I", [1, Infinity]), "finite and ascending"],
  ])("refuses %s", (_what, use, message) => {
    const registry = new MetricsRegistry();
    registry.counter("a_total", "A");
    registry.histogram("h", "H", [1]);
    registry.gaugeFrom("asked", "A", () => 1);
    registry.gauge("set", "S");
    expect(() => use(registry)).toThrow(expect.objectContaining({ code: "InvalidArgument" }));
    expect(() => use(registry)).toThrow(message);
  });
});
