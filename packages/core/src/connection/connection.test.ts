import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { RawPeer, settled } from "../../test/wire/raw-peer.ts";
import { acceptedConnection, Connection, type ConnectionListener, connectReadOptions } from "./connection.ts";

class Recording implements ConnectionListener {
  readonly chunks: Buffer[] = [];
  readonly events: string[] = [];
  error: Error | undefined;

  onBytes(chunk: Buffer): void {
    this.chunks.push(chunk);
  }

  onEnd(): void {
    this.events.push("end");
  }

  onDrain(): void {
    this.events.push("drain");
  }

  onClose(error: Error | undefined): void {
    this.events.push("close");
    this.error = error;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.chunks);
  }
}

interface Pair extends Disposable {
  readonly connection: Connection;
  readonly listener: Recording;
  readonly peer: RawPeer;
}

/** A connection as a server makes it, or a client, and its other end. */
async function pair(
  kind: "accepted" | "connected",
  { path, pauseOnConnect = true, host = "127.0.0.1" }: { path?: string; pauseOnConnect?: boolean; host?: string } = {},
): Promise<Pair> {
  const server = createServer({
    allowHalfOpen: true,
    noDelay: true,
    pauseOnConnect: kind === "accepted" && pauseOnConnect,
  });
  server.listen(path === undefined ? { port: 0, host } : { path });
  await once(server, "listening");
  const to = path === undefined ? { port: (server.address() as AddressInfo).port, host } : { path };
  const connecting = connect({
    ...to,
    allowHalfOpen: true,
    ...(kind === "connected" && { onread: connectReadOptions }),
  });
  const [accepted] = (await once(server, "connection")) as [Socket];
  if (connecting.connecting) await once(connecting, "connect");
  server.close();
  const listener = new Recording();
  const connection =
    kind === "accepted" ? acceptedConnection(accepted, listener) : new Connection(connecting, listener);
  const peer = new RawPeer(kind === "accepted" ? connecting : accepted);
  const dispose = (): void => {
    connection.destroy();
    peer[Symbol.dispose]();
  };
  return { connection, listener, peer, [Symbol.dispose]: dispose };
}

const kinds = ["accepted", "connected"] as const;

describe.each(kinds)("passing on what a connection lends that was %s", (kind) => {
  it("makes few buffers, and changes nothing, however slow the other end is", async () => {
    using source = await pair(kind);
    using sink = await pair("accepted");
    const buffers = new Set<ArrayBufferLike>();
    let waits = 0;
    source.connection.lendsReads = true;
    source.connection.listener = {
      onBytes(chunk): void {
        if (chunk.length > 16 * 1024) buffers.add(chunk.buffer);
        if (sink.connection.writeLent(chunk)) return;
        waits += 1;
        source.connection.pause();
      },
      onEnd: () => sink.connection.end(),
      onDrain: () => {},
      onClose: () => {},
    };
    sink.connection.listener = { ...source.connection.listener, onDrain: () => source.connection.resume() };
    const sent = randomBytes(16 * 1024 * 1024);
    sink.peer.socket.pause();
    source.peer.send(sent).end();
    source.connection.resume();
    await expect.poll(() => waits).toBeGreaterThan(0);
    sink.peer.socket.resume();
    await expect.poll(() => sink.peer.ended).toBe(true);
    expect(Buffer.from(sink.peer.text, "latin1").equals(sent)).toBe(true);
    expect(buffers.size).toBeLessThan(60);
  });

  it("leaves no buffer with connections that are idle", async () => {
    const buffers = new Set<ArrayBufferLike>();
    for (let count = 0; count < 20; count++) {
      using source = await pair(kind);
      using sink = await pair("accepted");
      source.connection.lendsReads = true;
      let received = 0;
      source.connection.listener = {
        onBytes(chunk): void {
          received += chunk.length;
          if (chunk.length > 16 * 1024) buffers.add(chunk.buffer);
          if (!sink.connection.writeLent(chunk)) source.connection.pause();
        },
        onEnd: () => {},
        onDrain: () => {},
        onClose: () => {},
      };
      sink.connection.listener = { ...source.connection.listener, onDrain: () => source.connection.resume() };
      source.connection.resume();
      source.peer.send(randomBytes(512 * 1024));
      await expect.poll(() => received).toBe(512 * 1024);
      source.peer.send("a little");
      await expect.poll(() => received).toBe(512 * 1024 + 8);
      await expect.poll(() => sink.peer.text.length).toBe(received);
    }
    expect(buffers.size).toBeLessThan(5);
  });
});

