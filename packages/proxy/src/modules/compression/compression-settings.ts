import { CirqueError } from "@cirque/core";
import type { ResponseHead } from "@cirque/http";
import type { ModuleOptions } from "../http-module.ts";
import { isCompressibleType, isEventStream, mediaTypeOf } from "./compressible.ts";
import type { CompressionDictionary } from "./compression-dictionary.ts";
import type { ContentCoding, PlainCoding } from "./content-coding.ts";

/** How responses are compressed (CMP-03). */
export interface CompressionSettings {
  /**
   * The codings to make, those to be preferred first: of what a client likes alike, it gets the first. None: nothing is
   * compressed. `dcz` and `dcb` are made for clients that have one of `dictionaries`. Default
   * `["dcz", "dcb", "zstd", "br", "gzip"]`.
   */
  readonly codings?: readonly ContentCoding[];
  /**
   * How hard each one tries: gzip 1 to 9, br 0 to 11, dcb 5 to 11, zstd and dcz 1 to 22. Default: gzip 6, br 4, dcb 5, zstd
   * and dcz 3, which cost about as much as they save. High levels are for what is compressed once and cached.
   */
  readonly levels?: Readonly<Partial<Record<ContentCoding, number>>>;
  /**
   * The codings that are undone for clients that do not accept them; true for all that can be. Default true.
   */
  readonly decompress?: boolean | readonly PlainCoding[];
  /**
   * Whether a strong `ETag` stays strong; a list: for these codings only. Only for origins that do not compare it byte by
   * byte, as for ranges. Default false: it is made weak.
   */
  readonly preserveEtag?: boolean | readonly ContentCoding[];
  /** Bodies that declare fewer bytes are left as they are. Default 256. */
  readonly minBytes?: number;
  /** Whether a type, in lower case and without parameters, is worth it. Default: {@link isCompressibleType}. */
  readonly compressible?: (mediaType: string) => boolean;
  /**
   * Whether each piece is passed on as it comes, which costs some of the compression (CMP-14). `"events"`: those of event
   * streams, of lines of JSON, and of responses with `X-Accel-Buffering: no`; or a function. Default `"events"`.
   */
  readonly flush?: "events" | "always" | "never" | ((response: ResponseHead) => boolean);
  /** Dictionaries that clients may have (RFC 9842). Default: none. */
  readonly dictionaries?: readonly CompressionDictionary[];
  /**
   * Bodies up to this size are coded at once, on the thread of the request, which costs half or less of what it costs
   * in another thread: with zstd; up to half of it with brotli, up to a quarter with gzip, and none at high levels.
   * All of them together take no more than 4 ms of a turn of the event loop. 0: none. Default, and at most, 64 KiB.
   */
  readonly inlineBytes?: number;
  /**
   * How many times larger a body may get by decompression before it is cut, once it has got to 1 MiB. Default 200; brotli's
   * and Zstandard's best are far more, gzip's is 1032.
   */
  readonly maxExpansion?: number;
}

/** Options of the module. */
export interface ResponseCompressionOptions extends CompressionSettings, ModuleOptions {}

export type ResolvedSettings = Required<CompressionSettings>;

/**
 * Settings with those that were left out taken from `base`.
 * @throws CirqueError `InvalidArgument` for what is out of range.
 */
export function resolveSettings(settings: CompressionSettings, base: ResolvedSettings = DEFAULTS): ResolvedSettings {
  const resolved = { ...base, ...settings, levels: { ...base.levels, ...settings.levels } };
  for (const coding of resolved.codings) {
    if (!(coding in LEVELS)) throw invalid(`codings: ${JSON.stringify(coding)} is none of gzip, br, zstd, dcb and dcz`);
  }
  for (const [coding, level] of Object.entries(resolved.levels)) {
    const [min, max] = LEVELS[coding as ContentCoding] ?? [];
    if (min === undefined || max === undefined)
      throw invalid(`levels: ${coding} is none of gzip, br, zstd, dcb and dcz`);
    if (!Number.isInteger(level) || level < min || level > max) {
      throw invalid(`levels: ${level} for ${coding}: an integer from ${min} to ${max} is expected`);
    }
  }
  const { inlineBytes, maxExpansion, minBytes } = resolved;
  if (!(inlineBytes >= 0 && inlineBytes <= MAX_INLINE_BYTES)) {
    throw invalid(
      `inlineBytes is ${inlineBytes}: 0 to ${MAX_INLINE_BYTES} are expected, or other requests wait too long`,
    );
  }
  if (!(maxExpansion >= 1)) throw invalid(`maxExpansion is ${maxExpansion}: a number from 1 on is expected`);
  if (!(minBytes >= 0)) throw invalid(`minBytes is ${minBytes}: a number of bytes is expected`);
  return resolved;
}

/** Whether a list, or true for all, has this coding. */
export function includesCoding(setting: boolean | readonly string[], coding: string): boolean {
  return typeof setting === "boolean" ? setting : setting.includes(coding);
}

/** Whether each piece of this response is to leave at once. */
export function wantsFlush({ flush }: ResolvedSettings, response: ResponseHead): boolean {
  if (typeof flush === "function") return flush(response);
  if (flush !== "events") return flush === "always";
  const { headers } = response;
  return (
    isEventStream(mediaTypeOf(headers.get("content-type"))) || headers.find("x-accel-buffering")?.valueIs("no") === true
  );
}

const MAX_INLINE_BYTES = 64 * 1024;

const LEVELS: Readonly<Record<ContentCoding, readonly [min: number, max: number]>> = {
  gzip: [1, 9],
  br: [0, 11],
  zstd: [1, 22],
  // Below, the encoder does not look at the dictionary.
  dcb: [5, 11],
  dcz: [1, 22],
};

const DEFAULTS: ResolvedSettings = {
  codings: ["dcz", "dcb", "zstd", "br", "gzip"],
  levels: { gzip: 6, br: 4, dcb: 5, zstd: 3, dcz: 3 },
  decompress: true,
  preserveEtag: false,
  minBytes: 256,
  compressible: isCompressibleType,
  flush: "events",
  dictionaries: [],
  inlineBytes: MAX_INLINE_BYTES,
  maxExpansion: 200,
};

function invalid(message: string): CirqueError {
  return CirqueError.internal("InvalidArgument", message);
}
