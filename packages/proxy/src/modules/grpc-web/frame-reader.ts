/**
 * Follows the frames of gRPC as they flow by: one byte of flags, four of length, and as many of a message. Nothing is held
 * back or copied.
 */
export class FrameReader {
  /** Bytes of the header of a frame that have come: 0 to 4, between two messages 0. */
  #headerBytes = 0;
  #length = 0;
  /** Bytes of the message that are still to come. */
  #left = 0;

  /**
   * Looks at the next bytes.
   * @throws SyntaxError for flags of no message: a frame of trailers, which only gRPC-web has, or what is no gRPC at all.
   */
  push(data: Buffer): void {
    let at = 0;
    while (at < data.length) {
      if (this.#left > 0) {
        const passed = Math.min(this.#left, data.length - at);
        this.#left -= passed;
        at += passed;
        continue;
      }
      const byte = data[at++] as number; // `at` was within `data`
      if (this.#headerBytes === 0) {
        if (byte > COMPRESSED) throw new SyntaxError(`a frame with flags ${byte} is none of a message`);
        this.#length = 0;
      } else this.#length = this.#length * 256 + byte;
      this.#headerBytes++;
      if (this.#headerBytes < HEADER_BYTES) continue;
      this.#headerBytes = 0;
      this.#left = this.#length;
    }
  }

  /** Whether the last frame has come whole. */
  get betweenFrames(): boolean {
    return this.#headerBytes === 0 && this.#left === 0;
  }
}

const HEADER_BYTES = 5;
const COMPRESSED = 1;
