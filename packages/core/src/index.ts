export * from "./address/index.ts";
export * from "./configuration/index.ts";
export * from "./errors/index.ts";
export * from "./listeners/index.ts";
export * from "./observability/index.ts";
export * from "./services/index.ts";
