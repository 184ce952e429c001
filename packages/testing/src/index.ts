export * from "./backend-test-certificate.ts";
export * from "./http2-frames.ts";
export { echo, type Http2Handler, Http2Origin, type Http2OriginOptions } from "./http2-origin.ts";
export * from "./raw-http2-origin.ts";
export * from "./raw-peer.ts";
export * from "./read-responses.ts";
export * from "./recorder.ts";
export * from "./recording-logger.ts";
