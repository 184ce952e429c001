import type { Logger, MetricsRegistry } from "@cirque/core";
import type { HttpProxyOptions } from "../http-proxy.ts";
import { orderedModules } from "../modules/module-list.ts";
import type { ProxyHttp } from "../proxy-http.ts";
import { ProxyMetrics } from "../proxy-metrics.ts";
import { RetryRules } from "../retry/retry-rules.ts";
import type { ExchangeEnvironment, OriginConnector } from "./environment.ts";

/** What a proxy runs in. */
export interface Surroundings {
  readonly connector: OriginConnector;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  readonly isShuttingDown: () => boolean;
}

/**
 * The environment of exchanges that follows from the options of a proxy; subrequests are added by whoever runs exchanges.
 *
 * @throws CirqueError, RangeError for options that are not valid.
 */
export function createEnvironment<Ctx>(
  callbacks: ProxyHttp<Ctx>,
  options: HttpProxyOptions,
  { connector, logger, metrics, isShuttingDown }: Surroundings,
): Omit<ExchangeEnvironment<Ctx>, "subrequests"> {
  const {
    maxAttempts = 3,
    retry = {},
    retryBufferBytes = 64 * 1024,
    callbackTimeoutMs = 60_000,
    tunnelIdleTimeoutMs = 3_600_000,
    name = "http",
  } = options;
  return {
    callbacks,
    modules: orderedModules("modules", options.modules),
    upstreamModules: orderedModules("upstreamModules", options.upstreamModules),
    connector,
    logger,
    metrics: new ProxyMetrics(metrics, name),
    maxAttempts,
    retry: new RetryRules(retry, logger, metrics, name),
    retryBufferBytes,
    callbackTimeoutMs,
    tunnelIdleTimeoutMs,
    isShuttingDown,
  };
}
