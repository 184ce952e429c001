export { reopenLogs } from "./log-destination.ts";
export * from "./logger.ts";
export { type Counter, durationBuckets, type Gauge, type Histogram, type Labels } from "./metric.ts";
export type { GaugeSource } from "./metric-family.ts";
export * from "./metrics-registry.ts";
export * from "./metrics-service.ts";
