import type { Metric } from "prom-client";
import type { Sample } from "./metric-family.ts";

/** One metric, ready to be written. */
export interface ShownMetric {
  readonly name: string;
  readonly help: string;
  readonly kind: "counter" | "gauge" | "histogram";
  readonly samples: readonly Sample[];
}

/** The metrics in the Prometheus text format, version 0.0.4. */
export async function writeExposition(metrics: Iterable<ShownMetric>): Promise<string> {
  // Loaded here: a program that never shows its metrics does not pay for it.
  const { Registry } = await import("prom-client");
  const registry = new Registry();
  for (const metric of metrics) registry.registerMetric(promMetric(metric));
  return registry.metrics();
}

/** The text with the metrics of the process, each time it is called. */
export async function observeProcess(): Promise<() => Promise<string>> {
  const { Registry, collectDefaultMetrics } = await import("prom-client");
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  return () => registry.metrics();
}

/** What `Registry.metrics()` of prom-client asks of a metric. */
function promMetric({ name, help, kind, samples }: ShownMetric): Metric {
  const metric = { name, get: async () => ({ name, help, type: kind, values: samples }) };
  return metric as unknown as Metric;
}
