import { createHash } from "node:crypto";
import { CirqueError } from "@cirque/core";

/**
 * A dictionary that clients may have, from an earlier response or by `Link: rel="compression-dictionary"` (RFC 9842).
 * Make each one once, when the program starts: it is shared by all responses.
 */
export class CompressionDictionary {
  readonly bytes: Buffer;
  /** SHA-256 of the bytes. */
  readonly hash: Buffer;
  /** How `Available-Dictionary` names it: the hash as a byte sequence of RFC 9651. */
  readonly name: string;

  /**
   * @param bytes At most 8 MiB, so that every client's window reaches all of it (RFC 9842, 2.1.3).
   * @throws CirqueError when there are none, too many, or they are a dictionary of Zstandard's own format, which `dcz`
   * does not know.
   */
  constructor(bytes: Uint8Array) {
    this.bytes = Buffer.from(bytes);
    if (bytes.length === 0 || bytes.length > MAX_BYTES) {
      throw CirqueError.internal("InvalidArgument", `a dictionary has 1 to ${MAX_BYTES} bytes, not ${bytes.length}`);
    }
    if (this.bytes.subarray(0, 4).equals(ZSTD_DICTIONARY)) {
      throw CirqueError.internal(
        "InvalidArgument",
        "this is a dictionary as `zstd --train` makes it; RFC 9842 knows raw ones only: take a former version of the resource",
      );
    }
    this.hash = createHash("sha256").update(this.bytes).digest();
    this.name = `:${this.hash.toString("base64")}:`;
  }
}

const MAX_BYTES = 8 * 1024 * 1024;
const ZSTD_DICTIONARY = Buffer.from([0x37, 0xa4, 0x30, 0xec]);
