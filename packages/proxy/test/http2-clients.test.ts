import { once } from "node:events";
import { createServer } from "node:http";
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
} from "node:http2";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { HttpPeer } from "@cirque/core";
import { afterEach, describe, expect, it } from "vitest";
import { WebSocketServer } from "ws";
import type { Session } from "../src/index.ts";
import { okResponse, RawOrigin, refusingAddress } from "./harness/raw-origin.ts";
import { Recorder } from "./harness/recorder.ts";
import { TestProxy } from "./harness/test-proxy.ts";

const clients: ClientHttp2Session[] = [];

afterEach(() => {
  for (const client of clients.splice(0)) client.destroy();
});

describe("clients that speak HTTP/2, through the proxy to an origin that speaks HTTP/1.1 (P12)", () => {
  it("GET: the request is one of HTTP/1.1, and the response one of HTTP/2", async () => {
    await using origin = await RawOrigin.answering(
      okResponse(
        "hello",
        "Set-Cookie: a\r\nConnection: x-hop\r\nX-Hop: 1\r\nset-cookie: b\r\nKeep-Alive: timeout=5\r\n",
      ),
    );
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
    const got = await ask(clientOf(proxy), {
      ":path": "/tea?milk=1",
      ":authority": "a.example",
      "x-own": "1",
      te: "trailers",
    });
    expect(got).toMatchObject({ status: 200, text: "hello", code: 0 });
    expect(got.headers).toMatchObject({ "set-cookie": ["a", "b"], "content-length": "5" });
    for (const name of ["connection", "x-hop", "keep-alive", "transfer-encoding"])
      expect(got.headers).not.toHaveProperty(name);
    const head = (await origin.connections.at(0)).text;
    expect(head).toMatch(/^GET \/tea\?milk=1 HTTP\/1\.1\r\nhost: a\.example\r\n/);
    expect(head).toContain("x-own: 1\r\n");
    expect(head).not.toMatch(/transfer-encoding|content-length|:authority/i);
  });

  it("cookies that come as crumbs leave as one field", async () => {
    await using origin = await RawOrigin.answering(({ head }) => okResponse(head.headers.getAll("cookie").join("|")));
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
    const client = clientOf(proxy);
    const raw = [
      ":method",
      "GET",
      ":scheme",
      "http",
      ":authority",
      "a",
      ":path",
      "/",
      "cookie",
      "a=1",
      "cookie",
      "b=2",
    ];
    expect(await ask(client, raw)).toMatchObject({ text: "a=1; b=2" });
  });

  it.each([
    ["HEAD", 200, "Content-Length: 5\r\n"],
    ["GET", 204, ""],
    ["GET", 304, "Content-Length: 5\r\n"],
  ])("%s with %i has no body", async (method, status, lines) => {
    await using origin = await RawOrigin.answering(`HTTP/1.1 ${status} X\r\n${lines}\r\n`);
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
    const client = clientOf(proxy);
    expect(await ask(client, { ":method": method })).toMatchObject({ status, text: "", code: 0 });
    expect(await ask(client, { ":method": method })).toMatchObject({ status, text: "", code: 0 });
    expect(origin.connections.length).toBe(1);
  });

  it("POST: a body without length is chunked, one with length is not, and request trailers pass", async () => {
    const heads: (readonly [string | undefined, string | undefined, string])[] = [];
    await using origin = await RawOrigin.answering(({ head, body }) => {
      heads.push([head.headers.get("transfer-encoding"), head.headers.get("content-length"), body]);
      return okResponse(body);
    });
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
    const client = clientOf(proxy);
    expect(await ask(client, { ":method": "POST" }, "body")).toMatchObject({ text: "body" });
    expect(await ask(client, { ":method": "POST", "content-length": "4" }, "body")).toMatchObject({ text: "body" });
    expect(heads).toEqual([
      ["chunked", undefined, "body"],
      [undefined, "4", "body"],
    ]);
    const stream = client.request({ ":method": "POST" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "x-sum": "7" }));
    stream.end("body");
    expect(await text(stream)).toBe("body");
    await expect
      .poll(() => origin.connections.items.some((one) => /\r\n0\r\nx-sum: 7\r\n\r\n$/.test(one.text)))
      .toBe(true);
  });

  it("response trailers and interim responses pass", async () => {
    await using origin = await RawOrigin.answering(
      "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n4\r\nbody\r\n0\r\nX-Sum: 7\r\n\r\n",
    );
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
    const got = await ask(clientOf(proxy));
    expect(got).toMatchObject({ status: 200, text: "body", trailers: { "x-sum": "7" }, code: 0 });
    expect(got.interim).toMatchObject([{ ":status": 103, link: "</a.css>" }]);
  });

  it("`expect: 100-continue` is answered by the origin, and the body comes behind that", async () => {
    await using origin = await RawOrigin.start(async (connection) => {
      const head = await connection.requestHead();
      connection.send("HTTP/1.1 100 Continue\r\n\r\n");
      const { body } = await connection.request();
      connection.send(okResponse(`${body} ${/expect: 100-continue/i.test(head)}`));
    });
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
    const stream = clientOf(proxy).request({ ":method": "POST", expect: "100-continue", "content-length": "4" });
    await once(stream, "continue");
    stream.end("body");
    expect(await text(stream)).toBe("body true");
  });

  it("a body that the client breaks off reaches no origin as whole, and is no fault of it", async () => {
    const logged = new Recorder<Session>();
    await using origin = await RawOrigin.start();
    await using proxy = await TestProxy.start({
      upstreamPeer: () => origin.peer(),
      logging: (session) => void logged.add(session),
    });
    const client = await proxy.client();
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").send(frame(4, 0, 0));
    // POST / for the host a, out of the static table (RFC 7541, A).
    client.send(frame(1, 4, 1, "\x83\x86\x84\x41\x01a")).send(frame(0, 0, 1, "part"));
    const connection = await origin.connections.at(0);
    await connection.until("part");
    client.send(frame(3, 0, 1, "\0\0\0\x08"));
    await connection.whenClosed();
    expect(connection.text).toMatch(/\r\n4\r\npart\r\n$/);
    expect((await logged.at(0)).response).toBeUndefined();
    expect(client.closed).toBe(false);
  });

  it("a response that the origin breaks off is reset, and the connection goes on", async () => {
    let requests = 0;
    await using origin = await RawOrigin.start(async (connection) => {
      await connection.request();
      const broken = requests++ === 0;
      connection.send(
        broken ? "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n" : okResponse("whole"),
      );
      if (broken) connection.end();
    });
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
    const client = clientOf(proxy);
    expect(await ask(client)).toMatchObject({ status: 200, code: constants.NGHTTP2_INTERNAL_ERROR });
    expect(await ask(client)).toMatchObject({ status: 200, text: "whole", code: 0 });
  });

  it("requests run side by side: one that waits does not hold up the others", async () => {
    const turn = Promise.withResolvers<void>();
    await using origin = await RawOrigin.start(async (connection) => {
      for (;;) {
        const { head } = await connection.request();
        if (head.target === "/slow") await turn.promise;
        connection.send(okResponse(head.target));
      }
    });
    await using proxy = await TestProxy.start({
      upstreamPeer: () => origin.peer(),
      persistConnectionContext: () => "kept",
    });
    const client = clientOf(proxy);
    const slow = ask(client, { ":path": "/slow" });
    const others = await Promise.all(Array.from({ length: 100 }, (_, i) => ask(client, { ":path": `/${i}` })));
    expect(others.map(({ text: body }) => body)).toEqual(others.map((_, i) => `/${i}`));
    turn.resolve();
    expect(await slow).toMatchObject({ text: "/slow" });
  });

  it("a megabyte goes both ways, and a client that does not read does not fill the proxy", async () => {
    const server = createServer((request, response) => request.pipe(response)).listen(0, "127.0.0.1");
    await once(server, "listening");
    const peer = new HttpPeer(`127.0.0.1:${(server.address() as AddressInfo).port}`);
    await using proxy = await TestProxy.start({ upstreamPeer: () => peer });
    const client = clientOf(proxy);
    const body = "tea ".repeat(250_000);
    expect((await ask(client, { ":method": "POST" }, body)).text).toBe(body);
    const stalled = client.request({ ":method": "POST" });
    stalled.on("error", () => {});
    let sent = 0;
    const piece = Buffer.alloc(64 * 1024);
    // It stops by itself when everything between here and here is full.
    for (let idle = 0; idle < 20; ) {
      if (sent < 64 * 1024 * 1024 && stalled.writableLength < piece.length) {
        stalled.write(piece);
        sent += piece.length;
        idle = 0;
      } else {
        idle++;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
    expect(sent).toBeLessThan(32 * 1024 * 1024);
    expect(await ask(client, { ":method": "POST" }, "other")).toMatchObject({ text: "other" });
    stalled.destroy();
    server.close();
    server.closeAllConnections();
  });

  it("an origin that cannot be reached is a 502, and the connection goes away behind it at most", async () => {
    const address = await refusingAddress();
    await using proxy = await TestProxy.start({ upstreamPeer: () => new HttpPeer(address) });
    expect(await ask(clientOf(proxy))).toMatchObject({ status: 502, code: 0 });
  });

  it("a request that is malformed reaches no filter, and is counted with its reason (P13)", async () => {
    let filtered = 0;
    await using proxy = await TestProxy.start({
      requestFilter: () => {
        filtered++;
        return new Response("no");
      },
      upstreamPeer: () => new HttpPeer("127.0.0.1:1"),
    });
    const client = clientOf(proxy);
    const raw = [":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/", "host", "b"];
    expect(await ask(client, raw)).toMatchObject({ status: 0, code: constants.NGHTTP2_PROTOCOL_ERROR });
    expect(await ask(client)).toMatchObject({ status: 200, text: "no" });
    expect(filtered).toBe(1);
    const counted = (await proxy.metrics.exposition())
      .split("\n")
      .filter((line) => line.includes('reason="authority-mismatch"'));
    expect(counted).toHaveLength(1);
  });

  it("a drain lets what is under way end, and tells the client to go", async () => {
    const turn = Promise.withResolvers<void>();
    await using origin = await RawOrigin.start(async (connection) => {
      await connection.request();
      await turn.promise;
      connection.send(okResponse("done"));
    });
    const proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
    const client = clientOf(proxy);
    const asked = ask(client);
    await (await origin.connections.at(0)).requestHead();
    const drained = proxy.proxy.drain(new AbortController().signal);
    await once(client, "goaway");
    turn.resolve();
    expect(await asked).toMatchObject({ text: "done", code: 0 });
    await drained;
    await proxy[Symbol.asyncDispose]();
  });
});

describe("WebSockets over HTTP/2, to an origin that speaks HTTP/1.1 (RFC 8441)", () => {
  it("pass both ways, and close", async () => {
    const server = createServer();
    const sockets = new WebSocketServer({ server });
    sockets.on("connection", (socket) => socket.on("message", (data) => socket.send(`echo ${String(data)}`)));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const peer = new HttpPeer(`127.0.0.1:${(server.address() as AddressInfo).port}`);
    await using proxy = await TestProxy.start({ upstreamPeer: () => peer });
    const client = clientOf(proxy);
    const stream = await openTunnel(client, "/chat");
    const [response] = (await once(stream, "response")) as [IncomingHttpHeaders];
    expect(response[":status"]).toBe(200);
    expect(response).not.toHaveProperty("sec-websocket-accept");
    // A text frame with the mask 0 (RFC 6455, 5.2).
    stream.write(Buffer.concat([Buffer.from([0x81, 0x85, 0, 0, 0, 0]), Buffer.from("hello")]));
    const [answer] = (await once(stream, "data")) as [Buffer];
    expect(answer.subarray(2).toString()).toBe("echo hello");
    stream.write(Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]));
    const [farewell] = (await once(stream, "data")) as [Buffer];
    expect([...farewell]).toEqual([0x88, 0x02, 0x03, 0xe8]);
    stream.end();
    await new Promise((resolve) => stream.on("close", resolve));
    expect(client.destroyed).toBe(false);
    sockets.close();
    server.close();
    server.closeAllConnections();
  });

  it("an origin that refuses is heard", async () => {
    await using origin = await RawOrigin.answering("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
    const stream = await openTunnel(clientOf(proxy), "/chat");
    const [response] = (await once(stream, "response")) as [IncomingHttpHeaders];
    expect([response[":status"], await text(stream)]).toEqual([403, "no"]);
    stream.destroy();
  });
});

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly trailers: IncomingHttpHeaders | undefined;
  readonly interim: readonly IncomingHttpHeaders[];
  readonly code: number;
}

