import type { ClientHello, ClientHelloFault } from "./client-hello.ts";
import { readClientHello } from "./read-client-hello.ts";

/** What a parser knows after the bytes so far. */
export type ClientHelloProgress =
  | { readonly state: "more" }
  | { readonly state: "complete"; readonly hello: ClientHello }
  | { readonly state: "malformed"; readonly fault: ClientHelloFault };

/**
 * Finds the ClientHello in the bytes of a client, which may come in any pieces, and be split over records (RFC 8446, 5.1).
 * It does no input or output, never throws, keeps no more than the message, and decrypts nothing.
 *
 * @example
 * const parser = new ClientHelloParser();
 * const progress = parser.push(chunk); // "more" until it is complete or malformed
 */
export class ClientHelloParser {
  readonly #maxBytes: number;
  /** The header of a record, or that of the message: whichever is being read. */
  readonly #recordHeader = Buffer.alloc(5);
  #recordHeaderBytes = 0;
  #recordLeft = 0;
  readonly #messageHeader = Buffer.alloc(4);
  #messageHeaderBytes = 0;
  #message: Buffer | undefined;
  #messageBytes = 0;
  #progress: ClientHelloProgress = more;

  /** @param maxBytes The longest message that is taken. Default: 16 KiB; with post-quantum keys it has some 2 KiB. */
  constructor(maxBytes: number = 16 * 1024) {
    this.#maxBytes = maxBytes;
  }

  /** Takes more bytes. Once it is complete or malformed, further ones change nothing. */
  push(chunk: Uint8Array): ClientHelloProgress {
    let offset = 0;
    while (this.#progress.state === "more" && offset < chunk.length) {
      offset = this.#recordLeft === 0 ? this.#takeRecordHeader(chunk, offset) : this.#takeFragment(chunk, offset);
    }
    return this.#progress;
  }

  #takeRecordHeader(chunk: Uint8Array, offset: number): number {
    const taken = copyInto(this.#recordHeader, this.#recordHeaderBytes, chunk, offset);
    this.#recordHeaderBytes += taken;
    const header = this.#recordHeader;
    if (header[0] !== HANDSHAKE_RECORD) return this.#fail(this.#messageHeaderBytes === 0 ? "not-tls" : "bad-record");
    if (this.#recordHeaderBytes >= 2 && header[1] !== 3) return this.#fail("bad-record");
    if (this.#recordHeaderBytes < header.length) return offset + taken;
    const length = header.readUInt16BE(3);
    if (length === 0 || length > MAX_RECORD_BYTES) return this.#fail("bad-record");
    this.#recordHeaderBytes = 0;
    this.#recordLeft = length;
    return offset + taken;
  }

  #takeFragment(chunk: Uint8Array, offset: number): number {
    const fragment = chunk.subarray(offset, offset + this.#recordLeft);
    let used = 0;
    if (this.#message === undefined) {
      used = copyInto(this.#messageHeader, this.#messageHeaderBytes, fragment, 0);
      this.#messageHeaderBytes += used;
      if (this.#messageHeader[0] !== CLIENT_HELLO) return this.#fail("not-client-hello");
      if (this.#messageHeaderBytes === this.#messageHeader.length) this.#beginMessage();
    }
    if (this.#message !== undefined && this.#progress.state === "more") {
      const taken = copyInto(this.#message, this.#messageBytes, fragment, used);
      this.#messageBytes += taken;
      used += taken;
      if (this.#messageBytes === this.#message.length) this.#progress = read(this.#message);
    }
    this.#recordLeft -= used;
    return offset + used;
  }

  #beginMessage(): void {
    const length = this.#messageHeader.readUIntBE(1, 3);
    if (length > this.#maxBytes) this.#fail("too-long");
    else this.#message = Buffer.allocUnsafe(length);
  }

  #fail(fault: ClientHelloFault): number {
    this.#progress = { state: "malformed", fault };
    return Number.POSITIVE_INFINITY;
  }
}

const HANDSHAKE_RECORD = 22;
const CLIENT_HELLO = 1;
/** RFC 8446, 5.1: a fragment of plain text has at most 2^14 bytes. */
const MAX_RECORD_BYTES = 1 << 14;

const more: ClientHelloProgress = { state: "more" };

function read(message: Buffer): ClientHelloProgress {
  const result = readClientHello(message);
  return typeof result === "string" ? { state: "malformed", fault: result } : { state: "complete", hello: result };
}

/** Copies as much as is there and fits; returns how much. */
function copyInto(target: Uint8Array, targetOffset: number, source: Uint8Array, sourceOffset: number): number {
  const length = Math.min(target.length - targetOffset, source.length - sourceOffset);
  target.set(source.subarray(sourceOffset, sourceOffset + length), targetOffset);
  return length;
}
