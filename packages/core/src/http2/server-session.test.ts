import { once } from "node:events";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { HeaderMap, ResponseHead } from "@cirque/http";
import { describe, expect, it } from "vitest";
import { answer, ask, Http2TestServer } from "../../test/http2/http2-server.ts";
import { CollectingSink } from "../../test/wire/collecting-sink.ts";

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
});
