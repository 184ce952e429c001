import { ResponseHead } from "@cirque/http";
import { describe, expect, it } from "vitest";
import { CollectingSink } from "../../test/wire/collecting-sink.ts";
import { type RawPeer, settled } from "../../test/wire/raw-peer.ts";
import { answer, get, postChunks, TestServer } from "../../test/wire/test-server.ts";

/** Sends `piece` again and again until this client's own buffer shows that nobody takes more. Returns how often. */
async function sendUntilStuck(client: RawPeer, piece: string): Promise<number> {
  const bytes = Buffer.from(piece, "latin1");
  for (let sent = 0; ; sent++) {
    await settled();
    if (client.socket.writableLength > 4 * bytes.length) return sent;
    client.send(bytes);
  }
}

describe("the memory that one client can take (promise P4)", () => {
  it("is bounded when it pipelines requests and reads no responses; it is answered when it does", async () => {
    const response = "x".repeat(50_000);
    await using server = await TestServer.start((session) => answer(session, response));
    const client = await server.client();
    client.socket.pause();
    const batch = get().repeat(1000);
    const sent = 1000 * (await sendUntilStuck(client, batch));
    const [connection] = server.connections;
    expect(server.sessions.length).toBeLessThan(sent);
    expect(connection?.connection.socket.writableLength).toBeLessThan(64 * 1024 + 2 * response.length);
    expect(connection?.parser.bufferedBytes).toBeLessThanOrEqual(128 * 1024);
    const answered = server.sessions.length;
    client.socket.resume();
    await server.sessions.count(answered + 2000);
    expect(server.refusals.items).toEqual([]);
  });

  it("is bounded when it pipelines while its first request is worked on", async () => {
    await using server = await TestServer.start(() => {});
    const client = await server.client();
    await sendUntilStuck(client, get().repeat(1000));
    expect(server.sessions.length).toBe(1);
    expect(server.connections[0]?.parser.bufferedBytes).toBeLessThanOrEqual(128 * 1024);
  });

  it.each([
    ["never read", false],
    ["paused", true],
  ])("is bounded when it sends a body that is %s", async (_, reading) => {
    await using server = await TestServer.start(() => {});
    const client = await server.client();
    client.send(postChunks(""));
    const session = await server.sessions.at(0);
    const sink = new CollectingSink(() => session.pauseBody());
    if (reading) session.readBody(sink);
    const size = 1024 * 1024;
    await sendUntilStuck(client, `${size.toString(16)}\r\n${"x".repeat(size)}\r\n`);
    expect(server.connections[0]?.parser.bufferedBytes).toBeLessThanOrEqual(128 * 1024);
    expect(sink.text.length).toBeLessThanOrEqual(128 * 1024);
  });

  it("is bounded when each of its small chunks is held back for a while", async () => {
    await using server = await TestServer.start(() => {});
    const client = await server.client();
    client.send(postChunks("1\r\nx\r\n".repeat(1000)));
    const session = await server.sessions.at(0);
    const sink = new CollectingSink(() => session.pauseBody());
    await sendUntilStuck(client, "1\r\nx\r\n".repeat(100_000));
    session.readBody(sink);
    for (let i = 0; i < 100; i++) {
      await settled();
      session.resumeBody();
    }
    expect(sink.chunks.length).toBe(101);
    expect(server.connections[0]?.parser.bufferedBytes).toBeLessThanOrEqual(128 * 1024);
  });

  it("is told to whoever writes: a response waits for its reader", async () => {
    await using server = await TestServer.start(() => {});
    const client = await server.client();
    client.socket.pause();
    client.send(get());
    const session = await server.sessions.at(0);
    let drained = 0;
    session.observer = { onWritable: () => drained++, onAbort() {} };
    session.writeHead(new ResponseHead(200), false);
    while (session.write(Buffer.alloc(64 * 1024)));
    await settled();
    const written = session.bodyBytesSent;
    expect(server.connections[0]?.connection.full).toBe(true);
    expect(drained).toBe(0);
    client.socket.resume();
    await client.bytes(written);
    await settled();
    expect(drained).toBe(1);
    expect(server.connections[0]?.connection.full).toBe(false);
  });
});
