import { CirqueError } from "@cirque/core";
import type { ResponseHead } from "@cirque/http";
import type { BodyChunk } from "../../body-chunk.ts";
import type { MaybePromise } from "../../maybe-promise.ts";
import type { Session } from "../../session.ts";
import type { HttpModule, HttpModuleFactory } from "../http-module.ts";
import { BodyCoder } from "./body-coder.ts";
import { codePiece } from "./code-piece.ts";
import type { CompressionDictionary } from "./compression-dictionary.ts";
import { applyPlan, applyToNotModified, type CompressionPlan, planCompression } from "./compression-plan.ts";
import {
  type CompressionSettings,
  type ResolvedSettings,
  type ResponseCompressionOptions,
  resolveSettings,
} from "./compression-settings.ts";
import type { ContentCoding } from "./content-coding.ts";
import { DECODE_INLINE, decodingOf } from "./decoding.ts";
import { encodingOf } from "./encoding.ts";

/**
 * Compresses responses for clients that read that, and decompresses those of origins for clients that do not (MOD-07,
 * CMP-01..CMP-14).
 *
 * As one of `modules` it makes what each client likes best. As one of `upstreamModules` it works before a cache, which
 * then keeps what it made. A response whose body cannot be coded is cut: a client that was told `Content-Encoding` could
 * make nothing of plain bytes in the middle, and might take what it made of it for whole (CMP-13).
 *
 * @throws CirqueError `InvalidArgument` for settings that are out of range.
 * @example
 * const compression = responseCompression({ levels: { br: 5 } });
 * const proxy = httpProxyService(server.configuration, callbacks, { modules: [compression] });
 */
export function responseCompression(options: ResponseCompressionOptions = {}): HttpModuleFactory<ResponseCompression> {
  const { name = "response compression", order = -16_384, ...settings } = options;
  const resolved = resolveSettings(settings);
  return { name, order, create: () => new ResponseCompression(resolved) };
}

/** What became of a body (CMP-10). */
export interface CompressionInfo {
  readonly action: "compress" | "decompress";
  readonly coding: ContentCoding;
  /** Bytes before and behind. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Milliseconds spent, waiting for another thread included. */
  readonly timeMs: number;
}

/** The compression of one response: adjust it until the head of the response has passed. */
export class ResponseCompression implements HttpModule {
  #settings: ResolvedSettings;
  #ownDictionaries: readonly CompressionDictionary[] = [];
  #plan: CompressionPlan | undefined;
  #coder: BodyCoder | undefined;
  responseBodyFilter?: (session: Session, chunk: BodyChunk) => MaybePromise<void>;

  constructor(settings: ResolvedSettings) {
    this.#settings = settings;
  }

  /**
   * Other settings for this response alone (CMP-03). `{ codings: [] }` compresses nothing.
   * @throws CirqueError `InvalidArgument` for what is out of range, or when the head has passed.
   */
  adjust(settings: CompressionSettings): void {
    this.#checkUndecided();
    this.#settings = resolveSettings(settings, this.#settings);
  }

  /** Whether there is a dictionary, of the settings or set here, that a client might have (CMP-11). */
  get hasDictionary(): boolean {
    return this.#settings.dictionaries.length + this.#ownDictionaries.length > 0;
  }

  /**
   * Takes this dictionary, beside those of the settings, if the client has it (CMP-11).
   * @throws CirqueError `InvalidArgument` when the head has passed.
   */
  setDictionary(dictionary: CompressionDictionary): void {
    this.#checkUndecided();
    this.#ownDictionaries = [dictionary];
  }

  /**
   * Takes no dictionary for this response, whatever the settings say.
   * @throws CirqueError `InvalidArgument` when the head has passed.
   */
  clearDictionary(): void {
    this.adjust({ dictionaries: [] });
    this.#ownDictionaries = [];
  }

  /** What became of the body so far; undefined when it is left as it is (CMP-10). */
  getInfo(): CompressionInfo | undefined {
    const plan = this.#plan;
    if (plan === undefined || plan.action === "none") return undefined;
    const { bytesIn = 0, bytesOut = 0, timeMs = 0 } = this.#coder ?? {};
    const coding = plan.action === "compress" ? plan.encoding.coding : plan.coding;
    return { action: plan.action, coding, bytesIn, bytesOut, timeMs };
  }

  responseFilter({ request }: Session, response: ResponseHead): void {
    const settings = this.#settings;
    if (response.status === 304) applyToNotModified(request, response);
    const plan = planCompression(request, response, settings, [...this.#ownDictionaries, ...settings.dictionaries]);
    this.#plan = plan;
    const declared = Number(response.headers.find("content-length")?.value ?? Number.NaN);
    applyPlan(plan, response, settings);
    // The head of an answer to HEAD is that of GET; no body follows it.
    if (plan.action === "none" || request.method === "HEAD") return;
    const { inlineBytes, maxExpansion } = settings;
    const coding =
      plan.action === "compress"
        ? encodingOf(plan.encoding, inlineBytes, declared)
        : decodingOf(plan.coding, Math.min(inlineBytes, DECODE_INLINE), { maxExpansion }, notWhatItSays);
    const coder = new BodyCoder(coding);
    this.#coder = coder;
    this.responseBodyFilter = (_session, chunk) => codePiece(coder, chunk);
  }

  done(): void {
    this.#coder?.destroy();
  }

  #checkUndecided(): void {
    if (this.#plan === undefined) return;
    throw CirqueError.internal(
      "InvalidArgument",
      "the head of the response has passed: adjust compression before that",
    );
  }
}

function notWhatItSays(message: string, cause?: unknown): CirqueError {
  return CirqueError.upstream("ReadError", `the response body ${message}`, { cause });
}
