import { constants, type ServerHttp2Stream } from "node:http2";
import { HeaderMap } from "@cirque/http";
import {
  dataFrame,
  FrameType,
  Http2Origin,
  headersFrame,
  http2Frame,
  type RawHttp2Connection,
  RawHttp2Origin,
  type ReceivedFrame,
  rstStreamFrame,
  settled,
} from "@cirque/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CollectingSink } from "../../test/wire/collecting-sink.ts";
import { FakeClock } from "../../test/wire/fake-clock.ts";
import { type ReceivedResponse, requestHead } from "../../test/wire/test-origin.ts";
import { HttpConnector } from "../connectors/http-connector.ts";
import { HttpPeer } from "../connectors/http-peer.ts";
import type { PeerOptions } from "../connectors/peer-options.ts";
import { CirqueError } from "../errors/cirque-error.ts";
import type { ClientSession } from "../session/client-session.ts";

let origin: Http2Origin;
let connector: HttpConnector;

beforeEach(async () => {
  origin = await Http2Origin.start();
  connector = new HttpConnector();
});

afterEach(async () => {
  connector.close();
  await origin[Symbol.asyncDispose]();
});

function session(options: PeerOptions = {}): Promise<ClientSession> {
  return Promise.resolve(connector.session(new HttpPeer(origin.address, { http: "2", ...options })));
}

/** The final head, with its body on the way to a sink. */
async function response(from: ClientSession): Promise<ReceivedResponse> {
  let head = await from.readHead();
  while (head.informational) head = await from.readHead();
  const sink = new CollectingSink();
  from.readBody(sink);
  return { head, sink };
}

async function get(
  method = "GET",
  headers?: Record<string, string>,
): Promise<ReceivedResponse & { to: ClientSession }> {
  const to = await session();
  to.writeHead(requestHead(method, headers), false);
  return { ...(await response(to)), to };
}

/** A stream of the origin, and our end of it, with the request's head there. */
async function asked(
  hasBody = false,
  options?: PeerOptions,
  headers?: Record<string, string>,
): Promise<{ readonly client: ClientSession; readonly stream: ServerHttp2Stream }> {
  origin.handler = () => {};
  const index = origin.streams.length;
  const client = await session(options);
  client.writeHead(requestHead(hasBody ? "POST" : "GET", headers), hasBody);
  return { client, stream: await origin.streams.at(index) };
}

/** `:status: 200` in HPACK. */
const OK = 0x88;

/** A session on a connection to an origin that sends frames, asked for something on stream 1. */
async function rawSession(
  raw: RawHttp2Origin,
  options: PeerOptions = {},
): Promise<{ readonly client: ClientSession; readonly peer: RawHttp2Connection }> {
  const client = await connector.session(new HttpPeer(raw.address, { http: "2", ...options }));
  client.writeHead(requestHead(), false);
  const peer = await raw.connections.at(0);
  await peer.streamIds.count(1);
  return { client, peer };
}

function failure(promise: Promise<unknown>): Promise<CirqueError> {
  return promise.then(
    () => {
      throw new Error("it did not fail");
    },
    (error: CirqueError) => error,
  );
}

