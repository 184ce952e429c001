import { once } from "node:events";
import { Agent, request as httpRequest, type IncomingMessage, type RequestOptions } from "node:http";
import {
  type ClientHttp2Session,
  connect,
  constants,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import { HttpPeer, type PeerOptions } from "@cirque/core";
import { certificate, Http2Origin, Recorder, settled } from "@cirque/testing";
import { expect, test } from "vitest";
import { WebSocket } from "ws";
import { get, TestProxy } from "./harness/test-proxy.ts";

const versions: readonly [string, PeerOptions][] = [
  ["without TLS", { http: "2" }],
  ["agreed on in TLS", { http: "2-or-1", sni: "backend.test", ca: certificate }],
];

interface Answer {
  readonly status: number | undefined;
  readonly body: string;
  readonly headers: IncomingMessage["headers"];
  readonly trailers: IncomingMessage["trailers"];
  readonly interim: readonly number[];
}

/** A request of a client of HTTP/1.1. Rejects when the response is cut. */
function ask(port: number, options: RequestOptions = {}, body?: string | Buffer): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const interim: number[] = [];
    const request = httpRequest({ host: "127.0.0.1", port, ...options }, (response) => {
      let body = "";
      response.on("data", (chunk) => {
        body += String(chunk);
      });
      response.on("error", reject);
      response.on("end", () => {
        const { statusCode: status, headers, trailers } = response;
        resolve({ status, body, headers, trailers, interim });
      });
    });
    request.on("information", ({ statusCode }) => interim.push(statusCode));
    request.on("error", reject);
    request.end(body);
  });
}

function proxyTo(origin: Http2Origin, options: PeerOptions): Promise<TestProxy<void>> {
  const peer = new HttpPeer(origin.address, options);
  return TestProxy.start({ upstreamPeer: () => peer });
}

test.each(versions)("requests and responses pass to origins of HTTP/2 %s", async (_, options) => {
  await using origin = await Http2Origin.start(
    (stream, headers) => {
      stream.respond({
        ":status": 200,
        "x-asked": `${headers[":method"]} ${headers[":path"]}`,
        "set-cookie": ["a=1", "b=2"],
      });
      stream.pipe(stream);
    },
    { tls: options.sni !== undefined, allowHttp1: true },
  );
  await using proxy = await proxyTo(origin, options);
  const got = await ask(proxy.port, { path: "/a?b" });
  expect([got.status, got.headers["x-asked"], got.headers["set-cookie"]]).toEqual([200, "GET /a?b", ["a=1", "b=2"]]);
  const large = "0123456789".repeat(100_000);
  expect((await ask(proxy.port, { method: "POST" }, large)).body).toBe(large);
  expect((await ask(proxy.port, { method: "HEAD" })).body).toBe("");
  expect(origin.sessions.length).toBe(1);
});

test("a name that came in lower case goes out as HTTP/1.1 usually spells it (H2C-05)", async () => {
  await using origin = await Http2Origin.start((stream) => {
    stream.respond({ ":status": 200, "set-cookie": "a=1", "content-length": "2", "x-own": "1" });
    stream.end("ok");
  });
  await using proxy = await proxyTo(origin, { http: "2" });
  const text = await proxy.exchange(get());
  expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  expect(text).toContain("\r\nSet-Cookie: a=1\r\nContent-Length: 2\r\nx-own: 1\r\n");
  expect(text).not.toContain(":status");
  expect(text.endsWith("\r\n\r\nok")).toBe(true);
});

test("trailers, as those of gRPC, reach a client of HTTP/1.1, and so do interim responses (H2C-03)", async () => {
  await using origin = await Http2Origin.start((stream) => {
    stream.additionalHeaders({ ":status": 103, link: "</a.css>; rel=preload" });
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0", "grpc-message": "fine" }));
    stream.end("message");
  });
  await using proxy = await proxyTo(origin, { http: "2" });
  const got = await ask(proxy.port, { method: "POST", headers: { te: "trailers" } }, "question");
  expect(got).toMatchObject({
    status: 200,
    body: "message",
    trailers: { "grpc-status": "0", "grpc-message": "fine" },
    interim: [103],
  });
});

test("a response that the origin cuts is seen to be cut", async () => {
  await using origin = await Http2Origin.start((stream) => {
    stream.respond({ ":status": 200, "content-length": "100" });
    stream.write("part");
    setImmediate(() => stream.close(constants.NGHTTP2_INTERNAL_ERROR));
  });
  await using proxy = await proxyTo(origin, { http: "2" });
  await expect(ask(proxy.port)).rejects.toThrow();
});

