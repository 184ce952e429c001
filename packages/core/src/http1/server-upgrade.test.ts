import { ResponseHead } from "@cirque/http";
import { describe, expect, it } from "vitest";
import { CollectingSink } from "../../test/wire/collecting-sink.ts";
import { FakeClock } from "../../test/wire/fake-clock.ts";
import { type RawPeer, settled } from "../../test/wire/raw-peer.ts";
import { readResponses } from "../../test/wire/read-responses.ts";
import { answer, answerTarget, get, TestServer } from "../../test/wire/test-server.ts";
import type { ServerSession } from "../session/server-session.ts";
import type { Http1ServerOptions } from "./server-options.ts";

const upgradeLines = "Connection: keep-alive, Upgrade\r\nUpgrade: example/1\r\n";

/** A client that asked for another protocol, and its session. */
async function asked(
  behind = "",
  options: Http1ServerOptions = {},
): Promise<{ server: TestServer; client: RawPeer; session: ServerSession } & AsyncDisposable> {
  const server = await TestServer.start(() => {}, options);
  const client = await server.client();
  client.send(get("/", upgradeLines) + behind);
  const session = await server.sessions.at(0);
  return { server, client, session, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

/** The same, behind the 101. */
async function tunnel(
  behind = "",
  options: Http1ServerOptions = {},
): Promise<Awaited<ReturnType<typeof asked>> & { sink: CollectingSink }> {
  const result = await asked(behind, options);
  const { session, client } = result;
  const sink = new CollectingSink();
  session.upgrade(new ResponseHead(101));
  session.readBody(sink);
  session.flush();
  await client.until("\r\n\r\n");
  client.clear();
  return Object.assign(result, { sink });
}

describe("a request to upgrade (H1S-18, RFC 9110, 7.8)", () => {
  it.each([
    ["1.1", upgradeLines, true],
    ["1.1", "Connection: UPGRADE\r\nUpgrade: websocket\r\n", true],
    ["1.1", "Upgrade: websocket\r\n", false],
    ["1.1", "Connection: upgrade\r\n", false],
    ["1.1", "Connection: upgraded\r\nUpgrade: websocket\r\n", false],
    ["1.0", "Connection: upgrade\r\nUpgrade: websocket\r\n", false],
    ["1.1", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n", false],
    ["1.1", "Connection: Upgrade\r\nUpgrade: websocket, H2C\r\n", false],
  ])("of HTTP/%s with %j: %s", async (version, lines, upgrade) => {
    await using server = await TestServer.start(() => {});
    const client = await server.client();
    client.send(`GET / HTTP/${version}\r\nHost: a\r\n${lines}\r\n`);
    expect((await server.sessions.at(0)).upgradeRequested).toBe(upgrade);
  });

  it("is answered 101 with the protocol, and the tunnel is open both ways", async () => {
    await using server = await TestServer.start(() => {});
    const client = await server.client();
    client.send(get("/", upgradeLines));
    const session = await server.sessions.at(0);
    const sink = new CollectingSink();
    session.upgrade(new ResponseHead(101, { "content-length": "5", "transfer-encoding": "chunked", "x-key": "y" }));
    session.readBody(sink);
    session.flush();
    expect(await client.until("\r\n\r\n")).toBe(
      "HTTP/1.1 101 Switching Protocols\r\nx-key: y\r\nUpgrade: example/1\r\nConnection: Upgrade\r\n\r\n",
    );
    client.clear().send("\0ping");
    session.write(Buffer.from("pong\xff", "latin1"));
    expect(await client.bytes(5)).toBe("pong\xff");
    await expect.poll(() => sink.text).toBe("\0ping");
    expect(session).toMatchObject({ bodyBytesRead: 5, bodyBytesSent: 5 });
  });

  it("keeps the protocol that the origin chose", async () => {
    await using asking = await asked();
    asking.session.upgrade(new ResponseHead(101, { upgrade: "chosen/2" }));
    asking.session.flush();
    expect(readResponses(await asking.client.until("\r\n\r\n"))[0]?.headers.getAll("upgrade")).toEqual(["chosen/2"]);
  });

  it("that was not made cannot be granted", async () => {
    await using server = await TestServer.start(() => {});
    const client = await server.client();
    client.send(get("/", "Connection: close\r\n"));
    const session = await server.sessions.at(0);
    expect(() => session.upgrade(new ResponseHead(101))).toThrow(expect.objectContaining({ code: "InternalError" }));
    answer(session, "no", 500);
    expect(readResponses((await client.whenClosed()).text)).toMatchObject([{ status: 500 }]);
  });

  it("cannot be granted before its body was read, or behind a response", async () => {
    await using server = await TestServer.start(() => {});
    const client = await server.client();
    client.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n${upgradeLines}\r\nhello`);
    const session = await server.sessions.at(0);
    expect(() => session.upgrade(new ResponseHead(101))).toThrow(expect.objectContaining({ code: "InternalError" }));
    answer(session, "no", 400);
    expect(() => session.upgrade(new ResponseHead(101))).toThrow(expect.objectContaining({ code: "InternalError" }));
    expect(readResponses((await client.whenClosed()).text)).toMatchObject([{ status: 400 }]);
  });

  it("can be granted when its body was read", async () => {
    await using server = await TestServer.start(() => {});
    const client = await server.client();
    client.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n${upgradeLines}\r\nhellotunnel`);
    const session = await server.sessions.at(0);
    const body = new CollectingSink();
    session.readBody(body);
    expect((await body.body()).text).toBe("hello");
    const sink = new CollectingSink();
    session.upgrade(new ResponseHead(101));
    session.readBody(sink);
    expect(sink.text).toBe("tunnel");
  });
});

describe("bytes behind a request to upgrade (CVE-2026-2833)", () => {
  it("are the other protocol's once it is granted, and not before", async () => {
    await using asking = await asked(get("/smuggled"));
    const { client, session, server } = asking;
    await client.sendNow("\0more");
    await settled();
    expect(session.bodyBytesRead).toBe(0);
    const sink = new CollectingSink();
    session.upgrade(new ResponseHead(101));
    session.readBody(sink);
    await expect.poll(() => sink.text).toBe(`${get("/smuggled")}\0more`);
    expect(server.sessions.length).toBe(1);
    expect(server.refusals.items).toEqual([]);
  });

  it.each(["here already", "coming later"])("end the connection when it is not granted: %s", async (when) => {
    await using asking = await asked(when === "here already" ? get("/smuggled") : "");
    const { client, session, server } = asking;
    answerTarget(session);
    if (when === "coming later") client.send(get("/smuggled"));
    const responses = readResponses((await client.whenClosed()).text);
    expect(responses).toMatchObject([{ status: 200, body: "/" }]);
    expect(responses[0]?.headers.get("connection")).toBe("close");
    expect(server.sessions.length).toBe(1);
  });

  it("are bounded while nobody has decided", async () => {
    await using asking = await asked();
    const { client, server } = asking;
    let taken = 0;
    const chunk = Buffer.alloc(1024 * 1024);
    while (client.socket.writableLength < 4 * chunk.length) {
      client.send(chunk);
      taken++;
      await settled();
    }
    expect(taken).toBeGreaterThan(4);
    expect(server.connections[0]?.parser.bufferedBytes).toBeLessThanOrEqual(128 * 1024);
  });
});

describe("a tunnel", () => {
  it("has no time-outs of its own", async () => {
    await using server = await TestServer.start(() => {});
    using clock = new FakeClock();
    const client = await server.client();
    client.send(get("/", upgradeLines));
    const session = await server.sessions.at(0);
    const sink = new CollectingSink();
    session.upgrade(new ResponseHead(101));
    session.readBody(sink);
    session.flush();
    await clock.pass(86_400_000);
    session.write(Buffer.from("still here"));
    await client.until("still here");
    expect(server.aborts.items).toEqual([]);
  });

  it("can be held back and goes on in order", async () => {
    await using open = await tunnel("1");
    const { session, sink, client } = open;
    session.pauseBody();
    await client.sendNow("2");
    await client.sendNow("3");
    await settled();
    expect(sink.text).toBe("1");
    session.resumeBody();
    await expect.poll(() => sink.text).toBe("123");
  });

  it("is half closed by the client, and goes on the other way", async () => {
    await using open = await tunnel();
    const { session, sink, client, server } = open;
    client.send("last words").end();
    expect((await sink.body()).text).toBe("last words");
    expect(session.requestEnded).toBe(true);
    session.write(Buffer.from("answer"));
    session.end();
    expect(await client.whenClosed()).toEqual({ text: "answer", reset: false });
    await server.closed.count(1);
    expect(server.aborts.items).toEqual([]);
    expect(sink.lastCalls).toBe(1);
  });

  it("is half closed by us, and goes on the other way", async () => {
    await using open = await tunnel();
    const { session, sink, client, server } = open;
    session.write(Buffer.from("last words"));
    session.end();
    expect(await client.whenEnded()).toBe("last words");
    expect(session.responseEnded).toBe(true);
    client.send("answer").end();
    expect((await sink.body()).text).toBe("answer");
    await server.closed.count(1);
    expect(server.aborts.items).toEqual([]);
  });

  it.each([true, false])("learns of a client that ended before the 101, with abortOnClose %s", async (abortOnClose) => {
    await using asking = await asked("early", { abortOnClose });
    const { client, session, server } = asking;
    client.end();
    if (abortOnClose) {
      // The bytes behind the request hold back the end until somebody reads them.
      session.upgrade(new ResponseHead(101));
    } else {
      await settled();
      session.upgrade(new ResponseHead(101));
    }
    const sink = new CollectingSink();
    session.readBody(sink);
    expect((await sink.body()).text).toBe("early");
    session.end();
    await client.whenClosed();
    await server.closed.count(1);
    expect(server.aborts.items).toEqual([]);
  });

  it("that breaks aborts, and is an error to the reader", async () => {
    await using open = await tunnel();
    const { sink, client, server } = open;
    client.reset();
    await expect(sink.body()).rejects.toMatchObject({ code: "ConnectionClosed", source: "downstream" });
    await server.aborts.at(0);
    expect(sink.lastCalls).toBe(1);
  });

  it("is cut by a reset when it is aborted", async () => {
    await using open = await tunnel();
    open.session.abort();
    expect((await open.client.whenClosed()).reset).toBe(true);
  });
});