describe("a request over HTTP/2", () => {
  it("has :authority from Host, :scheme and :path, and nothing of the connection (H2C-01)", async () => {
    const seen = new Promise<object>((resolve) => {
      origin.handler = (stream, headers) => {
        resolve(Object.fromEntries(Object.entries(headers)));
        stream.respond({ ":status": 200 }, { endStream: true });
      };
    });
    const to = await session();
    const head = requestHead("GET", {
      Connection: "keep-alive",
      "Keep-Alive": "timeout=5",
      te: "trailers",
      "X-A": "1",
    });
    head.target = "/a?b=c";
    to.writeHead(head, false);
    await response(to);
    expect(await seen).toEqual({
      ":method": "GET",
      ":scheme": "http",
      ":authority": "a.example",
      ":path": "/a?b=c",
      te: "trailers",
      "x-a": "1",
    });
  });

  it("carries bodies both ways, and trailers back (H2C-03)", async () => {
    origin.handler = (stream) => {
      stream.respond({ ":status": 200, "content-type": "text/plain" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "x-sum": "5" }));
      stream.pipe(stream);
    };
    const to = await session();
    to.writeHead(requestHead("POST"), true);
    to.write(Buffer.from("there and back"));
    to.end(new HeaderMap([["X-Count", "5"]]));
    const { head, sink } = await response(to);
    expect([head.status, head.version, head.headers.get("content-type")]).toEqual([200, "2", "text/plain"]);
    const { text, trailers } = await sink.body();
    expect([text, trailers?.get("x-sum")]).toEqual(["there and back", "5"]);
    expect([to.requestEnded, to.responseEnded, to.bodyBytesRead]).toEqual([true, true, 14]);
  });

  it("ends with an empty DATA frame where the head must not end it (HDR-06)", async () => {
    const flags = new Promise<number>((resolve) => {
      origin.server.on("stream", (_stream, _headers, seen) => resolve(seen));
    });
    const to = await session();
    const head = requestHead("POST");
    head.sendEndStream = false;
    to.writeHead(head, false);
    await response(to);
    expect((await flags) & constants.NGHTTP2_FLAG_END_STREAM).toBe(0);
  });

  it("gets interim responses in order, then the final one", async () => {
    origin.handler = (stream) => {
      stream.additionalHeaders({ ":status": 100 });
      stream.additionalHeaders({ ":status": 103, link: "</a.css>; rel=preload" });
      stream.respond({ ":status": 200 });
      stream.end("ok");
    };
    const to = await session();
    to.writeHead(requestHead(), false);
    const heads = [await to.readHead(), await to.readHead(), await to.readHead()];
    expect(heads.map(({ status }) => status)).toEqual([100, 103, 200]);
    expect(heads[1]?.headers.get("link")).toBe("</a.css>; rel=preload");
  });

  it("takes no more than 16 interim responses", async () => {
    const { client, stream } = await asked();
    for (let i = 0; i < 17; i++) stream.additionalHeaders({ ":status": 103 });
    const heads = async (): Promise<void> => {
      for (;;) await client.readHead();
    };
    expect(await failure(heads())).toMatchObject({ code: "H2Error", source: "upstream" });
  });

  it.each([
    ["HEAD", 200, { "content-length": "1000" }],
    ["GET", 204, {}],
    ["GET", 304, { "content-length": "1000" }],
  ])("%s answered %d has no body, whatever its length says", async (method, status, headers) => {
    origin.handler = (stream) => stream.respond({ ":status": status, ...headers }, { endStream: true });
    const { head, sink, to } = await get(method);
    expect(head.status).toBe(status);
    expect(sink.lastCalls).toBe(1);
    expect([sink.text, to.responseEnded]).toEqual(["", true]);
  });

  it("sends exactly the declared length: what is beyond is dropped, what is short is an error", async () => {
    origin.handler = (stream) => {
      stream.respond({ ":status": 200 });
      stream.pipe(stream);
    };
    const long = await session();
    long.writeHead(requestHead("POST", { "content-length": "4" }), true);
    long.write(Buffer.from("more than that"));
    long.end();
    expect((await (await response(long)).sink.body()).text).toBe("more");

    origin.handler = () => {};
    const { client, stream } = await asked(true, {}, { "content-length": "4" });
    const head = failure(client.readHead());
    const closed = new Promise((resolve) => stream.on("close", resolve));
    client.write(Buffer.from("abc"));
    client.end();
    expect(await head).toMatchObject({ code: "WriteError", source: "internal" });
    await closed;
    expect(stream.rstCode).toBe(constants.NGHTTP2_CANCEL);
  });
});

