/**
 * Uploads 1 GiB as fast as the proxy takes it: `node large-upload.ts PORT`.
 *
 * The program reports `{ ready }` once the upload has begun; a message of the parent is answered with the
 * bytes that went out since the last, and whether the connection is still there.
 */
import { connect } from "node:net";

const uploadBytes = 1024 ** 3;
const piece = Buffer.alloc(64 * 1024, "u");

const [port = 0] = process.argv.slice(2).map(Number);
let writtenBytes = 0;
let reportedBytes = 0;
let alive = true;

const socket = connect(port, "127.0.0.1", () => {
  socket.write(`POST /slow-upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: ${uploadBytes}\r\n\r\n`);
  fill();
  process.send?.({ ready: true });
});
socket.on("drain", fill);
socket.on("data", (chunk) => console.error(`an answer before the end: ${chunk.toString("latin1", 0, 200)}`));
socket.on("error", (error) => console.error(error.message));
socket.on("close", () => {
  alive = false;
});

process.on("message", () => {
  const sentBytes = writtenBytes - socket.writableLength;
  process.send?.({ bytes: sentBytes - reportedBytes, alive });
  reportedBytes = sentBytes;
});
process.on("disconnect", () => process.exit(0));

function fill(): void {
  while (writtenBytes < uploadBytes) {
    writtenBytes += piece.length;
    if (!socket.write(piece)) return;
  }
}