test("a client that leaves cancels its stream, and no other", async () => {
  const streams = new Recorder<ServerHttp2Stream>();
  await using origin = await Http2Origin.start((stream) => streams.add(stream));
  await using proxy = await proxyTo(origin, { http: "2" });
  const leaving = await proxy.client();
  leaving.send(get("/", ""));
  const first = await streams.at(0);
  const staying = ask(proxy.port);
  const second = await streams.at(1);
  const closed = once(first, "close");
  leaving.reset();
  await closed;
  expect(first.rstCode).toBe(constants.NGHTTP2_CANCEL);
  second.respond({ ":status": 200 });
  second.end("here");
  expect((await staying).body).toBe("here");
  expect(origin.sessions.length).toBe(1);
});

test("a request that the origin refused is sent again, also one that may not be repeated", async () => {
  let refusals = 2;
  await using origin = await Http2Origin.start((stream) => {
    if (refusals-- > 0) stream.close(constants.NGHTTP2_REFUSED_STREAM);
    else {
      stream.respond({ ":status": 200 });
      stream.pipe(stream);
    }
  });
  await using proxy = await proxyTo(origin, { http: "2" });
  expect(await ask(proxy.port, { method: "POST" }, "once")).toMatchObject({ status: 200, body: "once" });
  expect([origin.streams.length, origin.sessions.length]).toEqual([3, 1]);
});

test("a request that the origin reset for another reason is not sent again", async () => {
  await using origin = await Http2Origin.start((stream) => stream.close(constants.NGHTTP2_INTERNAL_ERROR));
  await using proxy = await proxyTo(origin, { http: "2" });
  expect((await ask(proxy.port, { method: "POST" }, "once")).status).toBe(502);
  expect(origin.streams.length).toBe(1);
});

test("HTTP_1_1_REQUIRED is followed by the same request over HTTP/1.1 (ERRP-04)", async () => {
  await using origin = await Http2Origin.start((stream) => stream.close(constants.NGHTTP2_HTTP_1_1_REQUIRED), {
    tls: true,
    allowHttp1: true,
  });
  origin.server.on("request", (request, response) => {
    if (request.httpVersion === "1.1") response.end("over HTTP/1.1");
  });
  await using proxy = await proxyTo(origin, { http: "2-or-1", sni: "backend.test", ca: certificate });
  for (let i = 0; i < 2; i++) expect((await ask(proxy.port)).body).toBe("over HTTP/1.1");
  expect(origin.streams.length).toBe(1);
});

test("GOAWAY in the middle of the traffic fails no request", async () => {
  let answered = 0;
  await using origin = await Http2Origin.start((stream) => {
    stream.respond({ ":status": 200 });
    stream.end("ok");
    // A connection serves fifty, and says good-bye in the middle of the next ones.
    if (++answered % 50 === 0) stream.session?.close();
  });
  await using proxy = await proxyTo(origin, { http: "2" });
  const agent = new Agent({ keepAlive: true, maxSockets: 20 });
  const answers = await Promise.all(Array.from({ length: 1_000 }, () => ask(proxy.port, { agent })));
  agent.destroy();
  expect(answers.filter(({ status, body }) => status !== 200 || body !== "ok")).toEqual([]);
  expect(origin.sessions.length).toBeGreaterThan(10);
});

test("a thousand requests of many clients take few connections, and each gets its own answer", async () => {
  await using origin = await Http2Origin.start((stream, headers) => {
    stream.respond({ ":status": 200 });
    setImmediate(() => stream.end(`answer to ${headers[":path"]}`));
  });
  await using proxy = await proxyTo(origin, { http: "2" });
  const agent = new Agent({ keepAlive: true, maxSockets: 150 });
  const paths = Array.from({ length: 1_000 }, (_, index) => `/${index}`);
  const bodies = await Promise.all(paths.map(async (path) => (await ask(proxy.port, { path, agent })).body));
  agent.destroy();
  expect(bodies).toEqual(paths.map((path) => `answer to ${path}`));
  expect(origin.sessions.length).toBeLessThanOrEqual(3);
});

