/** One record that was logged: its level, message, and fields with those of the logger. */
export interface LogRecord {
  readonly level: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A logger that keeps what it is told. */
export class RecordingLogger {
  readonly records: LogRecord[];
  readonly #bindings: Readonly<Record<string, unknown>>;

  constructor(records: LogRecord[] = [], bindings: Readonly<Record<string, unknown>> = {}) {
    this.records = records;
    this.#bindings = bindings;
  }

  readonly trace: LogMethod = this.#method("trace");
  readonly debug: LogMethod = this.#method("debug");
  readonly info: LogMethod = this.#method("info");
  readonly warn: LogMethod = this.#method("warn");
  readonly error: LogMethod = this.#method("error");
  readonly fatal: LogMethod = this.#method("fatal");

  child(bindings: Record<string, unknown>): RecordingLogger {
    return new RecordingLogger(this.records, { ...this.#bindings, ...bindings });
  }

  /** The messages of one level. */
  messages(level: string): string[] {
    return this.records.filter((record) => record.level === level).map((record) => record.message);
  }

  #method(level: string): LogMethod {
    return (first: string | object, message?: string) => {
      const fields = typeof first === "string" ? {} : first;
      const text = typeof first === "string" ? first : (message ?? "");
      this.records.push({ level, message: text, fields: { ...this.#bindings, ...fields } });
    };
  }
}

/** As in `Logger` of the core, which this package knows nothing of. */
interface LogMethod {
  (message: string): void;
  (fields: object, message?: string): void;
}