describe("a response over HTTP/2 that is not whole", () => {
  it.each([
    ["shorter than its Content-Length", "9"],
    ["longer than its Content-Length", "2"],
  ])("because it is %s, is an error", async (_, length) => {
    origin.handler = (stream) => {
      stream.respond({ ":status": 200, "content-length": length });
      stream.end("hello");
    };
    const { sink } = await get();
    expect(["H2Error", "InvalidH2"]).toContain((await failure(sink.body())).code);
    expect(sink.lastCalls).toBe(1);
  });

  it.each([
    ["NO_ERROR", constants.NGHTTP2_NO_ERROR],
    ["CANCEL", constants.NGHTTP2_CANCEL],
    ["INTERNAL_ERROR", constants.NGHTTP2_INTERNAL_ERROR],
  ])("because the origin reset it with %s, never passes for whole", async (_, code) => {
    await using raw = await RawHttp2Origin.start();
    const { client, peer } = await rawSession(raw);
    peer.send(headersFrame(1, [OK]), dataFrame(1, "half of "));
    const { sink } = await response(client);
    while (sink.text === "") await settled();
    peer.send(rstStreamFrame(1, code));
    expect(await failure(sink.body())).toMatchObject({ code: "H2Error", source: "upstream" });
    expect([sink.text, client.responseEnded]).toEqual(["half of ", false]);
  });

  it("is good when it was there whole before its connection was lost, also for who takes it slowly", async () => {
    await using raw = await RawHttp2Origin.start();
    const { client, peer } = await rawSession(raw);
    const pieces = ["one ", "two ", "three"].map((text, index) => dataFrame(1, text, index === 2));
    peer.send(headersFrame(1, [OK]), ...pieces);
    await client.readHead();
    peer.socket.destroy();
    for (let i = 0; i < 10; i++) await settled();
    const sink = new CollectingSink(() => client.pauseBody());
    client.readBody(sink);
    expect([sink.text, sink.lastCalls]).toEqual(["one ", 0]);
    client.resumeBody();
    expect(sink.text).toBe("one two ");
    client.resumeBody();
    expect([sink.text, sink.lastCalls]).toEqual(["one two three", 0]);
    client.resumeBody();
    expect((await sink.body()).text).toBe("one two three");
  });

  it("is an error when it was not there whole when its connection was lost", async () => {
    await using raw = await RawHttp2Origin.start();
    const { client, peer } = await rawSession(raw);
    peer.send(headersFrame(1, [OK]), dataFrame(1, "half of "));
    const { sink } = await response(client);
    while (sink.text === "") await settled();
    peer.socket.destroy();
    expect(await failure(sink.body())).toMatchObject({ code: "ConnectionClosed", retry: "reused-only" });
  });

  it.each<[string, Buffer]>([
    ["without a status", headersFrame(1, [0x82])],
    ["with an upper-case name", headersFrame(1, [OK, 0x00, 0x01, 0x41, 0x01, 0x62])],
    ["of status 101", headersFrame(1, [0x08, 0x03, 0x31, 0x30, 0x31])],
    ["with a body before it", dataFrame(1, "x")],
  ])("is refused when it is malformed: %s", async (_, frame) => {
    await using raw = await RawHttp2Origin.start();
    const { client, peer } = await rawSession(raw);
    peer.send(frame);
    const error = await failure(client.readHead());
    expect(error.source).toBe("upstream");
    expect(["H2Error", "InvalidH2"]).toContain(error.code);
    expect(client.requestStarted).toBe(true);
  });
});

describe("what the origin resets a stream with (H2C-02, ERRP-04)", () => {
  it.each([
    ["REFUSED_STREAM", constants.NGHTTP2_REFUSED_STREAM, "H2Error", true, false],
    ["HTTP_1_1_REQUIRED", constants.NGHTTP2_HTTP_1_1_REQUIRED, "H2Downgrade", false, false],
    ["PROTOCOL_ERROR", constants.NGHTTP2_PROTOCOL_ERROR, "H2Error", false, true],
    ["ENHANCE_YOUR_CALM", constants.NGHTTP2_ENHANCE_YOUR_CALM, "H2Error", false, true],
    ["CANCEL", constants.NGHTTP2_CANCEL, "H2Error", false, true],
    ["NO_ERROR", constants.NGHTTP2_NO_ERROR, "H2Error", false, true],
  ])("%s says whether it may have been processed", async (_name, code, errorCode, retry, requestStarted) => {
    const { client, stream } = await asked();
    stream.close(code);
    const error = await failure(client.readHead());
    expect(error).toMatchObject({ code: errorCode, retry, source: "upstream", context: { http2Code: code } });
    expect(client.requestStarted).toBe(requestStarted);
  });

  it("leaves the other streams of the connection alone", async () => {
    const one = await asked();
    const other = await asked();
    one.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    await failure(one.client.readHead());
    other.stream.respond({ ":status": 200 });
    other.stream.end("fine");
    expect((await (await response(other.client)).sink.body()).text).toBe("fine");
    expect(origin.sessions.length).toBe(1);
  });
});

