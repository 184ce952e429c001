import { createHash } from "node:crypto";
import type { Socket } from "node:net";

const acceptSuffix = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const closeOpcode = 8;

/**
 * Completes the opening handshake (RFC 6455, section 4.2.2) and sends each message back unmasked. Messages
 * of up to 125 bytes in one frame are understood, which is all the load sends; anything else ends the
 * connection.
 */
export function acceptWebSocket(socket: Socket, head: string, rest: Buffer): void {
  const key = /\r\nsec-websocket-key: *(\S+)/i.exec(head)?.[1];
  if (key === undefined) {
    socket.end("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    return;
  }
  const accept = createHash("sha1")
    .update(key + acceptSuffix)
    .digest("base64");
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`,
  );

  let unread: Buffer = rest;
  const echo = (): void => {
    while (unread.length >= 2) {
      const payloadBytes = unread.readUInt8(1) & 0x7f;
      if (payloadBytes > 125) {
        socket.destroy();
        return;
      }
      const frameBytes = 6 + payloadBytes;
      if (unread.length < frameBytes) return;
      const frame = unread.subarray(0, frameBytes);
      unread = unread.subarray(frameBytes);
      socket.write(unmasked(frame));
      if ((frame.readUInt8(0) & 0x0f) === closeOpcode) {
        socket.end();
        return;
      }
    }
  };
  socket.on("data", (chunk: Buffer) => {
    unread = unread.length === 0 ? chunk : Buffer.concat([unread, chunk]);
    echo();
  });
  echo();
}

/** The same frame as a server sends it: no mask (RFC 6455, section 5.1). */
function unmasked(frame: Buffer): Buffer {
  const answer = Buffer.allocUnsafe(frame.length - 4);
  answer[0] = frame.readUInt8(0);
  answer[1] = frame.readUInt8(1) & 0x7f;
  for (let index = 6; index < frame.length; index++) {
    answer[index - 4] = frame.readUInt8(index) ^ frame.readUInt8(2 + ((index - 6) & 3));
  }
  return answer;
}
