import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";

/** One line of the program's log. */
export interface LogRecord {
  readonly msg: string;
  readonly [field: string]: unknown;
}

/** The JSON lines on the standard error of a program. */
export class Log {
  readonly #records: LogRecord[] = [];
  readonly #waiting = new Set<() => void>();
  #ended = false;

  constructor(child: ChildProcess) {
    if (!child.stderr) throw new Error("the standard error of the program is not a pipe");
    const lines = createInterface({ input: child.stderr });
    lines.on("line", (line) => {
      this.#records.push(parseRecord(line));
      this.#wake();
    });
    lines.on("close", () => {
      this.#ended = true;
      this.#wake();
    });
  }

  /** The processes that have written to it. */
  get pids(): ReadonlySet<number> {
    return new Set(this.#records.flatMap(({ pid }) => (typeof pid === "number" ? [pid] : [])));
  }

  /** How many records there are. */
  get length(): number {
    return this.#records.length;
  }

  /** The first record from this place on that fits, as soon as it is there. Rejects when the program ended without. */
  async next(from: number, fits: (record: LogRecord) => boolean): Promise<LogRecord> {
    for (;;) {
      const record = this.#records.slice(from).find(fits);
      if (record) return record;
      if (this.#ended) throw new Error(`the program ended; its log:\n${this}`);
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  toString(): string {
    return this.#records.map((record) => JSON.stringify(record)).join("\n");
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }
}

/** Reads a line of a log; one that is not JSON is all message. */
export function parseRecord(line: string): LogRecord {
  try {
    return JSON.parse(line);
  } catch {
    return { msg: line };
  }
}
