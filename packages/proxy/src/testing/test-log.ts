import { type CirqueError, isCirqueError, type Logger, type LogMethod } from "@cirque/core";

/** One record of the log. */
export interface TestLogRecord {
  readonly level: "trace" | "debug" | "info" | "warn" | "error" | "fatal";
  readonly message: string;
  /** The field `err`. */
  readonly error: CirqueError | undefined;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A logger that adds to a list. */
export function testLogger(records: TestLogRecord[], bindings: Record<string, unknown> = {}): Logger {
  const at =
    (level: TestLogRecord["level"]): LogMethod =>
    (first: string | object, second?: string) => {
      const fields: Record<string, unknown> = { ...bindings, ...(typeof first === "object" && first) };
      const message = typeof first === "string" ? first : (second ?? "");
      records.push({ level, message, error: isCirqueError(fields.err) ? fields.err : undefined, fields });
    };
  return {
    trace: at("trace"),
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    fatal: at("fatal"),
    child: (more) => testLogger(records, { ...bindings, ...more }),
  };
}
