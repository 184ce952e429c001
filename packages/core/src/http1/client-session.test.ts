import { HeaderMap, RequestHead } from "@cirque/http";
import { describe, expect, it } from "vitest";
import { CollectingSink } from "../../test/wire/collecting-sink.ts";
import { settled } from "../../test/wire/raw-peer.ts";
import { ask, receive, requestHead, sized, TestOrigin } from "../../test/wire/test-origin.ts";

describe("a request to an origin", () => {
  it("leaves as HTTP/1.1, its head with the first body bytes", async () => {
    await using test = await TestOrigin.start();
    const { session, origin } = await test.connected();
    session.writeHead(new RequestHead("POST", "/a?b", { Host: "a", "X-Case": "Kept" }, "1.0"), true);
    await settled();
    expect(origin.text).toBe("");
    expect(session.requestStarted).toBe(false);
    session.write(Buffer.from("hello"));
    expect(session.requestStarted).toBe(true);
    session.end(new HeaderMap({ "x-sum": "1" }));
    expect(await origin.until("\r\n\r\n5")).toContain(
      "POST /a?b HTTP/1.1\r\nHost: a\r\nX-Case: Kept\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    );
    await origin.until("0\r\nx-sum: 1\r\n\r\n");
    expect(session.requestEnded).toBe(true);
  });

  it("leaves at once when it has no body", async () => {
    await using test = await TestOrigin.start();
    const { session, origin } = await test.connected();
    session.writeHead(requestHead(), false);
    expect(await origin.until("\r\n\r\n")).toBe("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    expect(session).toMatchObject({ requestStarted: true, requestEnded: true });
  });

  it.each([
    [
      "a body without a length is chunked, whatever the method (CVE-2026-29057)",
      "DELETE",
      {},
      true,
      "Transfer-Encoding: chunked",
    ],
    ["a body with a length keeps it", "OPTIONS", { "content-length": "5" }, true, "Content-Length: 5"],
    [
      "a length and a Transfer-Encoding leave as the length",
      "POST",
      { "content-length": "5", "transfer-encoding": "chunked" },
      true,
      "Content-Length: 5",
    ],
    ["a length without a body is 0", "POST", { "content-length": "5" }, false, "Content-Length: 0"],
    ["no body and no length leave as they are", "POST", {}, false, undefined],
  ])("%s", async (_, method, headers, hasBody, line) => {
    await using test = await TestOrigin.start();
    const { session, origin } = await test.connected();
    session.writeHead(requestHead(method, headers), hasBody);
    if (hasBody) session.write(Buffer.from("hello"));
    if (hasBody) session.end();
    const head = (await origin.until("\r\n\r\n")).split("\r\n\r\n")[0] ?? "";
    const framing = head.split("\r\n").filter((text) => /^(content-length|transfer-encoding)/i.test(text));
    expect(framing).toEqual(line === undefined ? [] : [line]);
  });

  it("with an empty body is chunked where the head must not end the message (HDR-06)", async () => {
    await using test = await TestOrigin.start();
    const { session, origin } = await test.connected();
    const head = requestHead("POST");
    head.sendEndStream = false;
    session.writeHead(head, false);
    expect(await origin.until("0\r\n\r\n")).toContain("\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
  });

  it.each([
    [
      "twice",
      [
        ["content-length", "1"],
        ["content-length", "1"],
      ] as const,
    ],
    ["no number", [["content-length", "one"]] as const],
  ])("with a length that is %s is not sent", async (_, headers) => {
    await using test = await TestOrigin.start();
    const { session, origin } = await test.connected();
    expect(() => session.writeHead(new RequestHead("POST", "/", headers), true)).toThrow(
      expect.objectContaining({ code: "InvalidHTTPHeader", source: "internal" }),
    );
    session.flush();
    await settled();
    expect(session.requestStarted).toBe(false);
    expect(origin.text).toBe("");
  });

  it("whose body is shorter than its length is cut", async () => {
    await using test = await TestOrigin.start();
    const { session, origin } = await test.connected();
    session.writeHead(requestHead("POST", { "content-length": "5" }), true);
    session.write(Buffer.from("hell"));
    await origin.until("hell");
    session.end();
    await expect(session.readHead()).rejects.toMatchObject({ code: "WriteError", source: "internal", retry: false });
    expect((await origin.whenClosed()).text).toMatch(/hell$/);
    expect(session.reusable).toBe(false);
  });

  it("whose body is longer than its length loses the rest", async () => {
    await using test = await TestOrigin.start();
    const { session, origin } = await test.connected();
    session.writeHead(requestHead("POST", { "content-length": "5" }), true);
    session.write(Buffer.from("hello world"));
    session.end();
    await origin.until("hello");
    await settled();
    expect(origin.text).toMatch(/\r\n\r\nhello$/);
  });

  it("that a filter gave Connection: close says so, and its connection is not kept", async () => {
    await using test = await TestOrigin.start();
    const { session, origin } = await test.connected();
    const response = ask(session, requestHead("GET", { connection: "close" }));
    expect(await origin.until("\r\n\r\n")).toContain("\r\nConnection: close\r\n");
    origin.send(sized("x"));
    await (await response).sink.body();
    expect(session.reusable).toBe(false);
  });

  it("waits for an origin that reads slowly, and says when to go on", async () => {
    await using test = await TestOrigin.start();
    const { session, origin } = await test.connected();
    origin.socket.pause();
    session.writeHead(requestHead("POST"), true);
    const writable = new Promise<void>((resolve) => {
      session.observer = { onWritable: resolve };
    });
    let sent = 0;
    while (session.write(Buffer.alloc(64 * 1024))) {
      sent += 64 * 1024;
      await settled();
    }
    origin.socket.resume();
    await writable;
    await origin.bytes(sent);
  });
});

describe("a response", () => {
  it.each([
    ["with a length", "HTTP/1.1 200 Fine\r\nContent-Length: 5\r\n\r\nhello", true],
    [
      "in chunks, with trailers",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x\r\nllo\r\n0\r\nx-sum: 1\r\n\r\n",
      true,
    ],
    [
      "of HTTP/1.0 that keeps the connection",
      "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello",
      true,
    ],
    ["of HTTP/1.0 that does not", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", false],
    ["that says it closes", "HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 5\r\n\r\nhello", false],
    [
      "behind interim ones",
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
      true,
    ],
  ])("%s is the same however its bytes are split", async (_, bytes, kept) => {
    await using test = await TestOrigin.start();
    for (let split = 1; split < bytes.length; split++) {
      const { session, origin, peer } = await test.connected();
      const response = ask(session);
      await origin.until("\r\n\r\n");
      await origin.sendNow(bytes.slice(0, split));
      await settled();
      origin.send(bytes.slice(split));
      const { head, sink } = await response;
      const { text, trailers } = await sink.body();
      expect([head.status, text, trailers?.get("x-sum")]).toEqual([
        200,
        "hello",
        bytes.includes("x-sum") ? "1" : undefined,
      ]);
      expect(session).toMatchObject({ responseEnded: true, bodyBytesRead: 5, reusable: kept });
      session.close();
      test.connector.release(session, peer);
    }
  });

  it("that comes byte by byte is the same", async () => {
    await using test = await TestOrigin.start();
    const { session, origin } = await test.connected();
    const response = ask(session);
    await origin.until("\r\n\r\n");
    for (const byte of "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n") {
      await origin.sendNow(byte);
    }
    expect((await (await response).sink.body()).text).toBe("hello");
    expect(session.reusable).toBe(true);
  });

  it("that lasts until the origin closes is whole then, and the connection is not kept", async () => {
    await using test = await TestOrigin.start();
    const { session, origin } = await test.connected();
    const response = ask(session);
    await origin.until("\r\n\r\n");
    origin.send("HTTP/1.1 200 OK\r\n\r\nhello");
    const { sink } = await response;
    expect(sink.lastCalls).toBe(0);
    origin.send(" world").end();
    expect((await sink.body()).text).toBe("hello world");
    expect(session.reusable).toBe(false);
  });

  it.each([
    ["HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"],
    ["GET", "HTTP/1.1 204 No Content\r\n\r\n"],
    ["GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"],
    ["GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"],
  ])("to %s without body ends with its head: %j", async (method, bytes) => {
    await using test = await TestOrigin.start();
    const { session, origin } = await test.connected();
    const response = ask(session, requestHead(method));
    await origin.until("\r\n\r\n");
    origin.send(bytes);
    expect((await (await response).sink.body()).text).toBe("");
    expect(session.reusable).toBe(true);
  });

  it("does not flow while the reader pauses, and flows on in order", async () => {
    await using test = await TestOrigin.start();
    const { session, origin } = await test.connected();
    session.writeHead(requestHead(), false);
    await origin.until("\r\n\r\n");
    await origin.sendNow("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n");
    await session.readHead();
    const sink = new CollectingSink(() => session.pauseBody());
    session.readBody(sink);
    await origin.sendNow("1\r\nc\r\n0\r\n\r\n");
    for (const soFar of ["a", "ab", "abc"]) {
      await settled();
      expect(sink.text).toBe(soFar);
      session.resumeBody();
    }
    expect((await sink.body()).text).toBe("abc");
    expect(session.reusable).toBe(true);
  });

  it("is bounded in memory while nobody reads it", async () => {
    await using test = await TestOrigin.start();
    const { session, origin } = await test.connected();
    session.writeHead(requestHead(), false);
    await origin.until("\r\n\r\n");
    origin.send("HTTP/1.1 200 OK\r\n\r\n");
    await session.readHead();
    const size = 1024 * 1024;
    while (origin.socket.writableLength < 4 * size) {
      origin.send(Buffer.alloc(size));
      await settled();
    }
    const sink = new CollectingSink(() => session.pauseBody());
    session.readBody(sink);
    expect(sink.text.length).toBeLessThanOrEqual(128 * 1024);
  });

  it.each(["close", "reset"] as const)(
    "that came whole is whole, though the origin has gone before it was read (%s)",
    async (how) => {
      for (const bytes of [
        sized("hello"),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
      ]) {
        await using test = await TestOrigin.start();
        const { session, origin } = await test.connected();
        session.writeHead(requestHead(), false);
        const first = session.readHead();
        await origin.until("\r\n\r\n");
        await origin.sendNow(bytes);
        let head = await first;
        if (how === "close") origin.socket.destroy();
        else origin.reset();
        await settled();
        if (head.informational) head = await session.readHead();
        await settled();
        const sink = new CollectingSink();
        session.readBody(sink);
        expect((await sink.body()).text).toBe("hello");
        expect(session.reusable).toBe(false);
      }
    },
  );

  it("that lasts until the origin closes is whole, though it has closed before it was read", async () => {
    for (const body of ["hello", ""]) {
      await using test = await TestOrigin.start();
      const { session, origin } = await test.connected();
      session.writeHead(requestHead(), false);
      await origin.until("\r\n\r\n");
      const headRead = session.readHead();
      origin.send(`HTTP/1.1 200 OK\r\n\r\n${body}`);
      await headRead;
      origin.end();
      await settled();
      const sink = new CollectingSink();
      session.readBody(sink);
      expect((await sink.body()).text).toBe(body);
    }
  });

  it("that broke before it was read is an error to whoever reads it", async () => {
    await using test = await TestOrigin.start();
    const { session, origin } = await test.connected();
    session.writeHead(requestHead(), false);
    await origin.until("\r\n\r\n");
    const headRead = session.readHead();
    origin.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    await headRead;
    origin.reset();
    await settled();
    const sink = new CollectingSink();
    session.readBody(sink);
    await expect(sink.body()).rejects.toMatchObject({ code: "ConnectionClosed" });
    expect(sink.lastCalls).toBe(1);
  });

  it("can come while the request is still being sent, and leaves the connection unusable until that has ended", async () => {
    await using test = await TestOrigin.start();
    const { session, origin } = await test.connected();
    session.writeHead(requestHead("POST"), true);
    session.write(Buffer.from("some"));
    const response = receive(session);
    await origin.until("some");
    origin.send(sized("early"));
    expect((await (await response).sink.body()).text).toBe("early");
    expect(session).toMatchObject({ responseEnded: true, requestEnded: false, reusable: false });
    session.write(Buffer.from("more"));
    session.end();
    await origin.until("0\r\n\r\n");
    expect(session.reusable).toBe(true);
  });

  it("that came early is good also when the origin then closes", async () => {
    await using test = await TestOrigin.start();
    const { session, origin } = await test.connected();
    session.writeHead(requestHead("POST"), true);
    session.write(Buffer.from("some"));
    const response = receive(session);
    await origin.until("some");
    origin.send(sized("early")).end();
    expect((await (await response).sink.body()).text).toBe("early");
    origin.reset();
    await settled();
    expect(session.write(Buffer.from("more"))).toBe(true);
    session.end();
    expect(session.reusable).toBe(false);
  });
});
