import type { ByteRange } from "@cirque/http";
import type { BodyChunk } from "../../body-chunk.ts";

/** The rest of a body that is read and dropped, so that the connection can be used again. */
const WORTH_READING_BYTES = 64 * 1024;

/** A part of a body, and what is sent before it. */
export interface CutPart extends ByteRange {
  readonly prefix: string;
}

/** Lets the parts of a body through as it flows by: nothing of it is held back. */
export class RangeCutter {
  readonly #parts: readonly CutPart[];
  /** What is sent behind the last part. */
  readonly #suffix: string;
  readonly #size: number;
  #part = 0;
  /** Where the next piece begins. */
  #offset = 0;

  /**
   * @param parts In order, and apart.
   * @param size Bytes of the whole body.
   */
  constructor(parts: readonly CutPart[], suffix: string, size: number) {
    this.#parts = parts;
    this.#suffix = suffix;
    this.#size = size;
  }

  cut(chunk: BodyChunk): void {
    const { data } = chunk;
    if (data === undefined) return;
    const pieces: Buffer[] = [];
    const start = this.#offset;
    this.#offset += data.length;
    for (let part = this.#parts[this.#part]; part !== undefined && part.first < this.#offset; ) {
      if (part.first >= start && part.prefix !== "") pieces.push(Buffer.from(part.prefix, "latin1"));
      pieces.push(data.subarray(Math.max(0, part.first - start), part.last + 1 - start));
      if (part.last >= this.#offset) break;
      this.#part++;
      part = this.#parts[this.#part];
      if (part === undefined && this.#suffix !== "") pieces.push(Buffer.from(this.#suffix, "latin1"));
    }
    chunk.data = pieces.length > 1 ? Buffer.concat(pieces) : pieces[0];
    const done = this.#part === this.#parts.length;
    if (done && this.#size - this.#offset > WORTH_READING_BYTES) chunk.end = true;
  }
}
