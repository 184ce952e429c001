import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { type AddressInfo, connect as netConnect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { FakeClock } from "../../test/wire/fake-clock.ts";
import { type RawPeer, settled } from "../../test/wire/raw-peer.ts";
import { SilentListener } from "../../test/wire/silent-listener.ts";
import { SocksServer } from "../../test/wire/socks-server.ts";
import { type PemPair, TestAuthority } from "../../test/wire/test-authority.ts";
import { ask, sized, TestOrigin } from "../../test/wire/test-origin.ts";
import { tlsOrigin } from "../../test/wire/tls-origin.ts";
import type { Http1ClientSession } from "../http1/client-session.ts";
import { connect } from "./connect.ts";
import { connectFactsOf } from "./connect-facts.ts";
import { HttpConnector } from "./http-connector.ts";
import { HttpPeer } from "./http-peer.ts";
import type { NextHop } from "./next-hop.ts";
import { Peer } from "./peer.ts";
import type { PeerOptions } from "./peer-options.ts";

let authority: TestAuthority;
let forOrigin: PemPair;
let forProxy: PemPair;

beforeAll(async () => {
  authority = await TestAuthority.create();
  forOrigin = await authority.issue({ names: ["origin.example"] });
  forProxy = await authority.issue({ names: ["proxy.example"] });
});

/** A forward proxy on Node's own HTTP server, which connects to whatever it is asked for. */
async function forwardProxy(to: { tls?: PemPair; path?: string } = {}) {
  const requests: IncomingMessage[] = [];
  const sockets: Socket[] = [];
  const server: Server = to.tls === undefined ? createServer() : createTlsServer(to.tls);
  server.on("connect", (request: IncomingMessage, socket: Socket) => {
    requests.push(request);
    const { hostname, port } = new URL(`http://${request.url}`);
    const onward = netConnect(Number(port), hostname.replace(/[[\]]/g, "").replace(/^.*\.example$/, "127.0.0.1"));
    for (const one of [onward, socket]) sockets.push(one.on("error", () => {}));
    onward.once("connect", () => {
      socket.write("HTTP/1.1 200 Connection established\r\nVia: 1.1 test\r\n\r\n");
      socket.pipe(onward).pipe(socket);
    });
  });
  if (to.path === undefined) server.listen(0, "127.0.0.1");
  else server.listen(to.path);
  await once(server, "listening");
  const bound = server.address();
  return {
    requests,
    address: typeof bound === "string" ? `unix:${bound}` : `127.0.0.1:${(bound as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

function through(peer: string | Peer, more: Partial<NextHop> = {}): NextHop {
  return { protocol: "connect", peer, ...more };
}

/** One request through a connector, and what came back. */
async function asked(peer: HttpPeer, origin?: TestOrigin): Promise<{ body: string; session: Http1ClientSession }> {
  const connector = new HttpConnector({ ca: authority.cert });
  const session = (await connector.session(peer)) as Http1ClientSession;
  const response = ask(session);
  if (origin !== undefined) {
    const connection = await origin.connections.at(0);
    await connection.until("\r\n\r\n");
    connection.send(sized("hello"));
  }
  const { text } = await (await response).sink.body();
  connector.release(session, peer);
  expect(connector.idleConnections).toBe(1);
  connector.close();
  return { body: text, session };
}

describe("HTTP CONNECT (PEER-03, CONN-04)", () => {
  it("makes a tunnel that carries HTTP", async () => {
    await using origin = await TestOrigin.start();
    await using proxy = await forwardProxy();
    const { body, session } = await asked(new HttpPeer(origin.address, { nextHop: through(proxy.address) }), origin);
    expect(body).toBe("hello");
    const [request] = proxy.requests;
    expect([request?.url, request?.headers.host]).toEqual([origin.address, origin.address]);
    expect(session.connectFacts?.timing.nextHopMs).toBeGreaterThan(0);
    expect(session.connectFacts?.nextHop?.response?.headers.get("via")).toBe("1.1 test");
  });

  it("carries TLS with the origin, over TLS with the proxy", async () => {
    await using origin = await tlsOrigin(forOrigin);
    await using proxy = await forwardProxy({ tls: forProxy });
    const hop = new Peer(proxy.address, { sni: "proxy.example" });
    const { session } = await asked(new HttpPeer(origin.address, { sni: "origin.example", nextHop: through(hop) }));
    expect((await origin.secured.at(0)).servername).toBe("origin.example");
    const { timing, tls } = session.connectFacts ?? {};
    expect(tls).toMatchObject({ protocol: "TLSv1.3", alpn: "http/1.1" });
    expect(timing?.tlsMs).toBeGreaterThan(0);
    const wrong = new Peer(proxy.address, { sni: "other.example", ca: authority.cert });
    await expect(connect(new HttpPeer(origin.address, { nextHop: through(wrong) }))).rejects.toMatchObject({
      code: "InvalidCert",
      message: expect.stringContaining(proxy.address),
    });
  });

  it("has the hooks of the proxy's peer called for the connection with the proxy", async () => {
    await using origin = await tlsOrigin(forOrigin);
    await using proxy = await forwardProxy({ tls: forProxy });
    const told: string[] = [];
    const hooks = (name: string): PeerOptions => ({
      tracer: {
        onConnected: ({ peer, tls }) => told.push(`${name} connected to ${peer}: ${tls?.userData}`),
        onDisconnected: () => told.push(`${name} disconnected`),
      },
      onTlsHandshake: (socket) => socket.getPeerCertificate().subjectaltname,
      ca: authority.cert,
    });
    const hop = new Peer(proxy.address, { sni: "proxy.example", ...hooks("proxy") });
    const peer = new HttpPeer(origin.address, { sni: "origin.example", nextHop: through(hop), ...hooks("origin") });
    const socket = await connect(peer);
    socket.destroy();
    await vi.waitFor(() => expect(told).toHaveLength(4));
    expect(told.slice(0, 2)).toEqual([
      `proxy connected to ${proxy.address}: DNS:proxy.example`,
      `origin connected to ${origin.address}: DNS:origin.example`,
    ]);
    expect(told.slice(2).toSorted()).toEqual(["origin disconnected", "proxy disconnected"]);
  });

  it("is spoken over a Unix socket, and through another proxy", async () => {
    await using origin = await TestOrigin.start();
    const folder = mkdtempSync(join(tmpdir(), "cirque-"));
    {
      await using first = await forwardProxy({ path: join(folder, "socket") });
      await using second = await forwardProxy();
      const chained = new Peer(second.address, { nextHop: through(first.address) });
      const peer = new HttpPeer(origin.address, { nextHop: through(chained) });
      expect((await asked(peer, origin)).body).toBe("hello");
      expect(first.requests.map(({ url }) => url)).toEqual([second.address]);
      expect(second.requests.map(({ url }) => url)).toEqual([origin.address]);
    }
    rmSync(folder, { recursive: true });
  });

  it("lets the proxy resolve names, and puts IPv6 addresses in brackets", async () => {
    await using origin = await TestOrigin.start();
    await using proxy = await forwardProxy();
    const port = origin.address.split(":")[1];
    const named = new HttpPeer(`no-such.example:${port}`, { nextHop: through(proxy.address) });
    expect((await asked(named, origin)).body).toBe("hello");
    await using six = await tlsOrigin(forOrigin, { host: "::1" });
    await asked(new HttpPeer(six.address, { sni: "origin.example", nextHop: through(proxy.address) }));
    expect(proxy.requests.map(({ url }) => url)).toEqual([`no-such.example:${port}`, six.address]);
    expect(six.address).toMatch(/^\[::1\]:/);
  });

  it("sends more fields, and who asks (PO-20)", async () => {
    await using origin = await TestOrigin.start();
    await using proxy = await forwardProxy();
    const nextHop = through(proxy.address, {
      headers: { "X-Tenant": "a" },
      credentials: { username: "Aladdin", password: "open sesame" },
    });
    await asked(new HttpPeer(origin.address, { nextHop }), origin);
    expect(proxy.requests[0]?.headers).toMatchObject({
      "x-tenant": "a",
      "proxy-authorization": "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
    });
  });

  it("shows its answer to a hook, and keeps what that returns (PO-27)", async () => {
    await using origin = await TestOrigin.start();
    await using proxy = await forwardProxy();
    const nextHop = through(proxy.address, { onResponse: (response) => `via ${response.headers.get("via")}` });
    const socket = await connect(new HttpPeer(origin.address, { nextHop }));
    expect(connectFactsOf(socket)?.nextHop?.userData).toBe("via 1.1 test");
    socket.destroy();
    const throwing = through(proxy.address, {
      onResponse: () => {
        throw new Error("a fault of ours");
      },
    });
    await expect(connect(new HttpPeer(origin.address, { nextHop: throwing }))).rejects.toMatchObject({
      code: "InternalError",
      message: expect.stringContaining("a fault of ours"),
    });
  });

  /** What comes of an answer of a proxy, byte for byte. */
  async function answered(play: (proxy: RawPeer) => void): Promise<{ error: unknown; proxy: RawPeer }> {
    await using test = await TestOrigin.start();
    const connecting = connect(new HttpPeer("origin.example:443", { nextHop: through(test.address) }));
    connecting.catch(() => {});
    const proxy = await test.connections.at(0);
    await proxy.until("\r\n\r\n");
    play(proxy);
    const error = await connecting.then(
      (socket) => socket.destroy(),
      (reason: unknown) => reason,
    );
    await proxy.whenClosed();
    return { error, proxy };
  }

  it.each([
    ["407 Proxy Authentication Required", false],
    ["403 Forbidden", false],
    ["503 Service Unavailable", true],
    ["302 Found", false],
    ["101 Switching Protocols", false],
  ])("that is answered %s is ConnectProxyFailure with the answer, and closed", async (status, retry) => {
    const { error } = await answered((proxy) => proxy.send(`HTTP/1.1 ${status}\r\nX-Why: because\r\n\r\n`));
    const response = expect.objectContaining({ status: Number.parseInt(status, 10) });
    expect(error).toMatchObject({ code: "ConnectProxyFailure", source: "upstream", retry, context: { response } });
  });

  it.each<[string, (proxy: RawPeer) => void]>([
    ["has Transfer-Encoding", (proxy) => proxy.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")],
    ["is malformed", (proxy) => proxy.send("SSH-2.0-OpenSSH_9.9\r\n")],
    ["has no end", (proxy) => proxy.send(`HTTP/1.1 200 OK\r\n${"X-Padding: x\r\n".repeat(4_000)}`)],
    ["is interim without end", (proxy) => proxy.send("HTTP/1.1 102 Processing\r\n\r\n".repeat(20))],
    ["is cut", (proxy) => proxy.send("HTTP/1.1 200 O").end()],
    ["does not come", (proxy) => proxy.end()],
    ["is a reset", (proxy) => proxy.reset()],
  ])("whose answer %s is ConnectProxyFailure, and closed", async (_, play) => {
    expect((await answered(play)).error).toMatchObject({ code: "ConnectProxyFailure", source: "upstream" });
  });

  it("takes an answer in pieces, behind an interim one; what comes behind belongs to the tunnel", async () => {
    await using test = await TestOrigin.start();
    const connecting = connect(new HttpPeer("origin.example:443", { nextHop: through(test.address) }));
    const proxy = await test.connections.at(0);
    await proxy.until("\r\n\r\n");
    for (const byte of "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r")
      await proxy.sendNow(byte);
    proxy.send("\nearly bytes");
    const socket = await connecting;
    const [chunk] = await once(socket, "data");
    expect(String(chunk)).toBe("early bytes");
    socket.destroy();
  });

  it("is given up when no answer comes in time", async () => {
    await using test = await TestOrigin.start();
    using clock = new FakeClock();
    const connecting = connect(new HttpPeer("origin.example:443", { nextHop: through(test.address) }));
    connecting.catch(() => {});
    const proxy = await test.connections.at(0);
    await settled();
    await clock.pass(5_010);
    await expect(connecting).rejects.toMatchObject({ code: "ConnectTimedout" });
    await proxy.whenClosed();
  });

  it("is given up, the way to the proxy included, when the peer's total time is up (PO-03)", async () => {
    const silent = await SilentListener.start();
    using clock = new FakeClock();
    const peer = new HttpPeer("origin.example:443", {
      nextHop: through(silent.address),
      totalConnectionTimeoutMs: 500,
    });
    const connecting = connect(peer);
    connecting.catch(() => {});
    await clock.pass(510);
    await expect(connecting).rejects.toMatchObject({ code: "ConnectTimedout" });
    await silent.stop();
  });

  it.each<[string, () => HttpPeer, RegExp]>([
    ["a Unix socket behind a proxy", () => new HttpPeer("unix:/x", { nextHop: through("127.0.0.1:1") }), /Unix socket/],
    [
      "a field that is none",
      () => new HttpPeer("a.example:1", { nextHop: through("", { headers: { "a b": "" } }) }),
      /./,
    ],
  ])("refuses %s", async (_, peer, message) => {
    await using proxy = await forwardProxy();
    const made = peer();
    const nextHop = { ...(made.options.nextHop as NextHop), peer: proxy.address }; // each has one
    await expect(connect(new HttpPeer(made.address, { nextHop }))).rejects.toMatchObject({
      code: "InvalidArgument",
      message: expect.stringMatching(message),
    });
  });
});

describe("SOCKS 5 (RFC 1928, RFC 1929; CONN-08)", () => {
  function socks(server: SocksServer, more: Partial<NextHop> = {}): NextHop {
    return { protocol: "socks5", peer: server.address, ...more };
  }

  it("connects by address and by name, which the proxy resolves", async () => {
    await using origin = await TestOrigin.start();
    await using proxy = await SocksServer.start();
    expect((await asked(new HttpPeer(origin.address, { nextHop: socks(proxy) }), origin)).body).toBe("hello");
    const port = origin.address.split(":")[1];
    (await connect(new HttpPeer(`a.example:${port}`, { nextHop: socks(proxy) }))).destroy();
    await using six = await tlsOrigin(forOrigin, { host: "::1" });
    await asked(new HttpPeer(six.address, { sni: "origin.example", nextHop: socks(proxy) }));
    const sixPort = six.address.split(":").at(-1);
    expect(proxy.requests.items).toEqual([
      `1 ${origin.address}`,
      `3 a.example:${port}`,
      `4 0:0:0:0:0:0:0:1:${sixPort}`,
    ]);
  });

  it("writes an IPv4 address inside an IPv6 one as the bytes it stands for", async () => {
    await using proxy = await SocksServer.start({ reply: 1 });
    for (const host of ["::ffff:1.2.3.4", "2001:db8::"]) {
      await expect(connect(new Peer(`[${host}]:80`, { nextHop: socks(proxy) }))).rejects.toMatchObject({ retry: true });
    }
    expect(proxy.requests.items).toEqual(["4 0:0:0:0:0:ffff:102:304:80", "4 2001:db8:0:0:0:0:0:0:80"]);
  });

  it("says who asks", async () => {
    const credentials = { username: "user", password: "sécret" };
    await using origin = await TestOrigin.start();
    await using proxy = await SocksServer.start({ credentials });
    (await connect(new HttpPeer(origin.address, { nextHop: socks(proxy, { credentials }) }))).destroy();
    const wrong = socks(proxy, { credentials: { ...credentials, password: "" } });
    await expect(connect(new HttpPeer(origin.address, { nextHop: wrong }))).rejects.toMatchObject({
      code: "ConnectProxyFailure",
      message: expect.stringMatching(/user name and password/),
    });
    await expect(connect(new HttpPeer(origin.address, { nextHop: socks(proxy) }))).rejects.toMatchObject({
      code: "ConnectProxyFailure",
      message: expect.stringMatching(/another proof/),
    });
  });

  it.each([
    [1, "ConnectProxyFailure", true],
    [2, "ConnectProxyFailure", false],
    [3, "ConnectNoRoute", true],
    [4, "ConnectNoRoute", true],
    [5, "ConnectRefused", true],
    [6, "ConnectTimedout", true],
    [7, "ConnectProxyFailure", false],
    [8, "ConnectProxyFailure", false],
    [99, "ConnectProxyFailure", false],
  ])("tells what the reply %i means: %s", async (reply, code, retry) => {
    await using proxy = await SocksServer.start({ reply });
    await expect(connect(new Peer("a.example:80", { nextHop: socks(proxy) }))).rejects.toMatchObject({
      code,
      retry,
      source: "upstream",
    });
  });

  it.each<[string, readonly number[]]>([
    ["another version", [4, 0]],
    ["HTTP", [0x48, 0x54, 0x54, 0x50]],
    ["a method that was not offered", [5, 2]],
    ["a reply of another version", [5, 0, 4, 0, 0, 1]],
    ["an address of a type that there is not", [5, 0, 5, 0, 0, 2, 0, 0, 0, 0]],
  ])("refuses a proxy that speaks %s", async (_, bytes) => {
    await using test = await TestOrigin.start();
    const connecting = connect(new Peer("a.example:80", { nextHop: { protocol: "socks5", peer: test.address } }));
    connecting.catch(() => {});
    const proxy = await test.connections.at(0);
    proxy.send(Buffer.from(bytes));
    await expect(connecting).rejects.toMatchObject({ code: "ConnectProxyFailure" });
    await proxy.whenClosed();
  });
});

describe("a next hop that cannot be right", () => {
  it.each<[string, object]>([
    ["another protocol", { protocol: "socks4" }],
    ["fields with SOCKS", { protocol: "socks5", headers: { a: "b" } }],
    ["no user name", { protocol: "socks5", credentials: { username: "", password: "" } }],
    ["a long password", { protocol: "socks5", credentials: { username: "a", password: "x".repeat(256) } }],
    ["a user name with a colon", { protocol: "connect", credentials: { username: "a:b", password: "" } }],
  ])("is refused: %s", (_, nextHop) => {
    const options = { nextHop: { peer: "127.0.0.1:1", ...nextHop } as NextHop };
    expect(() => new Peer("a.example:80", options)).toThrow(expect.objectContaining({ code: "InvalidArgument" }));
  });

  it("keeps its password out of the message", () => {
    const credentials = { username: "", password: "secret" };
    const nextHop: NextHop = { protocol: "socks5", peer: "127.0.0.1:1", credentials };
    expect(() => new Peer("a.example:80", { nextHop })).toThrow(/^(?!.*secret)/);
  });
});
