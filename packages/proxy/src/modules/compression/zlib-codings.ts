import type { Transform } from "node:stream";
import {
  type BrotliOptions,
  brotliCompressSync,
  brotliDecompressSync,
  constants,
  createBrotliCompress,
  createBrotliDecompress,
  createGunzip,
  createGzip,
  createZstdCompress,
  createZstdDecompress,
  gunzipSync,
  gzipSync,
  type ZlibOptions,
  type ZstdOptions,
  zstdCompressSync,
  zstdDecompressSync,
} from "node:zlib";
import type { CompressionDictionary } from "./compression-dictionary.ts";
import type { ContentCoding, PlainCoding } from "./content-coding.ts";

/** How one body is encoded. */
export interface Encoding {
  readonly coding: ContentCoding;
  readonly level: number;
  /** For `dcb` and `dcz`. */
  readonly dictionary?: CompressionDictionary | undefined;
  /** Whether each piece leaves at once. */
  readonly flush: boolean;
}

/** A stream that encodes, in the threads of libuv. What {@link encodingPrefix} says comes before its output. */
export function createEncoder(encoding: Encoding): Transform {
  switch (encoding.coding) {
    case "gzip":
      return createGzip(gzipOptions(encoding));
    case "br":
    case "dcb":
      return createBrotliCompress(brotliOptions(encoding));
    case "zstd":
    case "dcz":
      return createZstdCompress(zstdOptions(encoding));
  }
}

/** Encodes a whole body at once, on the thread of the caller. */
export function encodeNow(encoding: Encoding, body: Buffer): Buffer {
  switch (encoding.coding) {
    case "gzip":
      return gzipSync(body, gzipOptions(encoding));
    case "br":
    case "dcb":
      return brotliCompressSync(body, brotliOptions(encoding));
    case "zstd":
    case "dcz":
      return zstdCompressSync(body, zstdOptions(encoding));
  }
}

/** What names the dictionary before the bytes of a coder (RFC 9842, 4 and 5). */
export function encodingPrefix({ coding, dictionary }: Encoding): Buffer | undefined {
  if (dictionary === undefined) return undefined;
  if (coding === "dcb") return Buffer.concat([DCB_MAGIC, dictionary.hash]);
  if (coding === "dcz") return Buffer.concat([DCZ_MAGIC, dictionary.hash]);
  return undefined;
}

/**
 * Up to which share of `inlineBytes` a body is worth coding at once: such as takes the same time in each coding, and less than
 * handing it to another thread. The high levels take tens of milliseconds for it.
 */
export function inlineShare({ coding, level }: Encoding): number {
  switch (coding) {
    case "gzip":
      return 1 / 4;
    case "br":
    case "dcb":
      return level <= 6 ? 1 / 2 : 0;
    case "zstd":
    case "dcz":
      return level <= 6 ? 1 : 0;
  }
}

/** A stream that decodes, in the threads of libuv. What follows the end of the coding is an error. */
export function createDecoder(coding: PlainCoding): Transform {
  switch (coding) {
    case "gzip":
      // Several members may follow each other (RFC 1952, 2.2), and `rejectGarbageAfterEnd` would refuse the second one.
      return createGunzip();
    case "br":
      return createBrotliDecompress(BROTLI_DECODING);
    case "zstd":
      return createZstdDecompress(ZSTD_DECODING);
  }
}

/**
 * Decodes a whole body at once, on the thread of the caller.
 * @returns Undefined when it would be more than `maxBytes`.
 */
export function decodeNow(coding: PlainCoding, body: Buffer, maxBytes: number): Buffer | undefined {
  try {
    switch (coding) {
      case "gzip":
        return gunzipSync(body, { maxOutputLength: maxBytes });
      case "br":
        return brotliDecompressSync(body, { ...BROTLI_DECODING, maxOutputLength: maxBytes });
      case "zstd":
        return zstdDecompressSync(body, { ...ZSTD_DECODING, maxOutputLength: maxBytes });
    }
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ERR_BUFFER_TOO_LARGE") return undefined;
    throw error;
  }
}

/** 256 KiB: an open encoder then has about 1 MiB in all, where the defaults of brotli and Zstandard take 2.5. */
const WINDOW_LOG = 18;
/** What RFC 9659 lets a client expect, and thus what a sender may ask of us: 8 MiB. */
const MAX_WINDOW_LOG = 23;

const DCB_MAGIC = Buffer.from([0xff, 0x44, 0x43, 0x42]);
const DCZ_MAGIC = Buffer.from([0x5e, 0x2a, 0x4d, 0x18, 0x20, 0x00, 0x00, 0x00]);

const BROTLI_DECODING = { rejectGarbageAfterEnd: true };
const ZSTD_DECODING = { rejectGarbageAfterEnd: true, params: { [constants.ZSTD_d_windowLogMax]: MAX_WINDOW_LOG } };

function gzipOptions({ level, flush }: Encoding): ZlibOptions {
  return { level, ...(flush && { flush: constants.Z_SYNC_FLUSH }) };
}

function brotliOptions({ level, flush, dictionary }: Encoding): BrotliOptions & { dictionary?: Buffer } {
  return {
    params: { [constants.BROTLI_PARAM_QUALITY]: level, [constants.BROTLI_PARAM_LGWIN]: WINDOW_LOG },
    ...(flush && { flush: constants.BROTLI_OPERATION_FLUSH }),
    ...(dictionary && { dictionary: dictionary.bytes }),
  };
}

function zstdOptions({ level, flush, dictionary }: Encoding): ZstdOptions {
  return {
    params: { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_windowLog]: windowLog(dictionary) },
    ...(flush && { flush: constants.ZSTD_e_flush }),
    ...(dictionary && { dictionary: dictionary.bytes }),
  };
}

/** A window that still reaches the dictionary when as much as it has gone by (RFC 9842, 5). */
function windowLog(dictionary: CompressionDictionary | undefined): number {
  if (dictionary === undefined) return WINDOW_LOG;
  return Math.min(MAX_WINDOW_LOG, Math.max(WINDOW_LOG, Math.ceil(Math.log2(dictionary.bytes.length)) + 1));
}
