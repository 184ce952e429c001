import { parentPort, workerData } from "node:worker_threads";
import type { Labels } from "../../src/observability/metric.ts";
import { MetricsRegistry } from "../../src/observability/metrics-registry.ts";

/** What the thread is told to do. It answers each with a message when it is done. */
export type Command =
  | { readonly do: "count"; readonly name: string; readonly labels?: Labels; readonly by: number }
  | { readonly do: "set"; readonly name: string; readonly value: number }
  | { readonly do: "observe"; readonly name: string; readonly buckets: readonly number[]; readonly value: number }
  | { readonly do: "source"; readonly name: string; readonly value: number }
  | { readonly do: "removeSource"; readonly name: string }
  | { readonly do: "sourceWithoutAnswer"; readonly name: string }
  | { readonly do: "send"; readonly message: unknown }
  | { readonly do: "closePort" }
  | { readonly do: "listenNoMore" };

/** What the thread never finishes: counting, and waiting until the first number of `until` is not 0. */
export type Work =
  | { readonly do: "countForEver"; readonly name: string }
  | { readonly do: "block"; readonly until: Int32Array<SharedArrayBuffer> };

const { metricsPort } = workerData;
const registry = new MetricsRegistry();
registry.counter("early_total", "Counted before it is shared").inc();
registry.shareWith(metricsPort);
const removals = new Map<string, () => void>();

function run(command: Command | Work): void {
  switch (command.do) {
    case "count":
      registry.counter(command.name, "Counted", command.labels).inc(command.by);
      break;
    case "set":
      registry.gauge(command.name, "Set").set(command.value);
      break;
    case "observe":
      registry.histogram(command.name, "Observed", command.buckets).observe(command.value);
      break;
    case "source":
      removals.set(
        command.name,
        registry.gaugeFrom(command.name, "Asked", () => command.value),
      );
      break;
    case "removeSource":
      removals.get(command.name)?.();
      break;
    case "sourceWithoutAnswer":
      registry.gaugeFrom(command.name, "Asked", () => new Promise(() => {}));
      break;
    case "send":
      metricsPort.postMessage(command.message);
      break;
    case "closePort":
      metricsPort.close();
      break;
    case "listenNoMore":
      parentPort?.unref();
      break;
    case "countForEver": {
      const counter = registry.counter(command.name, "Counted");
      for (;;) counter.inc();
    }
    case "block":
      Atomics.wait(command.until, 0, 0);
      break;
  }
}

parentPort?.on("message", (command: Command | Work) => {
  run(command);
  parentPort?.postMessage("done");
});
parentPort?.postMessage("running");
