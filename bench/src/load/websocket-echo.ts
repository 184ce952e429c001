/**
 * WebSocket messages through a proxy: `node websocket-echo.ts PORT CONNECTIONS`.
 *
 * Each connection sends a message, waits for its echo, and sends the next. The program reports `{ ready }`
 * once all connections are open; each message of the parent is answered with what happened since the last.
 */
import { connect } from "node:net";
import { createHistogram } from "node:perf_hooks";

const payloadBytes = 64;
const openingRequest = [
  "GET /echo HTTP/1.1",
  "Host: 127.0.0.1",
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: Y2lycXVlIGJlbmNobWFyaw==",
  "\r\n",
].join("\r\n");
const accepted = "HTTP/1.1 101 ";

const [port = 0, connections = 0] = process.argv.slice(2).map(Number);
const latency = createHistogram();
const message = maskedFrame();
const echo = Buffer.concat([Buffer.from([0x82, payloadBytes]), Buffer.alloc(payloadBytes, "e")]);
let messages = 0;
let errors = 0;
let open = 0;

for (let index = 0; index < connections; index++) exchangeMessages();
process.on("message", report);
process.on("disconnect", () => process.exit(0));

/** Opens one connection, and keeps one message under way on it. */
function exchangeMessages(): void {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true }, () => socket.write(openingRequest));
  let upgraded = false;
  let received: Buffer = Buffer.alloc(0);
  let sentAt = 0;

  const send = (): void => {
    sentAt = performance.now();
    socket.write(message);
  };

  socket.on("data", (chunk: Buffer) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
    if (!upgraded) {
      const end = received.indexOf("\r\n\r\n");
      if (end === -1) return;
      if (!received.toString("latin1").startsWith(accepted)) {
        fail(new Error(`the upgrade was refused: ${received.toString("latin1", 0, end)}`));
      }
      upgraded = true;
      received = received.subarray(end + 4);
      open += 1;
      if (open === connections) process.send?.({ ready: true });
      send();
      return;
    }
    if (received.length < echo.length) return;
    latency.record(Math.max(1, Math.round((performance.now() - sentAt) * 1_000_000)));
    messages += 1;
    if (!received.equals(echo)) errors += 1;
    received = received.subarray(received.length);
    send();
  });
  socket.on("error", fail);
  socket.on("close", () => {
    errors += 1;
  });
}

/** Without all its connections the load means nothing: the parent sees the program end, and why. */
function fail(error: Error): never {
  console.error(error.message);
  process.exit(1);
}

function report(): void {
  const millis = (percentile: number): number => (messages === 0 ? 0 : latency.percentile(percentile) / 1_000_000);
  process.send?.({ messages, errors, p50Ms: millis(50), p99Ms: millis(99) });
  messages = 0;
  errors = 0;
  latency.reset();
}

/** A binary message in one frame, masked as a client's must be (RFC 6455, section 5.3). */
function maskedFrame(): Buffer {
  const mask = Buffer.from([0x12, 0x34, 0x56, 0x78]);
  const payload = Buffer.alloc(payloadBytes, "e").map((byte, index) => byte ^ mask.readUInt8(index & 3));
  return Buffer.concat([Buffer.from([0x82, 0x80 | payloadBytes]), mask, payload]);
}
