import type { Socket } from "node:net";

const chunkBytes = 64 * 1024;
/** A proxy that buffers all it gets must not fill the machine: the "endless" response stops here. */
const endlessBytes = 4 * 1024 ** 3;
const readEveryMs = 20;

/** Answers with chunks, as fast as the proxy takes them. */
export function endlessResponse(socket: Socket): void {
  const chunk = Buffer.from(`${chunkBytes.toString(16)}\r\n${"x".repeat(chunkBytes)}\r\n`, "latin1");
  let sentBytes = 0;
  const fill = (): void => {
    while (!socket.destroyed && sentBytes < endlessBytes) {
      sentBytes += chunkBytes;
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
