import { describe, expect, it } from "vitest";
import type { CollectingSink } from "../../test/wire/collecting-sink.ts";
import { FakeClock } from "../../test/wire/fake-clock.ts";
import { settled } from "../../test/wire/raw-peer.ts";
import { ask, receive, requestHead, sized, TestOrigin } from "../../test/wire/test-origin.ts";
import { CirqueError } from "../errors/cirque-error.ts";
import type { Http1ClientSession } from "./client-session.ts";

/** How an exchange ended for the one who asked. */
interface Outcome {
  readonly error: CirqueError | undefined;
  readonly body: string;
  /** Whether the head had been received. */
  readonly headed: boolean;
}

async function outcome(session: Http1ClientSession, response = ask(session)): Promise<Outcome> {
  let sink: CollectingSink | undefined;
  try {
    ({ sink } = await response);
    await sink.body();
    return { error: undefined, body: sink.text, headed: true };
  } catch (error) {
    if (!(error instanceof CirqueError)) throw error;
    if (sink !== undefined) expect(sink.lastCalls).toBe(1);
    return { error, body: sink?.text ?? "", headed: sink !== undefined };
  }
}

/** What the origin does at a byte offset, to an exchange of its own. */
async function cutAt(test: TestOrigin, bytes: string, offset: number, how: "end" | "reset"): Promise<Outcome> {
  const { session, origin, peer } = await test.connected();
  const ended = outcome(session);
  await origin.until("\r\n\r\n");
  await origin.sendNow(bytes.slice(0, offset));
  if (how === "reset") await settled();
  origin[how]();
  const result = await ended;
  await settled();
  expect(session.reusable).toBe(false);
  test.connector.release(session, peer);
  expect(test.connector.idleConnections).toBe(0);
  origin[Symbol.dispose]();
  return result;
}

const RESPONSES = {
  "with a length": sized("hello"),
  "in chunks": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\nx: y\r\n\r\n",
  "until the origin closes": "HTTP/1.1 200 OK\r\n\r\nhello",
  "behind an interim one":
    "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
};

describe.each(Object.entries(RESPONSES))("a response %s that is cut at any byte", (name, bytes) => {
  const headEnd = bytes.lastIndexOf("\r\n\r\n", bytes.length - 5) + 4;
  const bodyStart = name === "in chunks" ? bytes.indexOf("\r\n\r\n") + 4 : headEnd;
  const untilClose = name === "until the origin closes";
  const interimEnd = name === "behind an interim one" ? bytes.indexOf("\r\n\r\n") + 4 : Number.POSITIVE_INFINITY;

  it.each(["end", "reset"] as const)("by the origin's %s is an error, and never reused", async (how) => {
    await using test = await TestOrigin.start();
    for (let offset = 0; offset < bytes.length; offset++) {
      const { error, body, headed } = await cutAt(test, bytes, offset, how);
      expect(headed, `head at ${offset}`).toBe(offset >= bodyStart);
      if (untilClose && how === "end" && offset >= bodyStart) {
        expect(body).toBe(bytes.slice(bodyStart, offset));
        continue;
      }
      expect(error, `error at ${offset}`).toMatchObject({
        code: "ConnectionClosed",
        source: "upstream",
        // Nothing of an answer: had the connection been reused, the request could go elsewhere.
        retry: offset < Math.min(bodyStart, interimEnd) ? "reused-only" : false,
      });
    }
  });

  it("by the origin's end behind the last byte is whole", async () => {
    await using test = await TestOrigin.start();
    expect(await cutAt(test, bytes, bytes.length, "end")).toMatchObject({ error: undefined, body: "hello" });
  });
});

