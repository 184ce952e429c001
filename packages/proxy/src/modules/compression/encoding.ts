import { CirqueError } from "@cirque/core";
import type { BodyCoding } from "./body-coder.ts";
import { createEncoder, type Encoding, encodeNow, encodingPrefix, inlineShare } from "./zlib-codings.ts";

/**
 * How to encode a body; one that is flushed, or takes long, is never encoded at once.
 * @param declared Its length; NaN if that is not known.
 */
export function encodingOf(encoding: Encoding, inlineBytes: number, declared: number = Number.NaN): BodyCoding {
  const limit = encoding.flush ? 0 : inlineBytes * inlineShare(encoding);
  return {
    // What is known to be larger need not be collected before.
    inlineBytes: declared > limit ? 0 : limit,
    prefix: encodingPrefix(encoding),
    codeNow: (body) => encodeNow(encoding, body),
    createStream: () => createEncoder(encoding),
    failed: (cause) =>
      CirqueError.internal("InternalError", `the response could not be compressed (${encoding.coding})`, { cause }),
  };
}
