import type { Logger } from "../observability/logger.ts";
import type { MetricsRegistry } from "../observability/metrics-registry.ts";

/**
 * Keeps the process alive when user code throws where nobody catches it, or leaves a rejection alone: it is logged and
 * counted, and all other work goes on (`SRV-12`). The function returned takes the guard away.
 */
export function guardProcess(logger: Logger, metrics: MetricsRegistry): () => void {
  const help = "Errors that no code caught";
  const exceptions = metrics.counter("cirque_uncaught_errors_total", help, { kind: "exception" });
  const rejections = metrics.counter("cirque_uncaught_errors_total", help, { kind: "rejection" });
  // Node raises an unhandled rejection as an uncaught exception unless somebody listens for it separately.
  const report = (error: unknown, origin: string): void => {
    const rejected = origin === "unhandledRejection";
    (rejected ? rejections : exceptions).inc();
    try {
      logger.error({ err: error }, rejected ? "a rejection was not handled" : "an exception was not caught");
    } catch {
      // An error thrown in here would end the process.
    }
  };
  process.on("uncaughtException", report);
  return () => {
    process.off("uncaughtException", report);
  };
}
