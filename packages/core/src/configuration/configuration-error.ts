import { CirqueError } from "../errors/cirque-error.ts";

/** One thing that is wrong, and where. */
export interface ConfigurationProblem {
  /** Absent when the settings did not come from a file. */
  readonly file?: string;
  /** From 1. */
  readonly line?: number;
  /** From 1. */
  readonly column?: number;
  /** As it is written in the file. */
  readonly key?: string;
  readonly reason: string;
}

/** Everything that is wrong with a configuration: each problem is one line of the message. Code `InvalidConfiguration`. */
export class ConfigurationError extends CirqueError {
  readonly problems: readonly ConfigurationProblem[];

  constructor(problems: readonly ConfigurationProblem[], options: ErrorOptions = {}) {
    const message = problems.map(formatProblem).join("\n");
    super("InvalidConfiguration", message, { source: "internal", ...options });
    this.problems = problems;
  }
}

/** `cirque.yaml:3:10: threads: expected a whole number from 1 to 1024, found "two"` */
export function formatProblem({ file, line, column, key, reason }: ConfigurationProblem): string {
  const place = [file, line, column].filter((part) => part !== undefined).join(":");
  return [place, key, reason].filter((part) => part !== undefined && part !== "").join(": ");
}

/** A value of a configuration, short enough for one line of a message. */
export function describeValue(value: unknown): string {
  if (value === null || value === undefined) return "nothing";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a map";
  const text = typeof value === "string" ? JSON.stringify(value) : String(value);
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}
