/** Types of HTTP/2 frames (RFC 9113, 6). */
export const FrameType = {
  Data: 0,
  Headers: 1,
  RstStream: 3,
  Settings: 4,
  Ping: 6,
  Goaway: 7,
} as const;

/** The bytes of one frame. */
export function http2Frame(type: number, flags: number, streamId: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, payload]);
}

/** An empty SETTINGS frame, with which each side begins; with its ACK, the answer to the other's. */
export const SETTINGS: Buffer = http2Frame(FrameType.Settings, 0, 0);
export const SETTINGS_ACK: Buffer = http2Frame(FrameType.Settings, 1, 0);

/** A HEADERS frame of a response whose fields are this block of HPACK. `0x88` is `:status: 200`. */
export function headersFrame(streamId: number, block: readonly number[], endStream = false): Buffer {
  return http2Frame(FrameType.Headers, endStream ? 5 : 4, streamId, Buffer.from(block));
}

export function dataFrame(streamId: number, data: string, endStream = false): Buffer {
  return http2Frame(FrameType.Data, endStream ? 1 : 0, streamId, Buffer.from(data));
}

export function rstStreamFrame(streamId: number, code: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(code);
  return http2Frame(FrameType.RstStream, 0, streamId, payload);
}

export function goawayFrame(lastStreamId: number, code: number): Buffer {
  const payload = Buffer.alloc(8);
  payload.writeUInt32BE(lastStreamId);
  payload.writeUInt32BE(code, 4);
  return http2Frame(FrameType.Goaway, 0, 0, payload);
}
