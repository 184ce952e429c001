import { once } from "node:events";
import { constants } from "node:http2";
import { createServer, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import {
  certificate,
  goawayFrame,
  Http2Origin,
  headersFrame,
  privateKey,
  RawHttp2Origin,
  settled,
} from "@cirque/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CollectingSink } from "../../test/wire/collecting-sink.ts";
import { requestHead } from "../../test/wire/test-origin.ts";
import { addressOf, closed } from "../../test/wire/tls-origin.ts";
import type { CirqueError } from "../errors/cirque-error.ts";
import { Http1ClientSession } from "../http1/client-session.ts";
import { Http2ClientSession } from "../http2/client-session.ts";
import type { ClientSession } from "../session/client-session.ts";
import { HttpConnector } from "./http-connector.ts";
import { HttpPeer } from "./http-peer.ts";
import type { PeerOptions } from "./peer-options.ts";

const tls = { sni: "backend.test", ca: certificate } as const;

let connector: HttpConnector;

beforeEach(() => {
  connector = new HttpConnector();
});

afterEach(() => connector.close());

function peerOf(origin: { readonly address: string }, options: PeerOptions = {}): HttpPeer {
  return new HttpPeer(origin.address, { http: "2", ...options });
}

async function sessions(peer: HttpPeer, count: number): Promise<ClientSession[]> {
  return Promise.all(Array.from({ length: count }, async () => connector.session(peer)));
}

/** One exchange, to the end of its body. */
async function exchange(peer: HttpPeer): Promise<{ readonly status: number; readonly session: ClientSession }> {
  const session = await connector.session(peer);
  session.writeHead(requestHead(), false);
  const { status } = await session.readHead();
  const sink = new CollectingSink();
  session.readBody(sink);
  await sink.body();
  connector.release(session, peer);
  return { status, session };
}

function failure(promise: Promise<unknown>): Promise<CirqueError> {
  return promise.then(
    () => {
      throw new Error("it did not fail");
    },
    (error: CirqueError) => error,
  );
}

async function idle(count: number): Promise<void> {
  while (connector.idleConnections !== count) await settled();
}

describe("connections over HTTP/2", () => {
  it("are shared: requests that come while one is being made wait for it (H2U-01)", async () => {
    await using origin = await Http2Origin.start();
    const peer = peerOf(origin);
    const shared = await sessions(peer, 50);
    expect([origin.connections, new Set(shared.map(({ localAddress }) => localAddress)).size]).toEqual([1, 1]);
    expect(shared.every(({ reused }) => !reused)).toBe(true);
    const more = connector.keptSession(peer);
    expect(more?.reused).toBe(true);
    for (const session of [...shared, more as ClientSession]) connector.release(session, peer);
    await idle(1);
  });

  it.each([
    ["the option", 3, 100, 4],
    ["the peer", 100, 3, 4],
  ])("carry as many requests as %s says (H2U-02, PO-17)", async (_, maxStreams, maxConcurrentStreams, count) => {
    await using origin = await Http2Origin.start(undefined, { settings: { maxConcurrentStreams } });
    await sessions(peerOf(origin, { maxStreams }), 10);
    expect(origin.sessions.length).toBe(count);
  });

  it("carry fewer as soon as the peer says so", async () => {
    await using origin = await Http2Origin.start();
    const peer = peerOf(origin);
    const first = await connector.session(peer);
    const [remote] = await origin.sessions.count(1);
    await new Promise<void>((resolve) => remote?.settings({ maxConcurrentStreams: 1 }, () => resolve()));
    const second = await connector.session(peer);
    expect(second.localAddress).not.toBe(first.localAddress);
    connector.release(first, peer);
    await idle(1);
  });

  it("fail requests that could never be sent, and make no more connections for them", async () => {
    await using origin = await Http2Origin.start(undefined, { settings: { maxConcurrentStreams: 0 } });
    expect(await failure(sessions(peerOf(origin), 3))).toMatchObject({ code: "H2Error", retry: true });
    expect(origin.sessions.length).toBe(1);
  });

  it("go to the pool with their last stream, and count as one (H2U-10)", async () => {
    await using origin = await Http2Origin.start();
    connector = new HttpConnector({ poolSize: 1 });
    const peer = peerOf(origin, { maxStreams: 5 });
    const all = await sessions(peer, 10);
    expect([connector.idleConnections, origin.connections]).toEqual([0, 2]);
    for (const session of all) connector.release(session, peer);
    await idle(1);
    while (origin.connections > 1) await settled();
    expect((await exchange(peer)).session.reused).toBe(true);
  });

  it("do not push, and offer what the options say (H2U-04, PO-18)", async () => {
    await using origin = await Http2Origin.start();
    await connector.session(peerOf(origin, { streamWindowBytes: 200_000 }));
    const [remote] = await origin.sessions.count(1);
    while (remote?.remoteSettings.enablePush !== false) await settled();
    expect(remote?.remoteSettings).toMatchObject({
      enablePush: false,
      initialWindowSize: 200_000,
      maxFrameSize: 65_536,
      maxHeaderListSize: 65_536,
    });
  });

  it("hold to the limit of connections, and give room on them to those who wait (POOL-12)", async () => {
    await using origin = await Http2Origin.start();
    const peer = peerOf(origin, { maxConnections: 1, maxStreams: 2 });
    const [first, second] = await sessions(peer, 2);
    let served = 0;
    const waiting = [3, 4].map(async () => {
      const session = await connector.session(peer);
      served++;
      return session;
    });
    while (connector.pendingRequests < 2) await settled();
    connector.release(first as ClientSession, peer);
    const third = await Promise.race(waiting);
    expect([served, third.reused]).toEqual([1, true]);
    connector.release(second as ClientSession, peer);
    await Promise.all(waiting);
    expect(origin.sessions.length).toBe(1);
  });

  it("are made ahead (POOL-13)", async () => {
    await using origin = await Http2Origin.start();
    const peer = peerOf(origin);
    expect(await connector.preconnect(peer, 2)).toBe(2);
    expect([connector.idleConnections, (await exchange(peer)).session.reused]).toEqual([2, true]);
  });

  it("are not given up for one who leaves while they are made; they are when all have left", async () => {
    const sockets: Socket[] = [];
    const server = createServer((socket) => void sockets.push(socket));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const peer = new HttpPeer(addressOf(server), { http: "2" });
    const [one, other] = [new AbortController(), new AbortController()];
    const waiting = [one, other].map(({ signal }) => failure(connector.newSession(peer, false, signal)));
    while (sockets.length < 1) await settled();
    one.abort();
    expect((await waiting[0])?.code).toBe("ConnectError");
    expect(sockets[0]?.destroyed).toBe(false);
    sockets[0]?.resume();
    other.abort();
    expect((await waiting[1])?.code).toBe("ConnectError");
    expect(sockets).toHaveLength(1);
    await closed(server, sockets);
  });
});

describe("an origin that closes an HTTP/2 connection (H2U-03)", () => {
  it("gets no more requests on it, and those under way go on", async () => {
    await using origin = await Http2Origin.start(() => {});
    const peer = peerOf(origin);
    const session = await connector.session(peer);
    session.writeHead(requestHead(), false);
    const stream = await origin.streams.at(0);
    stream.session?.goaway(constants.NGHTTP2_NO_ERROR);
    while (connector.keptSession(peer) !== undefined) await settled();
    const other = await connector.session(peer);
    expect(other.localAddress).not.toBe(session.localAddress);
    stream.respond({ ":status": 200 });
    stream.end("done");
    expect((await session.readHead()).status).toBe(200);
    const sink = new CollectingSink();
    session.readBody(sink);
    expect((await sink.body()).text).toBe("done");
  });

  it.each([
    ["NO_ERROR", constants.NGHTTP2_NO_ERROR],
    ["ENHANCE_YOUR_CALM", constants.NGHTTP2_ENHANCE_YOUR_CALM],
    ["INTERNAL_ERROR", constants.NGHTTP2_INTERNAL_ERROR],
    ["CANCEL", constants.NGHTTP2_CANCEL],
  ])("with %s says which requests it has not looked at: any of them may be sent again", async (_, code) => {
    await using raw = await RawHttp2Origin.start();
    const peer = peerOf(raw);
    const [seen, unseen] = (await sessions(peer, 2)) as [ClientSession, ClientSession];
    for (const session of [seen, unseen]) session.writeHead(requestHead("POST"), true);
    const connection = await raw.connections.at(0);
    await connection.streamIds.count(2);
    const heads = [seen, unseen].map((session) => session.readHead());
    const lost = failure(heads[1] as Promise<unknown>);
    connection.send(goawayFrame(1, code));
    expect(await lost).toMatchObject({ source: "upstream", retry: true });
    expect(unseen.requestStarted).toBe(false);
    if (code === constants.NGHTTP2_NO_ERROR) {
      connection.send(headersFrame(1, [0x88], true));
      expect((await heads[0])?.status).toBe(200);
    } else expect(await failure(heads[0] as Promise<unknown>)).toMatchObject({ retry: "reused-only" });
    expect(seen.requestStarted).toBe(true);
  });

  it("is found out while it is idle", async () => {
    await using origin = await Http2Origin.start();
    await exchange(peerOf(origin));
    await idle(1);
    origin.sessions.items[0]?.close();
    await idle(0);
  });
});

describe("what the origin speaks", () => {
  it("is agreed on in TLS, when it may choose (PO-11)", async () => {
    await using both = await Http2Origin.start(undefined, { tls: true, allowHttp1: true });
    for (const http of ["2", "2-or-1"] as const) {
      const { session } = await exchange(peerOf(both, { ...tls, http }));
      expect([session instanceof Http2ClientSession, session.connectFacts?.tls?.alpn]).toEqual([true, "h2"]);
    }
    expect(await connector.session(peerOf(both, { ...tls, http: "1" }))).toBeInstanceOf(Http1ClientSession);
  });

  it("is HTTP/1.1 for as many as come, when the first of them has found out, and is remembered (H2U-05)", async () => {
    await using origin = await http1Origin();
    const peer = peerOf(origin, { ...tls, http: "2-or-1" });
    const all = await sessions(peer, 5);
    expect(all.every((session) => session instanceof Http1ClientSession)).toBe(true);
    expect(new Set(all).size).toBe(5);
    // The first offered both; the others knew.
    expect(origin.offers).toEqual(["h2,http/1.1", ...Array.from({ length: 4 }, () => "http/1.1")]);
    expect((await exchange(peer)).session).toBeInstanceOf(Http1ClientSession);
    expect((await exchange(peer)).session.reused).toBe(true);
  });

  it("must be HTTP/2 when the peer says so", async () => {
    await using origin = await http1Origin();
    const error = await failure(exchange(peerOf(origin, tls)));
    expect(error.source).toBe("upstream");
    expect(error.retry).not.toBe("reused-only");
    expect(["InvalidH2", "TLSHandshakeFailure"]).toContain(error.code);
  });

  it.each<[string, (socket: Socket) => void, string, unknown]>([
    ["HTTP/1.1", (socket) => void socket.write("HTTP/1.1 400 Bad Request\r\n\r\n"), "InvalidH2", false],
    ["nothing", () => {}, "ConnectTimedout", true],
    ["good-bye", (socket) => void socket.end(), "ConnectionClosed", "reused-only"],
  ])("is not %s where HTTP/2 is known before (H2U-06)", async (_, greet, code, retry) => {
    const sockets: Socket[] = [];
    const server = createServer((socket) => {
      sockets.push(socket);
      socket.on("error", () => {}).resume();
      greet(socket);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const peer = new HttpPeer(addressOf(server), { http: "2", connectionTimeoutMs: 200 });
    expect(await failure(exchange(peer))).toMatchObject({ code, retry, source: "upstream" });
    await closed(server, sockets);
  });

  it("is HTTP/1.1 after HTTP_1_1_REQUIRED, where that may be spoken (H2C-02, ERRP-04)", async () => {
    await using origin = await Http2Origin.start((stream) => stream.close(constants.NGHTTP2_HTTP_1_1_REQUIRED), {
      tls: true,
      allowHttp1: true,
    });
    const peer = peerOf(origin, { ...tls, http: "2-or-1" });
    expect(await failure(exchange(peer))).toMatchObject({ code: "H2Downgrade", retry: true });
    expect(await connector.session(peer)).toBeInstanceOf(Http1ClientSession);
    expect(await failure(exchange(peerOf(origin, tls)))).toMatchObject({ code: "H2Downgrade", retry: false });
  });
});

describe("a WebSocket (RFC 8441)", () => {
  const upgrade = {
    upgrade: "websocket",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    "sec-websocket-version": "13",
  };

  it("is an extended CONNECT, whose 200 is a 101", async () => {
    await using origin = await Http2Origin.start(
      (stream, headers) => {
        const { ":method": method, ":protocol": protocol, "sec-websocket-key": key } = headers;
        stream.respond({ ":status": 200, "x-asked": `${method} ${protocol} ${key}` });
        stream.pipe(stream);
      },
      { settings: { enableConnectProtocol: true } },
    );
    const peer = peerOf(origin);
    const session = await connector.session(peer, false, undefined, "websocket");
    session.writeHead(requestHead("GET", upgrade), false);
    const head = await session.readHead();
    expect([head.status, head.headers.get("upgrade"), head.headers.get("x-asked")]).toEqual([
      101,
      "websocket",
      "CONNECT websocket undefined",
    ]);
    // The example of RFC 6455, 1.3.
    expect(head.headers.get("sec-websocket-accept")).toBe("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    session.upgrade();
    const sink = new CollectingSink();
    session.readBody(sink);
    session.write(Buffer.from("hello"));
    while (sink.text !== "hello") await settled();
    session.end();
    expect((await sink.body()).text).toBe("hello");
  });

  it("goes over HTTP/1.1 where the origin takes none over HTTP/2, and is refused where that may not be spoken", async () => {
    await using origin = await Http2Origin.start(undefined, { tls: true, allowHttp1: true });
    const peer = peerOf(origin, { ...tls, http: "2-or-1" });
    expect(await connector.session(peer, false, undefined, "websocket")).toBeInstanceOf(Http1ClientSession);
    await exchange(peer);
    expect(await connector.session(peer, false, undefined, "websocket")).toBeInstanceOf(Http1ClientSession);
    expect(await connector.session(peer, false, undefined, "other")).toBeInstanceOf(Http1ClientSession);
    const only = await connector.session(peerOf(origin, tls), false, undefined, "websocket");
    expect(() => only.writeHead(requestHead("GET", upgrade), false)).toThrow(
      expect.objectContaining({ code: "H2Error", retry: false }),
    );
  });
});

/** An origin of HTTP/1.1 in TLS, and what it was offered. */
async function http1Origin(): Promise<AsyncDisposable & { readonly address: string; readonly offers: string[] }> {
  const offers: string[] = [];
  const sockets: Socket[] = [];
  const server = createTlsServer({
    cert: certificate,
    key: privateKey,
    ALPNCallback: ({ protocols }) => {
      offers.push(protocols.join());
      return protocols.includes("http/1.1") ? "http/1.1" : undefined;
    },
  });
  server.on("secureConnection", (socket) => {
    sockets.push(socket);
    socket.on("error", () => {});
    socket.on("data", () => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
  });
  server.on("tlsClientError", () => {});
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { address: addressOf(server), offers, [Symbol.asyncDispose]: () => closed(server, sockets) };
}
