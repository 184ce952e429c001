export * from "./backend-test-certificate.ts";
export * from "./raw-peer.ts";
export * from "./read-responses.ts";
export * from "./recorder.ts";
export * from "./recording-logger.ts";
