/**
 * Reads one request body, framed by Content-Length or chunked (RFC 9112, section 6), and counts its bytes
 * without keeping them.
 */
export class UploadReader {
  /** Body bytes seen so far, without the chunked framing. */
  receivedBytes = 0;
  /** Whether the body has ended. */
  done = false;
  /** Bytes that are still to come of the body or of the chunk; -1 while a chunk's size line is read. */
  #left: number;
  #line = "";
  #inTrailers = false;
  readonly #chunked: boolean;

  /** @param head request line and fields, each ended by CRLF */
  constructor(head: string) {
    const length = /\r\ncontent-length: *(\d+) *\r\n/i.exec(head);
    this.#chunked = length === null && /\r\ntransfer-encoding: *chunked *\r\n/i.test(head);
    this.#left = this.#chunked ? -1 : Number(length?.[1] ?? 0);
    this.done = !this.#chunked && this.#left === 0;
  }

  /** Takes the next bytes of the connection, and returns those that lie beyond the body's end. */
  read(chunk: Buffer): Buffer {
    let offset = 0;
    while (!this.done && offset < chunk.length) {
      offset = this.#left > 0 ? this.#readContent(chunk, offset) : this.#readLine(chunk, offset);
    }
    return chunk.subarray(offset);
  }

  #readContent(chunk: Buffer, offset: number): number {
    const taken = Math.min(this.#left, chunk.length - offset);
    this.#left -= taken;
    this.receivedBytes += taken;
    if (this.#left === 0 && !this.#chunked) this.done = true;
    return offset + taken;
  }

  /** The line that ends a chunk, gives the next one's size, or belongs to the trailers. */
  #readLine(chunk: Buffer, offset: number): number {
    const end = chunk.indexOf(10, offset);
    const stop = end === -1 ? chunk.length : end;
    this.#line += chunk.toString("latin1", offset, stop);
    if (end === -1) return chunk.length;
    const line = this.#line.trimEnd();
    this.#line = "";
    if (this.#inTrailers) {
      this.done = line === "";
    } else if (this.#left === 0) {
      this.#left = -1;
    } else {
      this.#left = Number.parseInt(line, 16);
      this.#inTrailers = this.#left === 0;
    }
    return end + 1;
  }
}
