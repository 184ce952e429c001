/**
 * A number of requests over keep-alive connections, one at a time on each:
 * `node keep-alive-requests.ts PORT CLIENTS REQUESTS REQUESTS_PER_CONNECTION`.
 *
 * A client opens a new connection after that many requests, and after one that failed. The program reports `{ ready }`
 * once all requests have been answered or have failed; a message of the parent is answered with the number of failures.
 */
import { connect } from "node:net";
import { parseResponse } from "../probe.ts";

const request = "GET /bytes/1024 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";

const [port = 0, clients = 0, requests = 0, perConnection = 1] = process.argv.slice(2).map(Number);
let begun = 0;
let settled = 0;
let errors = 0;

// Clients that began together would also come back together.
for (let index = 0; index < clients; index++) openNext(1 + Math.ceil((perConnection * index) / clients));
process.on("message", () => process.send?.({ errors }));
process.on("disconnect", () => process.exit(0));

/** Opens a connection for at most that many requests, and after it the next. */
function openNext(most: number): void {
  if (begun === requests) return;
  let left = most;
  // The first request is begun with the connection, so that one that cannot be opened counts as a failure.
  let waiting = true;
  let received = "";
  begun += 1;
  const socket = connect(port, "127.0.0.1", () => socket.write(request));

  function sendNext(): void {
    left -= 1;
    if (left === 0 || begun === requests) {
      socket.end();
      return;
    }
    begun += 1;
    waiting = true;
    received = "";
    socket.write(request);
  }

  function settle(good: boolean): void {
    waiting = false;
    settled += 1;
    if (!good) errors += 1;
    if (settled === requests) process.send?.({ ready: true });
  }

  socket.setNoDelay(true);
  socket.on("data", (chunk) => {
    received += chunk.toString("latin1");
    const response = parseResponse(received);
    if (!response) return;
    settle(response.status === 200 && received.length === response.wholeBytes);
    sendNext();
  });
  // The close that follows an error settles it.
  socket.on("error", () => {});
  socket.on("close", () => {
    if (waiting) settle(false);
    openNext(perConnection);
  });
}
