export { reopenLogs } from "./log-destination.ts";
export * from "./logger.ts";
export { type Counter, durationBuckets, type Gauge, type Histogram, type Labels } from "./metric.ts";
export * from "./metrics-registry.ts";
export * from "./metrics-service.ts";
export type { GaugeSource } from "./source-gauge.ts";
