import { MalformedProxyHeader } from "./malformed-proxy-header.ts";
import { parseBinary } from "./parse-binary.ts";
import { parseLine } from "./parse-line.ts";
import type { ProxyHeader } from "./proxy-header.ts";
import { V1_MAX_BYTES, V1_PREFIX, V2_FIXED_BYTES, V2_SIGNATURE } from "./wire-format.ts";

/** The longest header that is read, records included; those of proxies have a few hundred bytes. */
export const MAX_PROXY_HEADER_BYTES = 4096;

/**
 * Reads the header of the PROXY protocol at the beginning of a connection, of either version: bytes in, header and
 * surplus out, no socket. However the bytes are split, the result is the same.
 */
export class ProxyHeaderParser {
  #bytes: Buffer = Buffer.alloc(0);
  #header: ProxyHeader | undefined;
  #absent = false;

  /** The header, once it is complete. */
  get header(): ProxyHeader | undefined {
    return this.#header;
  }

  /** Whether the connection begins with something else. */
  get absent(): boolean {
    return this.#absent;
  }

  /** What came behind the header; all that came when there is none. */
  get surplus(): Buffer {
    return this.#bytes;
  }

  /**
   * Takes bytes. Nothing more is to be pushed once there is a header, or known to be none.
   * @throws MalformedProxyHeader when they begin as a header does and go on otherwise.
   */
  push(chunk: Buffer): void {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
    const length = headerLength(this.#bytes);
    if (length === undefined || this.#bytes.length < length) return;
    if (length === 0) {
      this.#absent = true;
      return;
    }
    // A copy: the header is kept, and must not keep all that was read with it.
    const bytes = Buffer.from(this.#bytes.subarray(0, length));
    this.#header = bytes[0] === V2_SIGNATURE[0] ? parseBinary(bytes) : parseLine(bytes);
    this.#bytes = this.#bytes.subarray(length);
  }
}

/** How long the header is; 0 when it is none, undefined while that cannot be said. */
function headerLength(bytes: Buffer): number | undefined {
  if (beginsLike(bytes, V2_SIGNATURE)) return binaryLength(bytes);
  if (!beginsLike(bytes, V1_PREFIX)) return 0;
  const end = bytes.subarray(0, V1_MAX_BYTES).indexOf("\r\n", 0, "latin1");
  if (end !== -1) return end + 2;
  if (bytes.length < V1_MAX_BYTES) return undefined;
  throw new MalformedProxyHeader("too-long", `the line is longer than ${V1_MAX_BYTES} bytes`);
}

function binaryLength(bytes: Buffer): number | undefined {
  if (bytes.length < V2_FIXED_BYTES) return undefined;
  const length = V2_FIXED_BYTES + bytes.readUInt16BE(14);
  if (length <= MAX_PROXY_HEADER_BYTES) return length;
  throw new MalformedProxyHeader(
    "too-long",
    `the header has ${length} bytes; at most ${MAX_PROXY_HEADER_BYTES} are read`,
  );
}

/** Whether the bytes, as far as they go, are those. */
function beginsLike(bytes: Buffer, those: Buffer): boolean {
  const length = Math.min(bytes.length, those.length);
  return bytes.compare(those, 0, length, 0, length) === 0;
}
