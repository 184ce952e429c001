import { CR, LF } from "../characters.ts";
import { isChunkExtension } from "./chunk-extension.ts";
import { findLineFeed } from "./find-line-feed.ts";
import type { ParserLimits } from "./limits.ts";
import { MalformedMessage } from "./malformed-message.ts";

/** Where in a chunked body the decoder stands. */
const SIZE_LINE = 0;
const CHUNK_DATA = 1;
const CHUNK_END = 2;

/**
 * Decodes the chunks of a body (RFC 9112, 7.1) up to the last one; trailers are left to the caller.
 *
 * Strict: hexadecimal digits and nothing else before the CRLF or a `;`. Extensions are checked, counted and dropped.
 *
 * An unfinished size line is left to the next call, which has to start where this one stopped.
 */
export class ChunkedDecoder {
  readonly #limits: ParserLimits;
  #state: typeof SIZE_LINE | typeof CHUNK_DATA | typeof CHUNK_END = SIZE_LINE;
  #remaining = 0;
  #extensionBytes = 0;
  /** How many bytes of an unfinished size line are known to have no LF. */
  #searched = 0;

  /** Where the last call to `read` stopped. */
  position = 0;
  /** The data found by the last call to `read`: a range of the buffer; empty when it found none. */
  dataStart = 0;
  dataEnd = 0;

  constructor(limits: ParserLimits) {
    this.#limits = limits;
  }

  /** Ready for another body. */
  reset(): void {
    this.#state = SIZE_LINE;
    this.#extensionBytes = 0;
    this.#searched = 0;
  }

  /**
   * Reads up to the next piece of data, the last chunk, or the end of the bytes.
   * @returns whether the last chunk was read.
   * @throws MalformedMessage
   */
  read(bytes: Buffer, start: number, end: number): boolean {
    this.position = start;
    this.dataStart = this.dataEnd = start;
    while (this.position < end) {
      if (this.#state === SIZE_LINE) {
        if (!this.#sizeLine(bytes, this.position, end)) return false;
        if (this.#remaining === 0) return true;
        this.#state = CHUNK_DATA;
      } else if (this.#state === CHUNK_DATA) {
        this.dataStart = this.position;
        this.dataEnd = Math.min(end, this.position + this.#remaining);
        this.#remaining -= this.dataEnd - this.dataStart;
        this.position = this.dataEnd;
        if (this.#remaining === 0) this.#state = CHUNK_END;
        return false;
      } else {
        // Both bytes at once, so that the verdict does not depend on how they were split.
        if (end - this.position < 2) return false;
        if (bytes[this.position] !== CR || bytes[this.position + 1] !== LF) {
          throw new MalformedMessage("invalid-chunk-end", "expected CRLF behind the data of a chunk");
        }
        this.position += 2;
        this.#state = SIZE_LINE;
      }
    }
    return false;
  }

  #sizeLine(bytes: Buffer, start: number, end: number): boolean {
    const { chunkExtensionBytes } = this.#limits;
    const found = findLineFeed(bytes, start + this.#searched, end);
    const complete = found !== -1;
    const length = complete ? found + 1 - start : end - start;
    if (length > chunkExtensionBytes)
      throw new MalformedMessage("chunk-extension-too-large", `more than ${chunkExtensionBytes} bytes`);
    this.#searched = complete ? 0 : length;
    if (!complete) return false;
    if (found === start || bytes[found - 1] !== CR) throw new MalformedMessage("bare-lf", "in a chunk size line");
    const lineEnd = found - 1;
    let at = start;
    let size = 0;
    for (; at < lineEnd; at++) {
      const digit = hexadecimal(bytes[at] as number);
      if (digit === -1) break;
      size = size * 16 + digit;
    }
    if (at === start || at - start > 16 || !Number.isSafeInteger(size)) {
      throw new MalformedMessage("invalid-chunk-size", "expected hexadecimal digits, at most 2^53 - 1");
    }
    if (at < lineEnd) this.#extension(bytes, at, lineEnd);
    this.#remaining = size;
    this.position = found + 1;
    return true;
  }

  #extension(bytes: Buffer, start: number, end: number): void {
    const extension = bytes.toString("latin1", start, end);
    if (!extension.startsWith(";")) {
      const reason = extension.includes("\r") ? "bare-cr" : "invalid-chunk-size";
      throw new MalformedMessage(reason, "expected hexadecimal digits and CRLF");
    }
    if (!isChunkExtension(extension)) {
      const reason = extension.includes("\r") ? "bare-cr" : "invalid-chunk-extension";
      throw new MalformedMessage(reason, 'expected ;name, ;name=value or ;name="value"');
    }
    this.#extensionBytes += extension.length;
    const limit = this.#limits.bodyExtensionBytes;
    if (this.#extensionBytes > limit) {
      throw new MalformedMessage("chunk-extension-too-large", `more than ${limit} bytes in a body`);
    }
  }
}

function hexadecimal(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
