import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { setTimeout as after } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { HttpPeer } from "@cirque/core";
import { describe, expect, it } from "vitest";
import type { ProxyHttp, Session } from "../src/index.ts";
import { TestProxy } from "./harness/test-proxy.ts";

const MEBIBYTE = 1024 * 1024;
/** More than the kernel's buffers of two connections hold. */
const LARGE = 64 * MEBIBYTE;
/** One piece that is sent again and again: a sender that is waited for keeps nothing but it. */
const PIECE = Buffer.alloc(64 * 1024, "x");

describe("one side is fast and the other stands still (TR-08): what lies between them is bounded", () => {
  it("a client that reads nothing of a large response, and all of it later", async () => {
    const requests: Session[] = [];
    await using origin = await listen((socket) => {
      socket.once("data", () => {
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${LARGE}\r\n\r\n`);
        void sendLarge(socket);
      });
    });
    await using proxy = await TestProxy.start(remembering(requests, origin.port));
    const before = memoryHeld();
    const client = await connectTo(proxy.port);
    client.pause().write("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");

    const read = await whenStill(() => requests[0]?.upstream?.bodyBytesReceived ?? 0);
    expect(read).toBeLessThan(LARGE / 2);
    await expectHeldLessThan(MEBIBYTE, before);

    expect(await countBody(client)).toBe(LARGE);
  });

  it("an origin that takes nothing of a large upload, and all of it later", async () => {
    const requests: Session[] = [];
    const accepted = Promise.withResolvers<Socket>();
    await using origin = await listen((socket) => accepted.resolve(socket.pause()));
    await using proxy = await TestProxy.start(remembering(requests, origin.port));
    const before = memoryHeld();
    const client = await connectTo(proxy.port);
    client.write(`POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: ${LARGE}\r\n\r\n`);
    void sendLarge(client);

    const read = await whenStill(() => requests[0]?.bodyBytesReceived ?? 0);
    expect(read).toBeLessThan(LARGE / 2);
    await expectHeldLessThan(MEBIBYTE, before);

    const server = await accepted.promise;
    expect(await countBody(server, LARGE)).toBe(LARGE);
    server.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    expect(await countBody(client)).toBe(2);
  });

  it("a tunnel's far end that reads nothing, and all of it later", async () => {
    const requests: Session[] = [];
    const accepted = Promise.withResolvers<Socket>();
    await using origin = await listen((socket) => {
      socket.once("data", () => {
        socket.pause().write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n");
        accepted.resolve(socket);
      });
    });
    await using proxy = await TestProxy.start(remembering(requests, origin.port));
    const before = memoryHeld();
    const client = await connectTo(proxy.port);
    client.write("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
    await once(client, "data");
    const sending = sendLarge(client);

    const read = await whenStill(() => requests[0]?.bodyBytesReceived ?? 0);
    expect(read).toBeLessThan(LARGE / 2);
    await expectHeldLessThan(MEBIBYTE, before);

    const server = await accepted.promise;
    let received = 0;
    server.on("data", (chunk) => {
      received += chunk.length;
    });
    server.resume();
    await sending;
    client.end();
    await once(server, "end");
    expect(received).toBe(LARGE);
  });
});

function remembering(requests: Session[], port: number): ProxyHttp {
  return {
    earlyRequestFilter: (session) => {
      requests.push(session);
    },
    upstreamPeer: () => new HttpPeer(`127.0.0.1:${port}`),
  };
}

async function sendLarge(socket: Socket): Promise<void> {
  for (let sent = 0; sent < LARGE && !socket.destroyed; sent += PIECE.length) {
    if (!socket.write(PIECE)) await once(socket, "drain");
  }
}

/** The bytes behind the head, up to `length` or the end of the connection. */
async function countBody(socket: Socket, length = Number.POSITIVE_INFINITY): Promise<number> {
  let head: string | undefined = "";
  let bytes = 0;
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    if (head === undefined) bytes += chunk.length;
    else {
      head += chunk.toString("latin1");
      const end = head.indexOf("\r\n\r\n");
      if (end < 0) continue;
      bytes = head.length - end - 4;
      head = undefined;
    }
    if (bytes >= length) break;
  }
  return bytes;
}

/** The value once it has grown, and then not for a while: a test that looks too early only asks for less. */
async function whenStill(value: () => number): Promise<number> {
  let last = value();
  for (let same = 0; same < 3; ) {
    await after(50);
    same = last > 0 && last === value() ? same + 1 : 0;
    last = value();
  }
  return last;
}

/** With nothing on the move, what is still held is held for good; what is not, a busy machine takes its time to free. */
async function expectHeldLessThan(bytes: number, before: number): Promise<void> {
  await expect.poll(() => memoryHeld() - before, { timeout: 4_000 }).toBeLessThan(bytes);
}

/** Bytes of buffers that somebody still holds. */
function memoryHeld(): number {
  collectGarbage();
  return process.memoryUsage().arrayBuffers;
}

function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  runInNewContext("gc")();
}

async function connectTo(port: number): Promise<Socket> {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  await once(socket, "connect");
  return socket;
}

async function listen(onConnection: (socket: Socket) => void): Promise<AsyncDisposable & { readonly port: number }> {
  const sockets: Socket[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket);
    socket.on("error", () => {});
    onConnection(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("it listens on a port");
  return {
    port: address.port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
