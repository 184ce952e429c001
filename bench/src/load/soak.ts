/**
 * The steady load of the soak: `node soak.ts PORT`. Some clients keep their connections and send GETs and PUTs, some open
 * one for each request, and some read long responses slowly, so that those are under way whatever happens.
 *
 * The program reports `{ ready }` at once. `{ pause: true }` lets the clients end what they do and close their
 * connections, `{ pause: false }` lets them go on; `{ report: true }` is answered with what happened since the last
 * report: `requests` answered rightly, `failed` ones, and those `resent`, with the connections that are `open`. Resent is,
 * once and on a fresh connection, what a kept connection was closed under before any of its answer came: HTTP has clients
 * do so (RFC 9112, section 9.3.1). Each failure is a line on the standard error.
 */
import { connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { ResponseReader } from "./response-reader.ts";

const keptClients = 24;
const freshClients = 8;
const slowClients = 4;
const thinkMs = 10;
const answerWithinMs = 30_000;
const slowReadEveryMs = 20;
const uploadBytes = 16 * 1024;

/** What a client sends, and how long an answer it expects. */
interface Request {
  readonly text: string;
  readonly bodyBytes: number;
}

/** A connection that ended before its answer was whole. */
class ConnectionLost extends Error {
  readonly begun: boolean;

  constructor(reason: string, begun: boolean) {
    super(reason);
    this.begun = begun;
  }
}

const small = get(1024);
const medium = get(64 * 1024);
const long = get(4 * 1024 * 1024);
const upload: Request = {
  text: `PUT /upload HTTP/1.1\r\nHost: soak\r\nContent-Length: ${uploadBytes}\r\n\r\n${"u".repeat(uploadBytes)}`,
  bodyBytes: String(uploadBytes).length,
};

const [port = 0] = process.argv.slice(2).map(Number);
const open = new Set<Socket>();
let counts = { requests: 0, failed: 0, resent: 0 };
let going = Promise.withResolvers<void>();
let paused = true;

for (let index = 0; index < keptClients; index++) void keptClient([small, small, medium, upload]);
for (let index = 0; index < freshClients; index++) void freshClient();
for (let index = 0; index < slowClients; index++) void slowClient();
process.on("message", onMessage);
process.on("disconnect", () => process.exit(0));
process.send?.({ ready: true });

function onMessage(message: unknown): void {
  if (typeof message !== "object" || message === null) return;
  if ("pause" in message) {
    paused = Boolean(message.pause);
    if (paused) going = Promise.withResolvers<void>();
    else going.resolve();
    return;
  }
  process.send?.({ ...counts, open: open.size });
  counts = { requests: 0, failed: 0, resent: 0 };
}

/** Sends the requests in turn over one connection, for as long as the server lets it. */
async function keptClient(requests: readonly Request[]): Promise<never> {
  let kept: Socket | undefined;
  for (let turn = 0; ; turn++) {
    if (paused) {
      kept?.destroy();
      kept = undefined;
    }
    await going.promise;
    const request = requests[turn % requests.length] ?? small;
    try {
      kept = await sendOver(kept, request);
      counts.requests += 1;
    } catch (error) {
      kept = undefined;
      fail("kept", error);
    }
    await delay(thinkMs);
  }
}

async function freshClient(): Promise<never> {
  const request = { ...small, text: small.text.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n") };
  return onFreshConnections("fresh", (socket) => exchange(socket, request));
}

async function slowClient(): Promise<never> {
  return onFreshConnections("slow", (socket) => {
    socket.on("data", () => socket.pause());
    const timer = setInterval(() => socket.resume(), slowReadEveryMs);
    socket.once("close", () => clearInterval(timer));
    return exchange(socket, long);
  });
}

async function onFreshConnections(kind: string, run: (socket: Socket) => Promise<unknown>): Promise<never> {
  for (;;) {
    await going.promise;
    const socket = openSocket();
    try {
      await run(socket);
      counts.requests += 1;
    } catch (error) {
      fail(kind, error);
    }
    socket.destroy();
    await delay(thinkMs);
  }
}

/** @returns the connection if it may be used again. */
async function sendOver(kept: Socket | undefined, request: Request): Promise<Socket | undefined> {
  if (kept && !kept.destroyed) {
    try {
      return await exchange(kept, request);
    } catch (error) {
      if (!(error instanceof ConnectionLost) || error.begun) throw error;
      counts.resent += 1;
    }
  }
  return exchange(openSocket(), request);
}

/** Sends the request and waits for all of its answer. @returns the connection if it may be used again. */
async function exchange(socket: Socket, request: Request): Promise<Socket | undefined> {
  const reader = new ResponseReader();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onData = (chunk: Buffer): void => {
    try {
      reader.read(chunk);
      if (reader.done) resolve();
    } catch (error) {
      reject(error);
    }
  };
  let reason = "closed";
  const onError = (error: Error): void => {
    reason = error.message;
  };
  const onClose = (): void => reject(new ConnectionLost(`${reason} after ${reader.bodyBytes} bytes`, reader.begun));
  const onTimeout = (): void => reject(new Error(`no answer in ${answerWithinMs} ms`));
  socket.on("data", onData).on("error", onError).on("close", onClose).on("timeout", onTimeout);
  socket.write(request.text);
  try {
    await promise;
    if (reader.status !== 200 || reader.bodyBytes !== request.bodyBytes) {
      throw new Error(`answered ${reader.status} with ${reader.bodyBytes} bytes in place of ${request.bodyBytes}`);
    }
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    socket.off("data", onData).off("error", onError).off("close", onClose).off("timeout", onTimeout);
  }
  if (!reader.closes) return socket;
  socket.destroy();
  return undefined;
}

function openSocket(): Socket {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  open.add(socket);
  socket.setTimeout(answerWithinMs);
  // Between two exchanges nobody else listens for it.
  socket.on("error", () => {});
  socket.on("end", () => socket.destroy());
  socket.on("close", () => open.delete(socket));
  return socket;
}

function fail(kind: string, error: unknown): void {
  counts.failed += 1;
  console.error(`${new Date().toISOString()} ${kind}: ${error instanceof Error ? error.message : String(error)}`);
}

function get(bytes: number): Request {
  return { text: `GET /bytes/${bytes} HTTP/1.1\r\nHost: soak\r\n\r\n`, bodyBytes: bytes };
}