function clientOf(proxy: { readonly origin: string }): ClientHttp2Session {
  const client = connect(proxy.origin);
  client.on("error", () => {});
  clients.push(client);
  return client;
}

async function openTunnel(client: ClientHttp2Session, path: string): Promise<ClientHttp2Stream> {
  if (!client.remoteSettings.enableConnectProtocol) await once(client, "remoteSettings");
  const fields = { ":method": "CONNECT", ":protocol": "websocket", ":path": path, "sec-websocket-version": "13" };
  const stream = client.request(fields, { endStream: false });
  stream.on("error", () => {});
  return stream;
}

/** A frame of HTTP/2, byte for byte. */
function frame(type: number, flags: number, stream: number, payload = ""): string {
  return `\0\0${String.fromCharCode(payload.length, type, flags)}\0\0\0${String.fromCharCode(stream)}${payload}`;
}

/** Sends a request, and resolves when its stream has closed, in whatever way. */
function ask(
  client: ClientHttp2Session,
  fields: Readonly<Record<string, string>> | readonly string[] = {},
  body?: string,
): Promise<Answer> {
  const headers = Array.isArray(fields) ? fields : { ":path": "/", ...fields };
  const stream = client.request(headers as never, { endStream: body === undefined });
  const interim: IncomingHttpHeaders[] = [];
  let all: IncomingHttpHeaders = {};
  let trailers: IncomingHttpHeaders | undefined;
  let received = "";
  stream.setEncoding("latin1");
  stream.on("headers", (more: IncomingHttpHeaders) => interim.push(more));
  stream.on("response", (response: IncomingHttpHeaders) => {
    all = response;
  });
  stream.on("trailers", (more: IncomingHttpHeaders) => {
    trailers = more;
  });
  stream.on("data", (chunk: string) => {
    received += chunk;
  });
  stream.on("error", () => {});
  if (body !== undefined) stream.end(body);
  return new Promise((resolve) => {
    stream.on("close", () => {
      const status = Number(all[":status"] ?? 0);
      resolve({ status, headers: all, text: received, trailers, interim, code: stream.rstCode });
    });
  });
}
