import type { Socket } from "node:net";

const chunkBytes = 64 * 1024;
/** A proxy that buffers all it gets must not fill the machine: the "endless" response stops here. */
const endlessBytes = 4 * 1024 ** 3;
const readEveryMs = 20;

/**
 * Answers with chunks, as fast as the proxy takes them, each filled with the letters a to z in turn so that
 * the reader can tell lost or repeated bytes.
 */
export function endlessResponse(socket: Socket): void {
  const letters = Buffer.alloc(chunkBytes - (chunkBytes % 26), "abcdefghijklmnopqrstuvwxyz");
  const size = letters.length.toString(16);
  const chunk = Buffer.concat([Buffer.from(`${size}\r\n`), letters, Buffer.from("\r\n")]);
  let sentBytes = 0;
  const fill = (): void => {
    while (!socket.destroyed && sentBytes < endlessBytes) {
      sentBytes += letters.length;
      if (!socket.write(chunk)) return;
    }
  };
  socket.on("drain", fill);
  socket.write("HTTP/1.1 200 OK\r\nserver: origin\r\ntransfer-encoding: chunked\r\n\r\n");
  fill();
}

/** Reads one buffer of the upload every 20 ms, about 3 MB/s. */
export function slowUpload(socket: Socket): void {
  socket.on("data", () => socket.pause());
  const timer = setInterval(() => socket.resume(), readEveryMs);
  socket.on("close", () => clearInterval(timer));
}
