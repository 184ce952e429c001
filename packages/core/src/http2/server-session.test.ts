import { once } from "node:events";
import { constants } from "node:http2";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { HeaderMap, ResponseHead } from "@cirque/http";
import { describe, expect, it } from "vitest";
import { END_HEADERS, END_STREAM, FrameType, frame, headers, POST, rstStream } from "../../test/http2/frames.ts";
import { answer, ask, Http2TestServer } from "../../test/http2/http2-server.ts";
import { CollectingSink } from "../../test/wire/collecting-sink.ts";
import { CirqueError } from "../errors/cirque-error.ts";
import type { ServerSession } from "../session/server-session.ts";

describe("requests and responses over HTTP/2 (H2S)", () => {
  it("a request is answered, with the fields it came with and those of the response", async () => {
    await using server = await Http2TestServer.start((session) => {
      session.writeHead(
        new ResponseHead(201, [
          ["X-Own", "\xe9"],
          ["Set-Cookie", "a"],
          ["Connection", "x-hop"],
          ["set-cookie", "b"],
        ]),
        false,
      );
      session.write(Buffer.from("one"));
      session.end();
    });
    const got = await ask(server.client(), { ":path": "/tea?milk=1", "x-a": "\xe9", cookie: "a=1" });
    expect(got).toMatchObject({ status: 201, text: "one", code: 0, trailers: undefined });
    expect(got.headers).toMatchObject({ "x-own": "\xe9", "set-cookie": ["a", "b"], date: expect.any(String) });
    expect(got.headers).not.toHaveProperty("connection");
    const [session] = server.sessions.items;
    expect(session?.request.headers.toWire()).toBe(`host: 127.0.0.1:${server.port}\r\nx-a: \xe9\r\ncookie: a=1\r\n`);
    expect(session).toMatchObject({
      method: "GET",
      requestEnded: true,
      hasRequestBody: false,
      responseEnded: true,
      bodyBytesSent: 3,
      upgradeRequested: false,
    });
    expect(session?.clientAddress).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(session?.serverAddress).toBe(`127.0.0.1:${server.port}`);
    expect(server.aborts.items).toEqual([]);
  });

  it("HTTP/1.1 and HTTP/2 share a port, however the first bytes are split (H2S-09)", async () => {
    await using server = await Http2TestServer.start((session) => answer(session, session.request.version));
    expect((await ask(server.client())).text).toBe("2");
    const socket = connect(server.port, "127.0.0.1");
    await once(socket, "connect");
    for (const piece of ["P", "RO", "PFIND / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"]) {
      await new Promise<void>((resolve) => socket.write(piece, () => setImmediate(resolve)));
    }
    expect(await text(socket)).toMatch(/1\.1$/);
    const peer = connect(server.port, "127.0.0.1");
    await once(peer, "connect");
    const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    for (const byte of preface)
      await new Promise<void>((resolve) => peer.write(byte, "latin1", () => setImmediate(resolve)));
    const [first] = (await once(peer, "data")) as [Buffer];
    expect(first[3]).toBe(4);
    peer.destroy();
  });

  it("bodies and trailers pass both ways, and interim responses before the head (H2S-03, H2S-04)", async () => {
    await using server = await Http2TestServer.start(async (session) => {
      const sink = new CollectingSink();
      session.readBody(sink);
      session.writeInterim(new ResponseHead(103, [["Link", "</a.css>"]]));
      const body = await sink.body();
      session.writeHead(new ResponseHead(200), false);
      session.write(Buffer.from(`${body.text} ${body.trailers?.get("x-sum")}`));
      session.end(new HeaderMap([["Grpc-Status", "0"]]));
    });
    const client = server.client();
    const stream = client.request({ ":method": "POST" }, { waitForTrailers: true });
    const interim = once(stream, "headers");
    const response = once(stream, "response");
    const trailers = once(stream, "trailers");
    stream.on("wantTrailers", () => stream.sendTrailers({ "x-sum": "7" }));
    stream.end("body");
    expect((await interim)[0]).toMatchObject({ ":status": 103, link: "</a.css>" });
    expect((await response)[0]).toMatchObject({ ":status": 200 });
    expect(await text(stream)).toBe("body 7");
    expect((await trailers)[0]).toMatchObject({ "grpc-status": "0" });
    expect(server.sessions.items[0]).toMatchObject({ bodyBytesRead: 4, requestEnded: true });
  });

  it("a small response leaves whole: a head, and one DATA frame that ends the stream", async () => {
    await using server = await Http2TestServer.start((session) => answer(session, "hello"));
    const peer = await server.peer();
    peer.send(headers(1));
    await peer.until(
      () => peer.frames.some(({ flags, stream }) => stream === 1 && (flags & END_STREAM) !== 0),
      "an end",
    );
    const frames = peer.frames.filter(({ stream }) => stream === 1);
    expect(frames.map(({ type, flags }) => [type, flags])).toEqual([
      [FrameType.headers, END_HEADERS],
      [FrameType.data, END_STREAM],
    ]);
  });

  it("the head leaves at the end of the turn, or at `flush`, also when no body comes for long", async () => {
    await using server = await Http2TestServer.start((session) => {
      session.writeHead(new ResponseHead(200), false);
      if (session.request.target === "/flush") session.flush();
    });
    const client = server.client();
    for (const path of ["/", "/flush"]) {
      const stream = client.request({ ":path": path });
      expect((await once(stream, "response"))[0]).toMatchObject({ ":status": 200 });
      stream.close();
    }
  });

  it.each([
    ["HEAD", 200],
    ["GET", 204],
    ["GET", 205],
    ["GET", 304],
  ])("%s with %i has no body, whatever is written", async (method, status) => {
    await using server = await Http2TestServer.start((session) => {
      session.writeHead(new ResponseHead(status, [["Content-Length", "5"]]), false);
      session.write(Buffer.from("hello"));
      session.end(new HeaderMap([["x-t", "1"]]));
    });
    const got = await ask(server.client(), { ":method": method });
    expect(got).toMatchObject({ status, text: "", code: 0, trailers: undefined });
    expect(got.headers["content-length"]).toBe(method === "HEAD" || status === 304 ? "5" : undefined);
    expect(server.aborts.items).toEqual([]);
  });

  it("a body that is shorter than declared is cut, and one that is longer is not sent on (P1)", async () => {
    await using server = await Http2TestServer.start((session) => {
      session.writeHead(new ResponseHead(200, [["Content-Length", "5"]]), false);
      session.write(Buffer.from(session.request.target));
      session.end();
    });
    const client = server.client();
    expect(await ask(client, { ":path": "/abc" })).toMatchObject({
      status: 200,
      code: constants.NGHTTP2_INTERNAL_ERROR,
    });
    expect(await ask(client, { ":path": "/abcdefg" })).toMatchObject({ text: "/abcd", code: 0 });
  });

  it.each<[string, CirqueError | undefined, number]>([
    ["the code of an internal error", undefined, constants.NGHTTP2_INTERNAL_ERROR],
    ["the code that an origin sent", reset(constants.NGHTTP2_REFUSED_STREAM), constants.NGHTTP2_REFUSED_STREAM],
    [
      "no code that means another connection",
      reset(constants.NGHTTP2_PROTOCOL_ERROR),
      constants.NGHTTP2_INTERNAL_ERROR,
    ],
  ])("`abort` resets with %s, and the connection goes on (H2S-07)", async (_what, error, code) => {
    await using server = await Http2TestServer.start((session) => {
      if (session.request.target === "/begun") {
        session.writeHead(new ResponseHead(200), false);
        session.write(Buffer.from("part"));
      }
      session.abort(error);
    });
    const client = server.client();
    expect(await ask(client)).toMatchObject({ status: 0, code });
    expect(await ask(client, { ":path": "/begun" })).toMatchObject({ status: 200, code });
    expect(client.destroyed).toBe(false);
    expect(server.aborts.items).toEqual([]);
  });

  it("an app that throws or rejects loses its request alone", async () => {
    await using server = await Http2TestServer.start((session) => {
      if (session.request.target === "/throw") throw new Error("broken");
      if (session.request.target === "/reject") return Promise.reject(new Error("broken"));
      answer(session, "fine");
      return undefined;
    });
    const client = server.client();
    const answers = await Promise.all(["/throw", "/", "/reject"].map((path) => ask(client, { ":path": path })));
    expect(answers.map(({ status, code }) => [status, code])).toEqual([
      [0, constants.NGHTTP2_INTERNAL_ERROR],
      [200, 0],
      [0, constants.NGHTTP2_INTERNAL_ERROR],
    ]);
    expect(server.context.logger.messages("error")).toHaveLength(2);
  });

  it("a head that HTTP/2 cannot say is an error for whoever wrote it", async () => {
    const errors: unknown[] = [];
    await using server = await Http2TestServer.start((session) => {
      for (const status of [101, 100, 700]) {
        try {
          session.writeHead(new ResponseHead(status), true);
        } catch (error) {
          errors.push(error);
        }
      }
      answer(session, "fine");
      expect(() => session.writeHead(new ResponseHead(200), true)).toThrow("twice");
    });
    expect(await ask(server.client())).toMatchObject({ status: 200, text: "fine" });
    expect(errors).toHaveLength(3);
  });

  it("duplicates of fields that should be one are passed on, and do not throw", async () => {
    await using server = await Http2TestServer.start((session) => {
      session.writeHead(
        new ResponseHead(200, [
          ["Etag", "a"],
          ["Etag", "b"],
          ["Content-Type", "a/b"],
          ["Content-Type", "c/d"],
        ]),
        true,
      );
    });
    const got = await ask(server.client());
    expect(got.raw.filter((_, i) => i % 2 === 1 && i < 10)).toEqual(["200", "a", "b", "a/b", "c/d"]);
  });
});

