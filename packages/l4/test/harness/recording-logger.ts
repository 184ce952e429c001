import type { Logger } from "@cirque/core";

/** One record that was logged: its level, message, and fields with those of the logger. */
export interface LogRecord {
  readonly level: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A logger that keeps what it is told. */
export class RecordingLogger implements Logger {
  readonly records: LogRecord[];
  readonly #bindings: Readonly<Record<string, unknown>>;

  constructor(records: LogRecord[] = [], bindings: Readonly<Record<string, unknown>> = {}) {
    this.records = records;
    this.#bindings = bindings;
  }

  readonly trace = this.#method("trace");
  readonly debug = this.#method("debug");
  readonly info = this.#method("info");
  readonly warn = this.#method("warn");
  readonly error = this.#method("error");
  readonly fatal = this.#method("fatal");

  child(bindings: Record<string, unknown>): RecordingLogger {
    return new RecordingLogger(this.records, { ...this.#bindings, ...bindings });
  }

  /** The messages of one level. */
  messages(level: string): string[] {
    return this.records.filter((record) => record.level === level).map((record) => record.message);
  }

  #method(level: string): Logger["info"] {
    return (first: string | object, message?: string) => {
      const fields = typeof first === "string" ? {} : first;
      const text = typeof first === "string" ? first : (message ?? "");
      this.records.push({ level, message: text, fields: { ...this.#bindings, ...fields } });
    };
  }
}
