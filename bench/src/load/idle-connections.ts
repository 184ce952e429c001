/**
 * Keep-alive connections that do nothing after one request: `node idle-connections.ts PORT CONNECTIONS`.
 *
 * The program reports `{ ready }` once each connection has had its answer; a message of the parent is
 * answered with how many are still open.
 */
import { connect, type Socket } from "node:net";
import { parseResponse } from "../probe.ts";

const atATime = 64;
const request = "GET /bytes/64 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";

const [port = 0, connections = 0] = process.argv.slice(2).map(Number);
const open = new Set<Socket>();
let started = 0;
let settled = 0;
let errors = 0;

for (let index = 0; index < Math.min(atATime, connections); index++) openNext();
process.on("message", () => process.send?.({ open: open.size, errors }));
process.on("disconnect", () => process.exit(0));

/** Opens one more connection, and once it is answered or gone the next. */
function openNext(): void {
  if (started === connections) return;
  started += 1;
  const socket = connect(port, "127.0.0.1", () => socket.write(request));
  let received = "";
  let waiting = true;
  const settle = (good: boolean): void => {
    if (!waiting) return;
    waiting = false;
    settled += 1;
    if (!good) errors += 1;
    if (settled === connections) process.send?.({ ready: true });
    openNext();
  };

  open.add(socket);
  socket.on("data", (chunk) => {
    received += chunk.toString("latin1");
    const response = parseResponse(received);
    if (response) settle(response.status === 200 && received.length === response.wholeBytes);
  });
  // The close that follows an error settles it.
  socket.on("error", () => {});
  socket.on("close", () => {
    open.delete(socket);
    settle(false);
  });
}
