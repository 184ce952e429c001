import type { HttpConnector, Logger } from "@cirque/core";
import type { HttpModuleFactory } from "../modules/http-module.ts";
import type { ProxyHttp } from "../proxy-http.ts";
import type { ProxyMetrics } from "../proxy-metrics.ts";
import type { RetryRules } from "../retry/retry-rules.ts";
import type { Subrequests } from "../subrequests/subrequests.ts";

/** Where sessions with origins come from. */
export type OriginConnector = Pick<HttpConnector, "keptSession" | "newSession" | "release" | "close">;

/** What the exchanges of a proxy share. */
export interface ExchangeEnvironment<Ctx> {
  readonly callbacks: ProxyHttp<Ctx>;
  /** In their order; undefined when there are none. */
  readonly modules: readonly HttpModuleFactory[] | undefined;
  readonly upstreamModules: readonly HttpModuleFactory[] | undefined;
  readonly connector: OriginConnector;
  readonly logger: Logger;
  readonly metrics: ProxyMetrics;
  /** How often an origin is asked at most (ERRP-01). */
  readonly maxAttempts: number;
  readonly retry: RetryRules;
  /** How much of a request body is kept for another attempt (H1S-31). */
  readonly retryBufferBytes: number;
  /** How long a callback may take to settle. */
  readonly callbackTimeoutMs: number;
  /** Silence in both directions after which a tunnel is closed. */
  readonly tunnelIdleTimeoutMs: number;
  readonly subrequests: Subrequests;
  readonly isShuttingDown: () => boolean;
}
