import { CHUNKED, chunkSizeLine, type HeaderMap, lastChunk, UNTIL_CLOSE } from "@cirque/http";
import type { Connection } from "../connection/connection.ts";

/**
 * Writes one message: a head, held back until the first body bytes, and a body in its framing (RFC 9112, 6 and 7).
 */
export class BodyWriter {
  readonly #connection: Connection;
  /** The head, until it leaves. */
  #held = "";
  #bodyLength: number;
  /** Bytes that a declared length still asks for. */
  #remaining: number;
  /** Payload bytes written. */
  bytesSent = 0;

  constructor(connection: Connection, bodyLength: number) {
    this.#connection = connection;
    this.#bodyLength = bodyLength;
    this.#remaining = bodyLength;
  }

  /** Takes the head, a latin1 string. It leaves with the first body bytes, or at `flush`. */
  hold(head: string): void {
    this.#held = head;
  }

  /** Whether the body ends where the connection does. */
  get untilClose(): boolean {
    return this.#bodyLength === UNTIL_CLOSE;
  }

  /** From here on bytes are written as they are. */
  becomeTunnel(): void {
    this.flush();
    this.#bodyLength = UNTIL_CLOSE;
  }

  /** Writes body bytes. Those beyond the declared length are dropped: they would be read as another message. */
  write(chunk: Buffer): boolean {
    let data = chunk;
    if (this.#bodyLength >= 0) {
      if (data.length > this.#remaining) data = data.subarray(0, this.#remaining);
      this.#remaining -= data.length;
    }
    // An empty chunk would end a chunked body.
    if (data.length === 0) return !this.#connection.full;
    this.bytesSent += data.length;
    const held = this.#held;
    this.#held = "";
    if (this.#bodyLength === CHUNKED) {
      return this.#connection.writeBetween(`${held}${chunkSizeLine(data.length)}`, data, "\r\n");
    }
    return held === "" ? this.#connection.write(data) : this.#connection.writeBetween(held, data, "");
  }

  /** Ends the body. @returns false when it is shorter than was declared: then the message must be seen to be cut. */
  end(trailers: HeaderMap | undefined): boolean {
    if (this.#bodyLength === CHUNKED) {
      const held = this.#held;
      this.#held = "";
      this.#connection.write(held + lastChunk(trailers));
      return true;
    }
    this.flush();
    return this.#bodyLength < 0 || this.#remaining === 0;
  }

  /** Sends the head, if it is still held back. */
  flush(): void {
    if (this.#held === "") return;
    const held = this.#held;
    this.#held = "";
    this.#connection.write(held);
  }
}
