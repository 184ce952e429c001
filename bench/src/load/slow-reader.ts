/**
 * Reads an endless response slowly, about 1.3 MB/s: `node slow-reader.ts PORT`.
 *
 * The program reports `{ ready }` once the response has begun; a message of the parent is answered with the
 * bytes that came since the last, and whether the response still goes on.
 */
import { connect } from "node:net";

const readEveryMs = 50;

const [port = 0] = process.argv.slice(2).map(Number);
let receivedBytes = 0;
let begun = false;
let alive = true;

const socket = connect(port, "127.0.0.1", () => socket.write("GET /endless HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"));
socket.on("data", (chunk) => {
  if (!begun) {
    if (!chunk.toString("latin1").startsWith("HTTP/1.1 200 ")) {
      console.error(`not a good response: ${chunk.toString("latin1", 0, 200)}`);
      process.exit(1);
    }
    begun = true;
    process.send?.({ ready: true });
  }
  receivedBytes += chunk.length;
  socket.pause();
});
socket.on("error", (error) => console.error(error.message));
socket.on("close", () => {
  alive = false;
});
setInterval(() => socket.resume(), readEveryMs);

process.on("message", () => {
  process.send?.({ bytes: receivedBytes, alive });
  receivedBytes = 0;
});
process.on("disconnect", () => process.exit(0));
