export { type CommandLine, commandLineOptions, parseCommandLine, toCommandLine, usage } from "./command-line.ts";
export type * from "./execution-phase.ts";
export type { ReloadListener } from "./reload.ts";
export { type RunOptions, Server } from "./server.ts";
export type { ServerOptions } from "./server-setup.ts";
export type { ServerRequest, ShutdownSource, StopMode } from "./shutdown-signal.ts";
