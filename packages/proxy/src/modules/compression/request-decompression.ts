import { CirqueError } from "@cirque/core";
import type { RequestHead } from "@cirque/http";
import type { BodyChunk } from "../../body-chunk.ts";
import type { MaybePromise } from "../../maybe-promise.ts";
import type { Session } from "../../session.ts";
import type { HttpModule, HttpModuleFactory, ModuleOptions } from "../http-module.ts";
import { BodyCoder } from "./body-coder.ts";
import { codePiece } from "./code-piece.ts";
import { contentCodings, isPlainCoding, type PlainCoding } from "./content-coding.ts";
import { DECODE_INLINE, decodingOf } from "./decoding.ts";

/** Settings of {@link requestDecompression}. */
export interface RequestDecompressionOptions extends ModuleOptions {
  /** The codings that are undone. Default `["zstd", "br", "gzip"]`. */
  readonly codings?: readonly PlainCoding[];
  /** Bytes that a body may have when it is decompressed. Default 16 MiB. */
  readonly maxBytes?: number;
  /** How many times larger a body may get, once it has got to 1 MiB. Default 200. */
  readonly maxExpansion?: number;
}

/**
 * Decompresses request bodies, for origins that do not. A coding that is not undone here is answered with 415 and the
 * codings that are (RFC 9110, 15.5.16); a body that expands too far, with 413; one that is broken, with 400.
 *
 * @throws CirqueError `InvalidArgument` for a limit that is none.
 * @example
 * const modules = [requestDecompression({ maxBytes: 4 * 1024 * 1024 })];
 */
export function requestDecompression(
  options: RequestDecompressionOptions = {},
): HttpModuleFactory<RequestDecompression> {
  const { name = "request decompression", order = 850, codings = ["zstd", "br", "gzip"] } = options;
  const { maxBytes = 16 * 1024 * 1024, maxExpansion = 200 } = options;
  for (const coding of codings) {
    if (!isPlainCoding(coding)) {
      throw invalid(`codings: ${JSON.stringify(coding)} is none of gzip, br and zstd`);
    }
  }
  if (!(maxBytes >= 0)) throw invalid(`maxBytes is ${maxBytes}: a number of bytes is expected`);
  if (!(maxExpansion >= 1)) throw invalid(`maxExpansion is ${maxExpansion}: a number from 1 on is expected`);
  return { name, order, create: () => new RequestDecompression(codings, maxBytes, maxExpansion) };
}

/** The decompression of one request: change it in `earlyRequestFilter`. */
export class RequestDecompression implements HttpModule {
  /** Whether this request is decompressed; false leaves it as it is. */
  enabled = true;
  /** Bytes that its body may have then. */
  maxBytes: number;
  readonly #codings: readonly PlainCoding[];
  readonly #maxExpansion: number;
  #coder: BodyCoder | undefined;
  requestBodyFilter?: (session: Session, chunk: BodyChunk) => MaybePromise<void>;

  constructor(codings: readonly PlainCoding[], maxBytes: number, maxExpansion: number) {
    this.#codings = codings;
    this.maxBytes = maxBytes;
    this.#maxExpansion = maxExpansion;
  }

  requestFilter({ hasRequestBody }: Session, { headers }: RequestHead): Response | undefined {
    if (!this.enabled || !hasRequestBody) return undefined;
    const [coding, ...others] = contentCodings(headers.get("content-encoding"));
    if (coding === undefined) {
      headers.delete("content-encoding");
      return undefined;
    }
    if (others.length > 0 || !isPlainCoding(coding) || !this.#codings.includes(coding)) {
      const known = this.#codings.length === 0 ? "identity" : this.#codings.join(", ");
      return new Response("415 Unsupported Media Type\n", { status: 415, headers: { "accept-encoding": known } });
    }
    for (const name of [
      "content-encoding",
      "content-length",
      "content-digest",
      "repr-digest",
      "digest",
      "content-md5",
    ]) {
      headers.delete(name);
    }
    const limits = { maxExpansion: this.#maxExpansion, maxBytes: this.maxBytes };
    const coder = new BodyCoder(decodingOf(coding, DECODE_INLINE, limits, statusError(400), statusError(413)));
    this.#coder = coder;
    this.requestBodyFilter = (_session, chunk) => codePiece(coder, chunk);
    return undefined;
  }

  done(): void {
    this.#coder?.destroy();
  }
}

function statusError(status: number): (message: string, cause?: unknown) => CirqueError {
  return (message, cause) =>
    CirqueError.httpStatus(status, `the request body ${message}`, { source: "downstream", cause });
}

function invalid(message: string): CirqueError {
  return CirqueError.internal("InvalidArgument", message);
}