describe("clients that leave, over HTTP/2 (H2S-08)", () => {
  it.each([constants.NGHTTP2_CANCEL, constants.NGHTTP2_NO_ERROR, constants.NGHTTP2_INTERNAL_ERROR])(
    "a reset with code %i in the middle of a body is told, and is no end of it",
    async (code) => {
      const sinks: CollectingSink[] = [];
      await using server = await Http2TestServer.start((session) => {
        const sink = new CollectingSink();
        sinks.push(sink);
        session.readBody(sink);
      });
      const peer = await server.peer();
      peer.send(headers(1, POST, END_HEADERS), frame(FrameType.data, 0, 1, "part"));
      const session = await server.sessions.at(0);
      await expect.poll(() => session.bodyBytesRead).toBe(4);
      peer.send(rstStream(1, code));
      const error = await server.aborts.at(0);
      expect(error).toMatchObject({ source: "downstream", code: "ConnectionClosed", context: { http2Code: code } });
      expect(sinks[0]).toMatchObject({ text: "part", lastCalls: 1, error });
      expect(session.requestEnded).toBe(false);
    },
  );

  it("a connection that is lost, or goes away with an error, is told to each request on it", async () => {
    await using server = await Http2TestServer.start(() => {});
    const lost = await server.peer();
    lost.send(headers(1), headers(3));
    await server.sessions.count(2);
    lost.socket.resetAndDestroy();
    await server.aborts.count(2);
    const leaving = await server.peer();
    leaving.send(headers(1));
    await server.sessions.count(3);
    leaving.send(frame(FrameType.goaway, 0, 0, Buffer.from([0, 0, 0, 0, 0, 0, 0, 2])));
    expect(await server.aborts.at(2)).toMatchObject({ code: "ConnectionClosed" });
    await expect.poll(() => server.openConnections()).toBe(0);
  });

  it("a client that goes away without an error gets its answers", async () => {
    const turn = Promise.withResolvers<void>();
    await using server = await Http2TestServer.start(async (session) => {
      await turn.promise;
      answer(session, "hello");
    });
    const client = server.client();
    const asked = ask(client);
    await server.sessions.count(1);
    client.close();
    await new Promise((resolve) => setTimeout(resolve, 20));
    turn.resolve();
    expect(await asked).toMatchObject({ text: "hello", code: 0 });
    expect(server.aborts.items).toEqual([]);
    await expect.poll(() => server.openConnections()).toBe(0);
  });

  it("a reset in the packet that brought the request costs the app nothing", async () => {
    await using server = await Http2TestServer.start();
    const peer = await server.peer();
    peer.send(headers(1), rstStream(1), headers(3), rstStream(3), headers(5));
    await peer.frame(FrameType.data, 5);
    expect(server.sessions.length).toBe(1);
    expect(server.aborts.items).toEqual([]);
  });
});

