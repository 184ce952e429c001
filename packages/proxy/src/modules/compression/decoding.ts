import type { CirqueError } from "@cirque/core";
import type { BodyCoding } from "./body-coder.ts";
import type { PlainCoding } from "./content-coding.ts";
import { createDecoder, decodeNow } from "./zlib-codings.ts";

/** How far a body may expand. */
export interface ExpansionLimits {
  /** How many times larger it may get, from {@link FREE_BYTES} on. */
  readonly maxExpansion: number;
  /** How large it may get at all. Default: no limit. */
  readonly maxBytes?: number;
}

/** Coded bodies up to this size are decoded at once: what comes of it is another question, which has a limit, too. */
export const DECODE_INLINE: number = 4 * 1024;

/**
 * How to decode a body that nobody vouches for: a few bytes may stand for gigabytes.
 * @param failed Makes the error of a body that is broken; the message goes on behind "the body".
 * @param tooLarge Makes that of one that expands too far. Default: `failed`.
 */
export function decodingOf(
  coding: PlainCoding,
  inlineBytes: number,
  { maxExpansion, maxBytes = Number.POSITIVE_INFINITY }: ExpansionLimits,
  failed: (message: string, cause?: unknown) => CirqueError,
  tooLarge: (message: string) => CirqueError = failed,
): BodyCoding {
  return {
    inlineBytes,
    // No bytes at all is how many senders code a body that is empty.
    codeNow: (body) => (body.length === 0 ? body : decodeNow(coding, body, DECODED_INLINE)),
    createStream: () => createDecoder(coding),
    failed: (cause) => failed(`is not what its Content-Encoding, ${coding}, says`, cause),
    check(bytesIn, bytesOut) {
      if (bytesOut > maxBytes) throw tooLarge(`has more than ${maxBytes} bytes when it is decompressed`);
      if (bytesOut > FREE_BYTES && bytesOut > bytesIn * maxExpansion) {
        throw tooLarge(`expands to more than ${maxExpansion} times its size when it is decompressed`);
      }
    },
  };
}

/** Up to here, nobody asks how few bytes it came from. */
const FREE_BYTES = 1024 * 1024;
/** How much may come of a body that is decoded at once, before it is left to another thread. */
const DECODED_INLINE = 256 * 1024;