describe("flow control (H2U-08)", () => {
  it("stops an origin whose response nobody takes, within the window, while others go on", async () => {
    const { client, stream } = await asked(false, { streamWindowBytes: 64 * 1024 });
    stream.respond({ ":status": 200 });
    let sent = 0;
    let room = true;
    while (room && sent < 4 * 1024 * 1024) {
      room = stream.write(Buffer.alloc(16 * 1024));
      sent += 16 * 1024;
    }
    stream.on("drain", () => {
      while (sent < 4 * 1024 * 1024 && stream.write(Buffer.alloc(16 * 1024))) sent += 16 * 1024;
    });
    await client.readHead();
    const sink = new CollectingSink();
    client.readBody(sink);
    client.pauseBody();
    origin.handler = (other) => {
      other.respond({ ":status": 200 });
      other.end("y".repeat(300_000));
    };
    expect((await (await get()).sink.body()).text).toHaveLength(300_000);
    expect(sent).toBeLessThan(512 * 1024);
    client.resumeBody();
    while (sink.chunks.reduce((sum, { length }) => sum + length, 0) < 2 * 1024 * 1024) await settled();
    client.abort(CirqueError.internal("ConnectionClosed", "enough"));
  });

  it("asks to stop when the origin takes nothing, and says when it does again", async () => {
    const { client, stream } = await asked(true);
    let writable = 0;
    client.observer = { onWritable: () => writable++ };
    let written = 0;
    while (client.write(Buffer.alloc(16 * 1024)) && written < 10_000_000) written += 16 * 1024;
    expect(written).toBeLessThan(256 * 1024);
    for (let i = 0; i < 10; i++) await settled();
    const before = writable;
    // 64 KiB of window may have gone; the rest waits here until the origin reads.
    for (let i = 0; i < 20 && client.write(Buffer.alloc(64 * 1024)); i++) await settled();
    expect(client.write(Buffer.alloc(1))).toBe(false);
    stream.resume();
    while (writable === before) await settled();
    client.end();
    stream.respond({ ":status": 200 }, { endStream: true });
    expect((await response(client)).head.status).toBe(200);
  });

  it("never lets an upload that was given up pass for a whole one", async () => {
    const { client, stream } = await asked(true);
    let ended = false;
    let text = "";
    stream.on("data", (chunk) => {
      text += String(chunk);
    });
    stream.on("aborted", () => {
      ended = stream.readableEnded;
    });
    const closed = new Promise((resolve) => stream.on("close", resolve));
    client.write(Buffer.from("half of "));
    while (text === "") await settled();
    client.abort(CirqueError.downstream("ConnectionClosed", "the client has gone"));
    await closed;
    expect([ended, stream.aborted, stream.rstCode]).toEqual([false, true, constants.NGHTTP2_CANCEL]);
  });

  it("never ends uploads when their connection is given up by the origin", async () => {
    await using raw = await RawHttp2Origin.start();
    const client = await connector.session(new HttpPeer(raw.address, { http: "2" }));
    client.writeHead(requestHead("POST"), true);
    client.write(Buffer.from("half of "));
    const peer = await raw.connections.at(0);
    while (!peer.frames.items.some(({ type }) => type === FrameType.Data)) await settled();
    peer.send(http2Frame(FrameType.Settings, 0, 3));
    expect(await failure(client.readHead())).toMatchObject({ code: "InvalidH2", retry: true });
    await new Promise((resolve) => peer.socket.on("close", resolve));
    expect(peer.frames.items.some(({ type, flags }) => type === FrameType.Data && flags !== 0)).toBe(false);
  });

  it("leaves nothing when streams are reset while they are written to", async () => {
    origin.handler = (stream) => stream.close(constants.NGHTTP2_CANCEL);
    for (let round = 0; round < 5; round++) {
      const failures = Array.from({ length: 20 }, async () => {
        const client = await session();
        client.writeHead(requestHead("POST"), true);
        client.write(Buffer.alloc(200_000));
        const error = await failure(client.readHead());
        client.write(Buffer.alloc(1000));
        client.end();
        return error.code;
      });
      expect(new Set(await Promise.all(failures))).toEqual(new Set(["H2Error"]));
    }
    while (connector.idleConnections === 0) await settled();
    expect(connector.idleConnections).toBe(1);
    expect(origin.sessions.length).toBe(1);
  });

  it("ends the upload when the origin has answered whole and wants no more of it", async () => {
    const { client, stream } = await asked(true);
    client.write(Buffer.alloc(1000));
    stream.resume();
    stream.respond({ ":status": 413 });
    stream.end("too much");
    const { head, sink } = await response(client);
    expect([head.status, (await sink.body()).text]).toEqual([413, "too much"]);
    const closed = new Promise((resolve) => stream.on("close", resolve));
    connector.release(client, new HttpPeer(origin.address, { http: "2" }));
    await closed;
    expect(stream.rstCode).toBe(constants.NGHTTP2_CANCEL);
    while (connector.idleConnections === 0) await settled();
  });
});

