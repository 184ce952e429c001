export type { BodyChunk } from "./body-chunk.ts";
export { defaultFailToProxy, type FailToProxy } from "./fail-to-proxy.ts";
export { HttpProxy, type HttpProxyOptions } from "./http-proxy.ts";
export { httpProxyService } from "./http-proxy-service.ts";
export type { MaybePromise } from "./maybe-promise.ts";
export * from "./modules/index.ts";
export type {
  EndCallbacks,
  PeerCallbacks,
  ProxyHttp,
  RequestCallbacks,
  ResponseCallbacks,
  UpstreamRequestCallbacks,
} from "./proxy-http.ts";
export type { BackOffOptions } from "./retry/back-off.ts";
export type { CircuitBreakerOptions } from "./retry/circuit-breaker.ts";
export type { RetryBudgetOptions } from "./retry/retry-budget.ts";
export type { RetryPolicy } from "./retry/retry-policy.ts";
export { requestSummary, Session, type UpstreamFacts } from "./session.ts";
export type { ParentRequest, SubrequestLimits, SubrequestOptions } from "./subrequests/subrequest.ts";
