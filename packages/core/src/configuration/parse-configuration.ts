import {
  type Document,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  type YAMLParseError,
} from "yaml";
import { ConfigurationError, type ConfigurationProblem, describeValue, formatProblem } from "./configuration-error.ts";
import { type ConfigurationKey, checkValue, configurationKeys, storedValue } from "./configuration-keys.ts";
import { completeConfiguration } from "./create-configuration.ts";
import { nearestKey } from "./near-miss.ts";
import type { ServerConfiguration } from "./server-configuration.ts";

/** A configuration that was read, and what its author should know about it. */
export interface LoadedConfiguration {
  readonly configuration: ServerConfiguration;
  /** One line each: probable misspellings, values without effect. */
  readonly warnings: readonly string[];
}

/** Tells why the value of a setting cannot be used, beyond its form. */
export type ValueCheck = (key: ConfigurationKey, value: unknown) => string | undefined;

/**
 * Reads the text of a configuration file. Each setting may be written by the name it has in code (`pidFile`,
 * `gracePeriodMs`) or by the key that Pingora's files use (`pid_file`, `grace_period_seconds`). Keys that are not known
 * are kept in `userSettings`.
 *
 * @param file The name to use in messages.
 * @param check Called for each value that has the right form.
 * @throws ConfigurationError that names file, line, column and key of everything that is wrong.
 */
export function parseConfiguration(text: string, file = "configuration", check?: ValueCheck): LoadedConfiguration {
  return new Reader(file, check).read(text);
}

const mostWarnings = 20;

class Reader {
  readonly #file: string;
  readonly #check: ValueCheck | undefined;
  readonly #lines = new LineCounter();
  readonly #problems: ConfigurationProblem[] = [];
  readonly #warnings: string[] = [];
  readonly #values: Record<string, unknown> = {};
  readonly #writtenAs = new Map<string, string>();
  readonly #userSettings: [string, unknown][] = [];

  constructor(file: string, check: ValueCheck | undefined) {
    this.#file = file;
    this.#check = check;
  }

  read(text: string): LoadedConfiguration {
    const document = this.#parse(text);
    for (const error of document.errors) this.#problem(error.pos[0], undefined, parserReason(error));
    for (const warning of document.warnings) this.#warn(warning.pos[0], undefined, yamlReason(warning.message));
    if (this.#problems.length === 0) this.#readTop(document);
    if (this.#problems.length > 0) throw new ConfigurationError(this.#problems);
    const configuration = completeConfiguration(this.#values, Object.fromEntries(this.#userSettings));
    return { configuration, warnings: this.#warnings.slice(0, mostWarnings) };
  }

  #parse(text: string): Document.Parsed {
    try {
      return parseDocument(text, { lineCounter: this.#lines, prettyErrors: false });
    } catch (error) {
      // The parser recurses: brackets nested by the thousand exhaust the stack.
      const reason = error instanceof RangeError ? "nested too deeply" : `cannot be parsed: ${error}`;
      throw new ConfigurationError([{ file: this.#file, reason }], { cause: error });
    }
  }

  #readTop(document: Document.Parsed): void {
    const top: unknown = document.contents;
    if (top === null || (isScalar(top) && top.value === null)) return;
    if (!isMap(top)) {
      this.#problem(startOf(top), undefined, `expected settings such as "threads: 1", found ${describeNode(top)}`);
      return;
    }
    for (const { key, value } of top.items) {
      const name = isScalar(key) ? String(key.value) : undefined;
      const known = configurationKeys.find((entry) => entry.name === name || entry.alias === name);
      const position = startOf(key);
      const read = this.#valueOf(document, isNode(value) ? value : null, position, name);
      if (!read) continue;
      if (known && name !== undefined) this.#readKnown(known, name, read.value, isNode(value) ? value : null, position);
      else this.#readUnknown(name ?? String(key), read.value, position);
    }
  }

  #readKnown(key: ConfigurationKey, name: string, value: unknown, node: Node | null, keyPosition: number): void {
    const other = this.#writtenAs.get(key.name);
    if (other !== undefined) {
      this.#problem(keyPosition, name, `the same setting as ${other} above; keep one of them`);
      return;
    }
    this.#writtenAs.set(key.name, name);
    if (value === null && key.default === undefined) return;
    const factor = name === key.alias && name !== key.name ? key.aliasFactor : 1;
    const problem = checkValue(key, value, factor);
    if (!problem) {
      const stored = storedValue(value, factor);
      const reason = this.#check?.(key, stored);
      if (reason === undefined) this.#values[key.name] = stored;
      else this.#problem(node ? startOf(node) : keyPosition, name, reason);
      return;
    }
    const inner = innerNode(node, problem.path);
    const found = problem.path.reduce<unknown>((outer, step) => Object(outer)[step], value);
    const where = inner ? startOf(inner) : keyPosition;
    const written = name + problem.path.map((step) => `[${step}]`).join("");
    this.#problem(where, written, `expected ${problem.expected}, found ${describeValue(found)}`);
  }

  #readUnknown(name: string, value: unknown, position: number): void {
    this.#userSettings.push([name, value]);
    const meant = nearestKey(name);
    if (meant !== undefined) this.#warn(position, name, `unknown key, kept but not used; did you mean ${meant}?`);
  }

  #valueOf(
    document: Document.Parsed,
    node: Node | null,
    position: number,
    key: string | undefined,
  ): { readonly value: unknown } | undefined {
    try {
      return { value: node === null ? null : node.toJS(document, { maxAliasCount: 100 }) };
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#problem(position, key, yamlReason(reason));
      return undefined;
    }
  }

  #problem(offset: number, key: string | undefined, reason: string): void {
    this.#problems.push(this.#place(offset, key, reason));
  }

  #warn(offset: number, key: string | undefined, reason: string): void {
    this.#warnings.push(formatProblem(this.#place(offset, key, reason)));
  }

  #place(offset: number, key: string | undefined, reason: string): ConfigurationProblem {
    const { line, col } = this.#lines.linePos(offset);
    return { file: this.#file, line, column: col, reason, ...(key === undefined ? {} : { key }) };
  }
}

function startOf(node: unknown): number {
  return isNode(node) ? (node.range?.[0] ?? 0) : 0;
}

function describeNode(node: unknown): string {
  if (isSeq(node)) return "a list";
  return isScalar(node) ? describeValue(node.value) : "something else";
}

function innerNode(node: Node | null, path: readonly (string | number)[]): Node | null {
  let current: unknown = node;
  for (const step of path) current = isSeq(current) && typeof step === "number" ? current.items[step] : undefined;
  return isNode(current) ? current : node;
}

function parserReason({ code, message }: YAMLParseError): string {
  if (code === "MULTIPLE_DOCS") return "a second document begins here; keep one";
  return yamlReason(message);
}

/** The parser's sentence, in one line and without a stop. */
function yamlReason(message: string): string {
  return message.replace(/\s+/g, " ").replace(/[.:]$/, "").trim();
}
