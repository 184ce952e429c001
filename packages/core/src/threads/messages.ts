import type { MessagePort } from "node:worker_threads";
import type { ServerConfiguration } from "../configuration/server-configuration.ts";
import { CirqueError, isCirqueError } from "../errors/cirque-error.ts";
import type { ErrorCode } from "../errors/error-catalogue.ts";
import type { CommandLine } from "../server/command-line.ts";
import type { StopMode } from "../server/shutdown-signal.ts";
import type { ServiceSocket } from "./listening-sockets.ts";

/** What the main thread tells a data thread. Services are named by their keys, which are the same in all threads. */
export type ToDataThread =
  | { readonly type: "stop"; readonly mode: StopMode; readonly handedOver: boolean }
  | { readonly type: "serviceReady"; readonly key: string }
  | { readonly type: "serviceStopped"; readonly key: string }
  | { readonly type: "published"; readonly key: string; readonly value: unknown }
  | { readonly type: "prepareReload"; readonly configuration: ServerConfiguration }
  | { readonly type: "endReload"; readonly commit: boolean }
  | { readonly type: "reopenLogs" };

/** What a data thread tells the main thread. */
export type FromDataThread =
  | { readonly type: "ready"; readonly services: readonly string[] }
  | { readonly type: "failed"; readonly failure: Failure }
  | { readonly type: "stopped" }
  | { readonly type: "requestStop"; readonly mode: StopMode }
  | { readonly type: "serviceReady"; readonly key: string }
  | { readonly type: "serviceStopped"; readonly key: string }
  | { readonly type: "published"; readonly key: string; readonly value: unknown }
  | { readonly type: "listening"; readonly socket: ServiceSocket }
  | { readonly type: "closed"; readonly socket: ServiceSocket }
  | { readonly type: "reloadPrepared"; readonly failure: Failure | undefined };

/** An error, as far as it can cross threads whatever it holds. */
export interface Failure {
  readonly code: ErrorCode;
  readonly message: string;
}

export function failureOf(error: unknown): Failure {
  const message = error instanceof Error ? error.message : String(error);
  return { code: isCirqueError(error) ? error.code : "InternalError", message };
}

/** The error of another thread. */
export function errorOf(thread: number, { code, message }: Failure): CirqueError {
  return CirqueError.internal(code, message, { context: { thread } });
}

/** What a data thread starts from. */
export interface DataThreadStart {
  /** From 1. */
  readonly index: number;
  readonly dataThreads: number;
  readonly commandLine: CommandLine;
  readonly configuration: ServerConfiguration;
  /** The sockets of the former process, for this thread. */
  readonly inherited: readonly ServiceSocket[];
  /** The sockets of the former process, for other threads. */
  readonly elsewhere: readonly ServiceSocket[];
  /** Addresses as they were configured, by kind and address, and the ones to bind in their place. */
  readonly assigned: ReadonlyMap<string, string>;
  readonly published: ReadonlyMap<string, unknown>;
  /** The keys of services in the main thread that are ready. */
  readonly ready: readonly string[];
  readonly port: MessagePort;
  readonly metricsPort: MessagePort;
}
