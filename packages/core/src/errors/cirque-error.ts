import type { ErrorCode } from "./error-catalogue.ts";

/** Who is to blame: the origin side, the client side, this program, or nobody said (`ERR-01`). */
export type ErrorSource = "upstream" | "downstream" | "internal" | "unset";

/** Whether the failed work may be tried again; `"reused-only"`: only if the connection had been used before (`ERR-03`). */
export type RetryDecision = boolean | "reused-only";

/** What can be said about an error beside its code and message. */
export interface CirqueErrorOptions {
  /** Default: `"unset"`. */
  readonly source?: ErrorSource;
  /** Default: that of `cause` when it is a {@link CirqueError}, else `false` (`ERR-08`). */
  readonly retry?: RetryDecision;
  /** What this error was caused by. */
  readonly cause?: unknown;
  /** The HTTP status of code `HTTPStatus`, the number of code `CustomCode`. */
  readonly status?: number;
  /** The name of an application's own error, for the codes `Custom` and `CustomCode`. */
  readonly custom?: string;
  /** Facts for logs: addresses, limits, keys. */
  readonly context?: Readonly<Record<string, unknown>>;
}

const brand = Symbol.for("cirque.error");

/**
 * The one error class of Cirque (`ERR-01`). It carries facts, and policies such as retries read the facts: the
 * code says what failed, `source` on which side, `retry` whether the work may be repeated, `context` with which values.
 *
 * @example
 * throw CirqueError.upstream("ConnectRefused", `${address} refused the connection`, { cause, retry: true });
 */
export class CirqueError extends Error {
  readonly code: ErrorCode;
  /** May be set later, when a caller knows better whose fault it was. */
  source: ErrorSource;
  /** May be set later, when a caller knows whether the work can be repeated. */
  retry: RetryDecision;
  declare readonly status?: number;
  declare readonly custom?: string;
  readonly context: Record<string, unknown>;

  constructor(code: ErrorCode, message: string, options: CirqueErrorOptions = {}) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.source = options.source ?? "unset";
    this.retry = options.retry ?? (isCirqueError(options.cause) ? options.cause.retry : false);
    if (options.status !== undefined) this.status = options.status;
    if (options.custom !== undefined) this.custom = options.custom;
    this.context = { ...options.context };
  }

  /** An error of the origin side (`ERR-04`). */
  static upstream(code: ErrorCode, message: string, options?: CirqueErrorOptions): CirqueError {
    return new CirqueError(code, message, { ...options, source: "upstream" });
  }

  /** An error of the client side (`ERR-04`). */
  static downstream(code: ErrorCode, message: string, options?: CirqueErrorOptions): CirqueError {
    return new CirqueError(code, message, { ...options, source: "downstream" });
  }

  /** An error of this program (`ERR-04`). */
  static internal(code: ErrorCode, message: string, options?: CirqueErrorOptions): CirqueError {
    return new CirqueError(code, message, { ...options, source: "internal" });
  }

  /** An answer with this HTTP status is due (`ERR-04`). */
  static httpStatus(status: number, message: string, options?: CirqueErrorOptions): CirqueError {
    return new CirqueError("HTTPStatus", message, { ...options, status });
  }

  /** Wraps what was caught: `cause` stays reachable, and its source and retry decision are taken over (`ERR-04`, `ERR-08`). */
  static because(code: ErrorCode, message: string, cause: unknown): CirqueError {
    return new CirqueError(code, message, { cause, source: isCirqueError(cause) ? cause.source : "unset" });
  }

  /**
   * For the failure branch of a promise: `await read().catch(CirqueError.explain("ReadError", "reading the head"))`
   * (`ERR-05`).
   */
  static explain(code: ErrorCode, message: string): (cause: unknown) => never {
    return (cause) => {
      throw CirqueError.because(code, message, cause);
    };
  }

  /** Marks the origin side as the source and returns this error (`ERR-06`). */
  asUpstream(): this {
    this.source = "upstream";
    return this;
  }

  /** Marks the client side as the source and returns this error (`ERR-06`). */
  asDownstream(): this {
    this.source = "downstream";
    return this;
  }

  /** Marks this program as the source and returns this error (`ERR-06`). */
  asInternal(): this {
    this.source = "internal";
    return this;
  }

  /** Adds facts for logs and returns this error (`ERR-05`). */
  withContext(context: Readonly<Record<string, unknown>>): this {
    Object.assign(this.context, context);
    return this;
  }

  /** Settles a `"reused-only"` decision, and leaves any other as it is (`ERR-03`). */
  decideReuse(reused: boolean): void {
    if (this.retry === "reused-only") this.retry = reused;
  }

  /** The innermost cause: the last error of the chain, this one when it has no cause (`ERR-07`). */
  get rootCause(): unknown {
    return causes(this).at(-1);
  }

  /** The code of the innermost {@link CirqueError} of the chain (`ERR-07`). */
  get rootCode(): ErrorCode {
    return causes(this).findLast(isCirqueError)?.code ?? this.code;
  }

  /** The whole chain in one line; a source or code equal to that of the error before it is left out (`ERR-09`). */
  override toString(): string {
    let source: ErrorSource = "unset";
    let name = "";
    const parts: string[] = [];
    for (const error of causes(this)) {
      if (isCirqueError(error)) {
        const ownName = nameOf(error);
        const words = [];
        if (error.source !== source && error.source !== "unset") words.push(error.source);
        if (ownName !== name) words.push(ownName);
        source = error.source;
        name = ownName;
        parts.push(words.length > 0 ? `${words.join(" ")}: ${error.message}` : error.message);
      } else {
        parts.push(String(error));
      }
    }
    return oneLine(parts.join(", caused by: "));
  }
}

Object.defineProperty(CirqueError.prototype, "name", { value: "CirqueError", configurable: true, writable: true });
Object.defineProperty(CirqueError.prototype, brand, { value: true });

/** Whether `value` is a {@link CirqueError}, also one that another copy of this package made. */
export function isCirqueError(value: unknown): value is CirqueError {
  return typeof value === "object" && value !== null && brand in value;
}

const longestChain = 32;

function causes(error: unknown): readonly unknown[] {
  const chain: unknown[] = [];
  let current = error;
  // A chain may be circular: user code can assign `cause`.
  while (chain.length < longestChain && !chain.includes(current)) {
    chain.push(current);
    if (!(current instanceof Error || isCirqueError(current)) || current.cause === undefined) break;
    current = current.cause;
  }
  return chain;
}

function nameOf(error: CirqueError): string {
  const name = error.custom ?? error.code;
  return error.status === undefined ? name : `${name} ${error.status}`;
}

/** A message may quote bytes of a peer; a line break among them must not start a line of its own in a log. */
function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, (char) => escapes[char] ?? unicodeEscape(char));
}

const escapes: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function unicodeEscape(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
