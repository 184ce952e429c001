import { CirqueError } from "@cirque/core";
import type { BodyCoding } from "./body-coder.ts";
import { createEncoder, type Encoding, encodeNow, encodingPrefix, isFast } from "./zlib-codings.ts";

/** How to encode a body; one that is flushed, or takes long, is never encoded at once. */
export function encodingOf(encoding: Encoding, inlineBytes: number): BodyCoding {
  return {
    inlineBytes: encoding.flush || !isFast(encoding) ? 0 : inlineBytes,
    prefix: encodingPrefix(encoding),
    codeNow: (body) => encodeNow(encoding, body),
    createStream: () => createEncoder(encoding),
    failed: (cause) =>
      CirqueError.internal("InternalError", `the response could not be compressed (${encoding.coding})`, { cause }),
  };
}