test("a client that stalls keeps back nobody else on the same connection", async () => {
  await using origin = await Http2Origin.start((stream, headers) => {
    stream.respond({ ":status": 200 });
    stream.end(headers[":path"] === "/large" ? Buffer.alloc(5 * 1024 * 1024) : "small");
  });
  await using proxy = await proxyTo(origin, { http: "2" });
  const stalled = await proxy.client();
  stalled.socket.pause();
  stalled.send(get("/large", ""));
  const large = await origin.streams.at(0);
  while (large.writableFinished || large.bufferSize === 0) await settled();
  for (let i = 0; i < 20; i++) expect((await ask(proxy.port, { path: "/small" })).body).toBe("small");
  expect([large.closed, origin.sessions.length]).toEqual([false, 1]);
});

test("a WebSocket of a client of HTTP/1.1 goes on over HTTP/2 (RFC 8441)", async () => {
  await using origin = await Http2Origin.start(
    (stream, headers) => {
      if (headers[":path"] === "/no") {
        stream.respond({ ":status": 403 });
        stream.end("forbidden");
        return;
      }
      stream.respond({ ":status": 200 });
      const webSocket = new WebSocket(null as unknown as string, undefined, {}) as unknown as {
        setSocket(socket: unknown, head: Buffer, options: object): void;
      } & WebSocket;
      (webSocket as unknown as { _isServer: boolean })._isServer = true;
      webSocket.setSocket(Object.assign(stream, { setNoDelay: () => {} }), Buffer.alloc(0), {
        allowSynchronousEvents: true,
        maxPayload: 0,
        skipUTF8Validation: false,
      });
      webSocket.on("message", (data, binary) => webSocket.send(data, { binary }));
    },
    { settings: { enableConnectProtocol: true } },
  );
  await using proxy = await proxyTo(origin, { http: "2" });
  const client = new WebSocket(`ws://127.0.0.1:${proxy.port}/chat`);
  await once(client, "open");
  for (const message of ["grüße", "x".repeat(1024 * 1024)]) {
    const answer = once(client, "message");
    client.send(message);
    expect(String((await answer)[0])).toBe(message);
  }
  client.close(4000, "enough");
  expect((await once(client, "close"))[0]).toBe(4000);

  const refused = new WebSocket(`ws://127.0.0.1:${proxy.port}/no`);
  refused.on("error", () => {});
  const [, response] = await once(refused, "unexpected-response");
  expect(response.statusCode).toBe(403);
  refused.terminate();
});

/** A request of a client of HTTP/2: what came back, and what its stream was closed with. */
function askOverHttp2(
  client: ClientHttp2Session,
  headers: Record<string, string>,
  body = "",
): Promise<{
  readonly status: unknown;
  readonly text: string;
  readonly trailers: IncomingHttpHeaders;
  readonly code: number;
}> {
  return new Promise((resolve) => {
    const stream = client.request(headers, { endStream: false });
    let text = "";
    let status: unknown;
    let trailers: IncomingHttpHeaders = {};
    stream.on("response", (head) => {
      status = head[":status"];
    });
    stream.on("trailers", (fields) => {
      trailers = fields;
    });
    stream.on("data", (chunk) => {
      text += String(chunk);
    });
    stream.on("error", () => {});
    stream.on("close", () => resolve({ status, text, trailers, code: stream.rstCode }));
    stream.end(body);
  });
}

test("both sides may speak HTTP/2: bodies, trailers and resets pass (P12)", async () => {
  await using origin = await Http2Origin.start((stream, headers) => {
    if (headers[":path"] === "/reset") {
      stream.close(constants.NGHTTP2_INTERNAL_ERROR);
      return;
    }
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.pipe(stream);
  });
  await using proxy = await proxyTo(origin, { http: "2" });
  const client = connect(proxy.origin);
  const bodies = Array.from({ length: 200 }, (_, index) => `message ${index} `.repeat(100));
  const ask = (body: string): ReturnType<typeof askOverHttp2> =>
    askOverHttp2(client, { ":method": "POST", ":path": "/", te: "trailers" }, body);
  const answers: Awaited<ReturnType<typeof askOverHttp2>>[] = [];
  // A hundred at a time: the proxy takes 128.
  for (let i = 0; i < bodies.length; i += 100) answers.push(...(await Promise.all(bodies.slice(i, i + 100).map(ask))));
  expect(answers.map(({ text }) => text)).toEqual(bodies);
  expect(
    answers.every(({ status, trailers, code }) => status === 200 && trailers["grpc-status"] === "0" && code === 0),
  ).toBe(true);
  const reset = await askOverHttp2(client, { ":method": "POST", ":path": "/reset" });
  expect(reset.status).toBe(502);
  expect(origin.sessions.length).toBeLessThanOrEqual(2);
  client.destroy();
});
