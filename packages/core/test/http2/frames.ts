/** Types of frames (RFC 9113, 6). */
export const FrameType = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const END_STREAM = 0x1;
export const ACK = 0x1;
export const END_HEADERS = 0x4;
export const PADDED = 0x8;

export const PREFACE: Buffer = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

/** One frame, whatever sense it makes (RFC 9113, 4.1). */
export function frame(type: number, flags: number, stream: number, payload: Buffer | string = ""): Buffer {
  const body = typeof payload === "string" ? Buffer.from(payload, "latin1") : payload;
  const header = Buffer.alloc(9);
  header.writeUIntBE(body.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(stream, 5);
  return Buffer.concat([header, body]);
}

/** Field lines as HPACK literals that are never indexed, without Huffman (RFC 7541, 6.2.3): any bytes can be said so. */
export function block(fields: readonly (readonly [name: string, value: string])[]): Buffer {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0x10]), text(name), text(value)]));
}

/** The HEADERS frame of a request. */
export function headers(
  stream: number,
  fields: readonly (readonly [name: string, value: string])[] = GET,
  flags: number = END_STREAM | END_HEADERS,
): Buffer {
  return frame(FrameType.headers, flags, stream, block(fields));
}

/** The fields of the simplest request. */
export const GET: readonly (readonly [string, string])[] = [
  [":method", "GET"],
  [":scheme", "http"],
  [":authority", "a.example"],
  [":path", "/"],
];

export const POST: readonly (readonly [string, string])[] = [[":method", "POST"], ...GET.slice(1)];

export function rstStream(stream: number, code = 8): Buffer {
  return frame(FrameType.rstStream, 0, stream, uint32(code));
}

export function windowUpdate(stream: number, increment: number): Buffer {
  return frame(FrameType.windowUpdate, 0, stream, uint32(increment));
}

export function settings(values: readonly (readonly [id: number, value: number])[] = []): Buffer {
  const payload = Buffer.alloc(values.length * 6);
  for (const [i, [id, value]] of values.entries()) {
    payload.writeUInt16BE(id, i * 6);
    payload.writeUInt32BE(value, i * 6 + 2);
  }
  return frame(FrameType.settings, 0, 0, payload);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, "latin1");
  return Buffer.concat([integer(bytes.length, 7), bytes]);
}

/** An integer with a prefix of so many bits (RFC 7541, 5.1). */
export function integer(value: number, prefixBits: number, firstByte = 0): Buffer {
  const limit = 2 ** prefixBits - 1;
  if (value < limit) return Buffer.from([firstByte | value]);
  const bytes = [firstByte | limit];
  let rest = value - limit;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}
