export { ConfigurationError, type ConfigurationProblem } from "./configuration-error.ts";
export { createConfiguration, type PartialConfiguration } from "./create-configuration.ts";
export * from "./format-configuration.ts";
export * from "./load-configuration.ts";
export { type LoadedConfiguration, parseConfiguration } from "./parse-configuration.ts";
export type * from "./server-configuration.ts";