describe.each(kinds)("resetting a connection that was %s", (kind) => {
  it.each([
    ["just after its end", 0],
    ["while much waits to leave in front of its end", 32 * 1024 * 1024],
  ])("closes it %s", async (_when, bytes) => {
    using it = await pair(kind);
    it.peer.socket.pause();
    if (bytes > 0) it.connection.write(Buffer.alloc(bytes));
    it.connection.end();
    if (bytes === 0) await Promise.resolve();
    it.connection.reset();
    await expect.poll(() => it.listener.events).toContain("close");
    it.peer.socket.resume();
    await it.peer.whenClosed();
    expect(it.peer.text.length < bytes || bytes === 0).toBe(true);
    expect(it.peer.ended).toBe(bytes === 0);
  });
});

describe.each(kinds)("reading from a connection that was %s", (kind) => {
  it("begins at resume, and tells bytes, end and close", async () => {
    using it = await pair(kind);
    await it.peer.sendNow("hello");
    await settled();
    expect(it.listener.chunks).toEqual([]);
    it.connection.resume();
    it.peer.end();
    await settled();
    expect(it.listener.bytes.toString()).toBe("hello");
    expect(it.listener.events).toEqual(["end"]);
    it.connection.end();
    await it.peer.whenClosed();
    await settled();
    expect(it.listener.events).toEqual(["end", "close"]);
    expect(it.listener.error).toBeUndefined();
    expect(it.connection.closed).toBe(true);
  });

  it("stops at pause", async () => {
    using it = await pair(kind);
    it.connection.resume();
    it.connection.resume();
    await settled();
    it.connection.pause();
    it.connection.pause();
    await it.peer.sendNow("one");
    await it.peer.sendNow("two");
    it.peer.end();
    await settled();
    expect(it.listener).toMatchObject({ chunks: [], events: [] });
    it.connection.resume();
    await settled();
    expect(it.listener.bytes.toString()).toBe("onetwo");
    expect(it.listener.events).toEqual(["end"]);
  });

  it("gives away its buffers: what came stays as it was, whatever comes later, here and on others", async () => {
    const pairs = await Promise.all(Array.from({ length: 3 }, () => pair(kind)));
    const sent = pairs.map(() => [] as Buffer[]);
    for (const { connection } of pairs) connection.resume();
    for (const size of [10, 200_000, 20, 20_000, 300, 70_000, 1, 16 * 1024, 16 * 1024 - 1]) {
      for (const [index, { peer }] of pairs.entries()) {
        const bytes = randomBytes(size);
        sent[index]?.push(bytes);
        await peer.sendNow(bytes);
      }
      await settled();
    }
    for (const [index, { listener }] of pairs.entries()) {
      expect(listener.bytes.equals(Buffer.concat(sent[index] ?? []))).toBe(true);
    }
    for (const one of pairs) one[Symbol.dispose]();
  });

  it("tells a reset as a close with its cause, once", async () => {
    using it = await pair(kind);
    it.connection.resume();
    it.peer.reset();
    await settled();
    expect(it.listener.events).toEqual(["close"]);
    expect(it.listener.error).toMatchObject({ code: "ECONNRESET" });
    it.connection.destroy();
    it.connection.closeGracefully(1_000);
    await settled();
    expect(it.listener.events).toEqual(["close"]);
  });
});

