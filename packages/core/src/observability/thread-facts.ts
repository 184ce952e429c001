import { monitorEventLoopDelay, performance } from "node:perf_hooks";
import { getHeapStatistics } from "node:v8";
import type { MetricsRegistry } from "./metrics-registry.ts";

const resolutionMs = 20;

/** Shows how the thread that calls it is: its event loop and its heap, with the label `thread`. */
export function showThreadFacts(registry: MetricsRegistry, thread: string): void {
  const labels = { thread };
  const delay = monitorEventLoopDelay({ resolution: resolutionMs });
  delay.enable();
  let last = performance.eventLoopUtilization();
  registry.gaugeFrom(
    "cirque_thread_event_loop_utilization",
    "The part of the time since the last look that the event loop was busy, from 0 to 1",
    () => {
      const now = performance.eventLoopUtilization();
      const { utilization } = performance.eventLoopUtilization(now, last);
      last = now;
      return utilization;
    },
    labels,
  );
  const quantiles = [
    ["0.5", () => delay.percentile(50)],
    ["0.99", () => delay.percentile(99)],
    ["1", () => delay.max],
  ] as const;
  for (const [quantile, read] of quantiles) {
    registry.gaugeFrom(
      "cirque_thread_event_loop_delay_seconds",
      "How late timers ran since the last look, at most, in this part of the cases",
      () => {
        // The monitor counts from one look to the next.
        const seconds = Math.max(0, read() / 1e9 - resolutionMs / 1e3) || 0;
        // The last one that is read.
        if (quantile === "1") delay.reset();
        return seconds;
      },
      { ...labels, quantile },
    );
  }
  registry.gaugeFrom(
    "cirque_thread_heap_used_bytes",
    "Memory that objects of the thread use",
    () => getHeapStatistics().used_heap_size,
    labels,
  );
}
