/**
 * Datagrams through a proxy: `node udp-echo.ts PORT CLIENTS BYTES`.
 *
 * Each client sends a datagram, waits for its echo, and sends the next. One that does not come back within a second
 * counts as an error, and the next is sent. The program reports `{ ready }` once all clients had an echo; each message of
 * the parent is answered with what happened since the last.
 */
import { createSocket } from "node:dgram";
import { createHistogram } from "node:perf_hooks";

const lostAfterMs = 1_000;

const [port = 0, clients = 0, bytes = 0] = process.argv.slice(2).map(Number);
const latency = createHistogram();
let messages = 0;
let errors = 0;
let answered = 0;

for (let index = 0; index < clients; index++) exchangeDatagrams(index);
process.on("message", report);
process.on("disconnect", () => process.exit(0));

/** One client, which keeps one datagram under way. */
function exchangeDatagrams(index: number): void {
  const socket = createSocket("udp4");
  const datagram = Buffer.alloc(bytes, "d");
  let number = 0;
  let sentAt = 0;
  let first = true;

  const send = (): void => {
    number += 1;
    datagram.writeUInt32BE(index, 0);
    datagram.writeUInt32BE(number, 4);
    sentAt = performance.now();
    socket.send(datagram);
    lost.refresh();
  };
  const lost = setTimeout(() => {
    errors += 1;
    send();
  }, lostAfterMs);

  socket.on("message", (echo) => {
    if (!echo.equals(datagram)) {
      errors += 1;
      return;
    }
    latency.record(Math.max(1, Math.round((performance.now() - sentAt) * 1_000_000)));
    messages += 1;
    if (first) {
      first = false;
      answered += 1;
      if (answered === clients) process.send?.({ ready: true });
    }
    send();
  });
  socket.on("error", () => {
    errors += 1;
  });
  socket.connect(port, "127.0.0.1", send);
}

function report(): void {
  const millis = (percentile: number): number => (messages === 0 ? 0 : latency.percentile(percentile) / 1_000_000);
  process.send?.({ messages, errors, p50Ms: millis(50), p99Ms: millis(99) });
  messages = 0;
  errors = 0;
  latency.reset();
}