describe.each(kinds)("writing to a connection that was %s", (kind) => {
  it("sends what is small at the end of the turn, in one piece", async () => {
    using it = await pair(kind);
    const pieces: string[] = [];
    it.peer.socket.on("data", (chunk) => pieces.push(chunk.toString("latin1")));
    expect(it.connection.write("head\r\n")).toBe(true);
    expect(it.connection.write(Buffer.from([0, 255]))).toBe(true);
    expect(it.connection.writeBetween("5\r\n", Buffer.from("hello"), "\r\n")).toBe(true);
    await it.peer.bytes(18);
    expect(pieces).toEqual(["head\r\n\0\xff5\r\nhello\r\n"]);
  });

  it("keeps the order of small and large pieces", async () => {
    using it = await pair(kind);
    const expected: Buffer[] = [];
    for (const size of [1, 8 * 1024, 8 * 1024 + 1, 5, 100_000, 17_000, 3, 9_000, 9_000, 2]) {
      const bytes = randomBytes(size);
      it.connection.write(bytes);
      it.connection.write("|\xe9|");
      it.connection.writeBetween("<", bytes, size % 2 === 0 ? ">" : "");
      expected.push(bytes, Buffer.from("|\xe9|<", "latin1"), bytes, Buffer.from(size % 2 === 0 ? ">" : ""));
    }
    it.connection.end();
    const text = await it.peer.whenEnded();
    expect(Buffer.from(text, "latin1").equals(Buffer.concat(expected))).toBe(true);
  });

  it("asks to stop when enough is waiting, and tells when that has left", async () => {
    using it = await pair(kind);
    it.peer.socket.pause();
    let written = 0;
    do written += 64 * 1024;
    while (it.connection.write(Buffer.alloc(64 * 1024)));
    await settled();
    expect(it.connection.full).toBe(true);
    const unsent = it.connection.unsentBytes;
    expect(unsent).toBeGreaterThanOrEqual(64 * 1024);
    expect(it.listener.events).toEqual([]);
    it.peer.socket.resume();
    await it.peer.bytes(written);
    await settled();
    expect(it.listener.events).toEqual(["drain"]);
    expect(it.connection).toMatchObject({ full: false, unsentBytes: 0 });
  });

  it("is in vain when the connection is gone, and does no harm", async () => {
    using it = await pair(kind);
    it.connection.write("held back");
    it.connection.destroy();
    it.connection.write("too late");
    it.connection.write(Buffer.alloc(100_000));
    it.connection.flush();
    it.connection.end();
    expect((await it.peer.whenClosed()).text).toBe("");
    await settled();
    expect(it.connection.writable).toBe(false);
    expect(it.listener.events).toEqual(["close"]);
    expect(it.listener.error).toBeUndefined();
  });

  it("ends behind what was written, and reads on", async () => {
    using it = await pair(kind);
    it.connection.resume();
    it.connection.write("last");
    it.connection.end();
    expect(await it.peer.whenEnded()).toBe("last");
    await it.peer.sendNow("answer");
    await settled();
    expect(it.listener.bytes.toString()).toBe("answer");
  });

  it("can end in a reset", async () => {
    using it = await pair(kind);
    it.connection.reset();
    expect((await it.peer.whenClosed()).reset).toBe(true);
  });
});

describe("a connection", () => {
  it("knows both addresses, of each family", async () => {
    using four = await pair("accepted");
    const port = four.peer.socket.localPort;
    expect(four.connection.remoteAddress).toBe(`127.0.0.1:${port}`);
    expect(four.connection.localAddress).toBe(`127.0.0.1:${four.peer.socket.remotePort}`);
    using six = await pair("connected", { host: "::1" });
    expect(six.connection.remoteAddress).toMatch(/^\[::1\]:\d+$/);
    expect(six.connection.tls).toBeUndefined();
  });

  it("can be a Unix socket", async () => {
    const folder = mkdtempSync(join(tmpdir(), "cirque-"));
    for (const kind of kinds) {
      using it = await pair(kind, { path: join(folder, kind) });
      it.connection.resume();
      it.connection.write("hello");
      await it.peer.send("hi").until("hello");
      await settled();
      expect(it.listener.bytes.toString()).toBe("hi");
      expect(it.connection.remoteAddress).toBe("unix:");
      it.connection.reset();
      await expect.poll(() => it.listener.events).toContain("close");
    }
    rmSync(folder, { recursive: true });
  });

  it("can be made of a socket that was accepted in another way, and may have been read from", async () => {
    using it = await pair("accepted", { pauseOnConnect: false });
    await it.peer.sendNow("hello");
    await settled();
    expect(it.listener.chunks).toEqual([]);
    it.connection.resume();
    it.connection.write("hi");
    await it.peer.until("hi");
    expect(it.listener.bytes.toString()).toBe("hello");
  });
});
