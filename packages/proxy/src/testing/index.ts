export type { CallbackName } from "./callback-trace.ts";
export type { OriginRequest } from "./memory-client-session.ts";
export type { TestConnect } from "./memory-connector.ts";
export type { TestLogRecord } from "./test-log.ts";
export {
  connectionReset,
  connectRefused,
  connectTimedout,
  OriginResponse,
  type OriginResponseInit,
  type TestOrigin,
} from "./test-origin.ts";
export { type TestExchange, TestProxy, type TestProxyOptions, type TestSubrequest, testProxy } from "./test-proxy.ts";
export type { TestRequestInit } from "./test-request.ts";
