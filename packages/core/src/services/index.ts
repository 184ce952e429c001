export * from "./background-service.ts";
export type * from "./connection-handler.ts";
export * from "./listening-service.ts";
export { NodeHttpConnections, type NodeHttpLimits } from "./node-http-connections.ts";
export type * from "./service.ts";
export * from "./service-handle.ts";