describe("time-outs over HTTP/2 (H2U-09, PO-16)", () => {
  it("cancel a stream that is silent; the connection goes on once it has shown that it lives", async () => {
    using clock = new FakeClock();
    const { client, stream } = await asked();
    const closed = new Promise((resolve) => stream.on("close", resolve));
    const head = failure(client.readHead());
    await clock.pass(59_990);
    expect(stream.closed).toBe(false);
    await clock.pass(20);
    expect(await head).toMatchObject({ code: "ReadTimedout", source: "upstream" });
    await closed;
    expect(stream.rstCode).toBe(constants.NGHTTP2_CANCEL);
    while (connector.idleConnections === 0) await settled();
    expect((await session()).reused).toBe(true);
  });

  it("give up a body that nobody takes", async () => {
    using clock = new FakeClock();
    const { client } = await asked(true, { writeTimeoutMs: 1_000 });
    const head = failure(client.readHead());
    while (client.write(Buffer.alloc(64 * 1024)));
    await clock.pass(990);
    await clock.pass(20);
    await clock.pass(1_010);
    expect(await head).toMatchObject({ code: "WriteTimedout" });
  });

  it("give up a body that nobody takes though the response has begun", async () => {
    using clock = new FakeClock();
    const { client, stream } = await asked(true, { writeTimeoutMs: 1_000 });
    while (client.write(Buffer.alloc(64 * 1024)));
    stream.respond({ ":status": 200 });
    const { sink } = await response(client);
    await clock.pass(1_010);
    await clock.pass(1_010);
    expect(await failure(sink.body())).toMatchObject({ code: "WriteTimedout" });
  });

  it("ask the connection for a sign of life at an interval, and close it without one", async () => {
    await using raw = await RawHttp2Origin.start();
    using clock = new FakeClock();
    const { client, peer } = await rawSession(raw, {
      pingIntervalMs: 10_000,
      readTimeoutMs: Number.POSITIVE_INFINITY,
    });
    const pings = (): ReceivedFrame[] =>
      peer.frames.items.filter(({ type, flags }) => type === FrameType.Ping && flags === 0);
    const head = failure(client.readHead());
    for (let count = 1; count <= 3; count++) {
      await clock.pass(9_970);
      expect(pings()).toHaveLength(count - 1);
      await clock.pass(50);
      while (pings().length < count) await settled();
      peer.send(http2Frame(FrameType.Ping, 1, 0, pings().at(-1)?.payload));
      for (let i = 0; i < 10; i++) await settled();
    }
    await clock.pass(10_020);
    while (pings().length < 4) await settled();
    await clock.pass(4_950);
    expect(peer.socket.readableEnded).toBe(false);
    await clock.pass(60);
    expect(await head).toMatchObject({ code: "PingTimedout", retry: "reused-only" });
  });

  it("end with the connection when it gives no sign of life either", async () => {
    await using raw = await RawHttp2Origin.start();
    using clock = new FakeClock();
    const { client, peer } = await rawSession(raw);
    const beside = await connector.session(new HttpPeer(raw.address, { http: "2", readTimeoutMs: 600_000 }));
    beside.writeHead(requestHead(), false);
    const [late, lost] = [failure(client.readHead()), failure(beside.readHead())];
    await clock.pass(60_010);
    expect(await late).toMatchObject({ code: "ReadTimedout" });
    // Until it has answered, nobody is sent there.
    const other = await connector.session(new HttpPeer(raw.address, { http: "2" }));
    expect([other.reused, raw.connections.length]).toEqual([false, 2]);
    await clock.pass(5_010);
    expect(await lost).toMatchObject({ code: "PingTimedout" });
    expect(peer.frames.items.some(({ type }) => type === FrameType.Ping)).toBe(true);
  });
});
