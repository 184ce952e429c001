import { pino } from "pino";
import { LogDestination } from "./log-destination.ts";

/** Writes one record: a message, or fields and a message. */
export interface LogMethod {
  (message: string): void;
  (fields: object, message?: string): void;
}

/**
 * What Cirque logs to (`OBS-09`). A pino logger fits as it is, and so does any object with these methods. An error goes
 * into the field `err`.
 */
export interface Logger {
  readonly trace: LogMethod;
  readonly debug: LogMethod;
  readonly info: LogMethod;
  readonly warn: LogMethod;
  readonly error: LogMethod;
  readonly fatal: LogMethod;
  /** A logger that adds these fields to each of its records. */
  child(bindings: Record<string, unknown>): Logger;
}

export type LogLevel = "trace" | "debug" | "info" | "warn" | "error" | "fatal" | "silent";

export interface CreateLoggerOptions {
  /** The lowest level that is written. Default: `"info"`. */
  readonly level?: LogLevel;
  /** A file, opened for append and created when missing, or an open descriptor. Default: 2, the standard error. */
  readonly destination?: string | number;
  /** Fields of each record, beside `level`, `time`, `pid` and `msg`. Default: none. */
  readonly fields?: Readonly<Record<string, unknown>>;
}

/**
 * A pino logger that writes JSON lines. Writing never blocks the event loop and never ends the process: records are
 * dropped while 1 MiB of them wait, and when the destination fails (disk full, reader gone). A file that was moved away is
 * opened again by {@link reopenLogs}, or SIGUSR1.
 *
 * @throws CirqueError `FileOpenError` when the file cannot be opened.
 */
export function createLogger(options: CreateLoggerOptions = {}): Logger {
  const fields = { pid: process.pid, ...options.fields };
  const destination = new LogDestination(options.destination ?? 2, fields);
  return pino({ level: options.level ?? "info", base: fields }, destination);
}

/** A logger that drops everything: for tests and for embedding. */
export const silentLogger: Logger = {
  trace: ignore,
  debug: ignore,
  info: ignore,
  warn: ignore,
  error: ignore,
  fatal: ignore,
  child: () => silentLogger,
};

function ignore(): void {}