describe("an origin that breaks the protocol", () => {
  const bad = {
    "no HTTP at all": "SSH-2.0-OpenSSH_9.2\r\n",
    "HTTP/0.9": "<html></html>\r\n",
    "another version": "HTTP/2.0 200 OK\r\n\r\n",
    "a status of two digits": "HTTP/1.1 20 OK\r\n\r\n",
    "a status of 099": "HTTP/1.1 099 OK\r\n\r\n",
    "a length and a Transfer-Encoding": "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    "two lengths": "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
    "a list of lengths": "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n",
    "a negative length": "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
    "a length that is no number": "HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\n",
    "two Transfer-Encodings": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
    "an unknown Transfer-Encoding": "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n",
    "a Transfer-Encoding that does not end in chunked": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
    "a Transfer-Encoding of HTTP/1.0": "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    "a folded line": "HTTP/1.1 200 OK\r\na: b\r\n c\r\n\r\n",
    "a space before the colon": "HTTP/1.1 200 OK\r\na : b\r\n\r\n",
    "a bare LF": "HTTP/1.1 200 OK\na: b\n\n",
    "NUL in a value": "HTTP/1.1 200 OK\r\na: \0\r\n\r\n",
    "a head beyond the limit": `HTTP/1.1 200 OK\r\na: ${"x".repeat(40_000)}\r\n\r\n`,
  };
  it.each(Object.entries(bad))("%s: InvalidHTTPHeader, and its reason", async (_, bytes) => {
    await using test = await TestOrigin.start();
    const { session, origin } = await test.connected();
    const ended = outcome(session);
    await origin.until("\r\n\r\n");
    origin.send(bytes);
    const { error } = await ended;
    expect(error).toMatchObject({
      code: "InvalidHTTPHeader",
      source: "upstream",
      retry: false,
      context: { reason: expect.any(String) },
    });
    expect(session.reusable).toBe(false);
    await origin.whenClosed();
  });

  it.each([
    ["a bad chunk size", "5x\r\nhello\r\n"],
    ["a chunk that is too long", "5\r\nhello!\r\n"],
    ["a bad trailer", "5\r\nhello\r\n0\r\na : b\r\n\r\n"],
  ])("%s in the body cuts it", async (_, chunks) => {
    await using test = await TestOrigin.start();
    const { session, origin } = await test.connected();
    const ended = outcome(session);
    await origin.until("\r\n\r\n");
    origin.send(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`);
    expect(await ended).toMatchObject({ headed: true, error: { code: "InvalidHTTPHeader", source: "upstream" } });
    expect(session.reusable).toBe(false);
  });

  it("interim responses without end are bounded", async () => {
    await using test = await TestOrigin.start();
    const { session, origin } = await test.connected();
    const ended = outcome(session);
    await origin.until("\r\n\r\n");
    origin.send("HTTP/1.1 100 Continue\r\n\r\n".repeat(16) + sized("hello"));
    expect(await ended).toMatchObject({ error: undefined, body: "hello" });
    const again = await test.connected();
    const flooded = outcome(again.session);
    await again.origin.until("\r\n\r\n");
    again.origin.send("HTTP/1.1 100 Continue\r\n\r\n".repeat(17) + sized("hello"));
    expect((await flooded).error).toMatchObject({ code: "H1Error", source: "upstream" });
    expect(again.session.reusable).toBe(false);
  });

  it("101 without having asked is an error, and what follows is nobody's", async () => {
    await using test = await TestOrigin.start();
    const { session, origin } = await test.connected();
    const ended = outcome(session);
    await origin.until("\r\n\r\n");
    origin.send(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n${sized("hello")}`);
    expect((await ended).error).toMatchObject({ code: "H1Error", source: "upstream", retry: false });
    expect(session.reusable).toBe(false);
  });

  it.each([
    ["a body on HEAD", "HEAD", sized("hello")],
    ["a body on 204", "GET", "HTTP/1.1 204 No Content\r\n\r\nhello"],
    ["a body on 304", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello"],
    ["surplus behind a length", "GET", `${sized("hello")}!`],
    ["surplus behind chunks", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n!"],
    ["two responses", "GET", sized("hello") + sized("poison")],
  ])("%s is not read, and the connection is not reused (promise P2)", async (_, method, bytes) => {
    await using test = await TestOrigin.start();
    const { session, origin, peer } = await test.connected();
    const response = ask(session, requestHead(method));
    await origin.until("\r\n\r\n");
    origin.send(bytes);
    const { text } = await (await response).sink.body();
    expect(["", "hello"]).toContain(text);
    expect(session.reusable).toBe(false);
    test.connector.release(session, peer);
    expect(test.connector.idleConnections).toBe(0);
    await origin.whenClosed();
  });

  it.each([false, true])("an answer before the request was sent is none, on a kept connection: %s", async (kept) => {
    await using test = await TestOrigin.start();
    const { session, origin, peer } = await test.connected();
    if (kept) {
      const response = ask(session);
      await origin.until("\r\n\r\n");
      origin.send(sized("first"));
      await (await response).sink.body();
      test.connector.release(session, peer);
      expect(await test.session(peer)).toBe(session);
    }
    await origin.sendNow(sized("poison"));
    await settled();
    const { error } = await outcome(session);
    expect(error).toMatchObject({ code: "H1Error", source: "upstream", retry: "reused-only" });
    expect(session).toMatchObject({ reused: kept, requestStarted: false, reusable: false });
    await origin.whenClosed();
  });

  it.each(["end", "reset"] as const)(
    "an %s behind an interim response that is still being worked on is found out",
    async (how) => {
      await using test = await TestOrigin.start();
      const { session, origin } = await test.connected();
      session.writeHead(requestHead(), false);
      const interim = session.readHead();
      await origin.until("\r\n\r\n");
      origin.send("HTTP/1.1 103 Early Hints\r\n\r\n");
      await interim;
      origin[how]();
      await settled();
      await expect(session.readHead()).rejects.toMatchObject({ code: "ConnectionClosed", retry: false });
    },
  );

  it("an end or a reset before the request was sent is an error that allows another try on a kept connection", async () => {
    for (const how of ["end", "reset"] as const) {
      await using test = await TestOrigin.start();
      const { session, origin } = await test.connected();
      origin[how]();
      await settled();
      expect((await outcome(session)).error).toMatchObject({ code: "ConnectionClosed", retry: "reused-only" });
      expect(session.requestStarted).toBe(false);
    }
  });
});

describe("the time-outs of an exchange with an origin", () => {
  it.each([
    ["before the head", "", "\r\n\r\n"],
    ["in the head", "HTTP/1.1 200 OK\r\nContent-Len", "\r\n\r\n"],
    ["behind an interim response", "HTTP/1.1 103 Early Hints\r\n\r\n", "\r\n\r\n"],
    ["in the body", sized("hello").slice(0, -1), "\r\n\r\n"],
    ["in a body until the origin closes", "HTTP/1.1 200 OK\r\n\r\nhello", "\r\n\r\n"],
  ])("silence of 60 s %s is ReadTimedout (PO-04)", async (_, bytes) => {
    await using test = await TestOrigin.start();
    using clock = new FakeClock();
    const { session, origin } = await test.connected();
    const ended = outcome(session);
    await origin.until("\r\n\r\n");
    await clock.pass(50_000);
    if (bytes !== "") await origin.sendNow(bytes);
    await clock.pass(bytes === "" ? 9_000 : 59_000);
    expect(session.connection.closed).toBe(false);
    await clock.pass(1_100);
    expect((await ended).error).toMatchObject({ code: "ReadTimedout", source: "upstream", retry: false });
    expect(session.reusable).toBe(false);
    await origin.whenClosed();
  });

  it("run while the request is being sent only from what was sent last", async () => {
    await using test = await TestOrigin.start();
    using clock = new FakeClock();
    const { session, origin } = await test.connected();
    session.writeHead(requestHead("POST"), true);
    const response = receive(session);
    for (let i = 0; i < 5; i++) {
      session.write(Buffer.from("x"));
      await clock.pass(50_000);
    }
    session.end();
    await origin.until("0\r\n\r\n");
    await clock.pass(50_000);
    origin.send(sized("late"));
    expect((await (await response).sink.body()).text).toBe("late");
  });

  it("do not run while the reader holds the response back, whatever is sent meanwhile", async () => {
    await using test = await TestOrigin.start();
    using clock = new FakeClock();
    const { session, origin } = await test.connected();
    session.writeHead(requestHead("POST"), true);
    session.write(Buffer.from("x"));
    const response = receive(session);
    await origin.until("x");
    origin.send(sized("hello").slice(0, -1));
    const { sink } = await response;
    session.pauseBody();
    session.write(Buffer.from("y"));
    session.end();
    await clock.pass(3_600_000);
    origin.send("o");
    session.resumeBody();
    expect((await sink.body()).text).toBe("hello");
  });

  it("an origin that takes nothing of the request for 60 s is WriteTimedout (PO-05)", async () => {
    await using test = await TestOrigin.start();
    using clock = new FakeClock();
    const { session, origin } = await test.connected();
    origin.socket.pause();
    session.writeHead(requestHead("POST"), true);
    while (session.write(Buffer.alloc(64 * 1024))) await settled();
    const ended = outcome(session, receive(session));
    session.write(Buffer.alloc(1));
    await clock.pass(59_000);
    expect(session.connection.closed).toBe(false);
    await clock.pass(1_100);
    expect((await ended).error).toMatchObject({ code: "WriteTimedout", source: "upstream" });
    expect(session.reusable).toBe(false);
  });

  it("are those of the peer, and can be switched off", async () => {
    await using test = await TestOrigin.start();
    using clock = new FakeClock();
    const patient = await test.connected({ readTimeoutMs: Number.POSITIVE_INFINITY });
    const hasty = await test.connected({ readTimeoutMs: 100 });
    const ended = outcome(hasty.session);
    const waiting = ask(patient.session);
    await patient.origin.until("\r\n\r\n");
    await clock.pass(110);
    expect((await ended).error?.code).toBe("ReadTimedout");
    await clock.pass(86_400_000);
    patient.origin.send(sized("at last"));
    expect((await (await waiting).sink.body()).text).toBe("at last");
  });
});

describe("aborting an exchange", () => {
  const reason = CirqueError.downstream("ConnectionClosed", "the client has gone");

  it("rejects what waits for a head, and closes", async () => {
    await using test = await TestOrigin.start();
    const { session, origin } = await test.connected();
    const ended = outcome(session);
    await origin.until("\r\n\r\n");
    session.abort(reason);
    expect((await ended).error).toBe(reason);
    await origin.whenClosed();
    expect(session.reusable).toBe(false);
    await expect(session.readHead()).rejects.toBe(reason);
  });

  it("cuts the body for its reader, once", async () => {
    await using test = await TestOrigin.start();
    const { session, origin } = await test.connected();
    const response = ask(session);
    await origin.until("\r\n\r\n");
    origin.send(sized("hello").slice(0, -1));
    const { sink } = await response;
    session.abort(reason);
    session.abort(CirqueError.internal("InternalError", "another"));
    await expect(sink.body()).rejects.toBe(reason);
    await origin.whenClosed();
    expect(sink.lastCalls).toBe(1);
  });
});
