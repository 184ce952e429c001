import { parentPort, workerData } from "node:worker_threads";
import { MetricsRegistry } from "../../src/observability/metrics-registry.ts";

// A thread that counts what it is told to, and shares its metrics through the port in its worker data.
const { port, thread } = workerData;
const registry = new MetricsRegistry();
registry.counter("early_total", "Made before it is shared").inc(10);
registry.shareWith(port, thread);
registry.gaugeFrom("asked", "Asked for", () => 7, { service: "a" });
parentPort?.on("message", (command: string) => {
  if (command === "count") {
    registry.counter("late_total", "Made later", { code: "x" }).inc(2);
    registry.histogram("size_bytes", "Sizes", [1, 10]).observe(5);
    registry.gauge("level", "Up and down").set(3);
  }
  if (command === "many")
    for (let i = 0; i < 3_000; i++) registry.counter("many_total", "Many", { i: String(i) }).inc();
  if (command === "conflict") registry.gauge("early_total_of_main", "Another kind").set(1);
  parentPort?.postMessage("done");
  if (command === "hang") for (;;);
});
parentPort?.postMessage("ready");