describe("request bodies over HTTP/2", () => {
  it("an answer that comes early ends the request with NO_ERROR, and the connection goes on", async () => {
    await using server = await Http2TestServer.start((session) => {
      if (session.request.target === "/read") session.readBody(new CollectingSink(() => session.pauseBody()));
      if (session.request.target !== "/trailers") {
        setTimeout(answer, 5, session, "early", 413);
        return;
      }
      session.writeHead(new ResponseHead(413), false);
      session.write(Buffer.from("early"));
      session.end(new HeaderMap([["x-t", "1"]]));
    });
    const peer = await server.peer();
    const paths = ["/", "/read", "/trailers"];
    for (const [i, path] of paths.entries()) {
      const stream = i * 2 + 1;
      peer.send(headers(stream, [...POST.slice(0, 3), [":path", path]], END_HEADERS));
      peer.send(frame(FrameType.data, 0, stream, Buffer.alloc(10_000)));
      expect(await peer.resetCode(stream)).toBe(constants.NGHTTP2_NO_ERROR);
      const ends = peer.frames.filter((one) => one.stream === stream && (one.flags & END_STREAM) !== 0 && one.type < 2);
      expect(ends).toHaveLength(1);
    }
    await expect.poll(() => server.sessions.items.every(({ responseEnded }) => responseEnded)).toBe(true);
    expect(server.aborts.items).toEqual([]);
    expect(peer.closed).toBe(false);
  });

  it("a body that nobody reads stops at the window of its stream; others flow beside it", async () => {
    const slow = Promise.withResolvers<ServerSession>();
    await using server = await Http2TestServer.start((session) => {
      if (session.request.target === "/slow") {
        session.readBody(new CollectingSink(() => session.pauseBody()));
        slow.resolve(session);
        return;
      }
      const sink = new CollectingSink();
      session.readBody(sink);
      void sink.body().then(({ text: body }) => answer(session, String(body.length)));
    });
    const client = server.client();
    const stalled = client.request({ ":method": "POST", ":path": "/slow" });
    stalled.on("error", () => {});
    const megabytes = Buffer.alloc(4 * 1024 * 1024);
    stalled.write(megabytes);
    const stalledSession = await slow.promise;
    for (let i = 0; i < 3; i++) {
      expect(await ask(client, { ":method": "POST" }, megabytes)).toMatchObject({ text: String(megabytes.length) });
    }
    expect(stalledSession.bodyBytesRead).toBeLessThanOrEqual(256 * 1024);
    stalledSession.readBody(new CollectingSink());
    stalledSession.resumeBody();
    await expect.poll(() => stalledSession.bodyBytesRead).toBe(megabytes.length);
    stalled.destroy();
  });

  it("a response that a client does not take stops the writer; another client's does not", async () => {
    let written = 0;
    await using server = await Http2TestServer.start((session) => {
      const chunk = Buffer.alloc(16 * 1024);
      const more = (): void => {
        while (written < 64 * 1024 * 1024) {
          written += chunk.length;
          if (!session.write(chunk)) return;
        }
        session.end();
      };
      if (session.request.target === "/fast") {
        answer(session, "fast");
        return;
      }
      session.writeHead(new ResponseHead(200), false);
      session.observer = { onWritable: more, onAbort() {} };
      more();
    });
    const client = server.client();
    const stream = client.request({ ":path": "/slow" });
    await once(stream, "response");
    expect(await ask(client, { ":path": "/fast" })).toMatchObject({ text: "fast" });
    expect(written).toBeLessThan(1024 * 1024);
    let received = 0;
    for await (const chunk of stream) received += (chunk as Buffer).length;
    expect(received).toBe(64 * 1024 * 1024);
  });
});

function reset(http2Code: number): CirqueError {
  return CirqueError.upstream("H2Error", "the origin reset the stream", { context: { http2Code } });
}
