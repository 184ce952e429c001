import { ResponseHead } from "@cirque/http";
import { describe, expect, it } from "vitest";
import { CollectingSink } from "../../test/wire/collecting-sink.ts";
import { FakeClock } from "../../test/wire/fake-clock.ts";
import { settled } from "../../test/wire/raw-peer.ts";
import { readResponses } from "../../test/wire/read-responses.ts";
import { answer, answerTarget, get, post, postChunks, TestServer } from "../../test/wire/test-server.ts";

describe("a request body", () => {
  it("is read whole, with its trailers", async () => {
    await using server = await TestServer.start(() => {});
    const client = await server.client();
    client.send(postChunks("2\r\nhe\r\n3;ext=1\r\nllo\r\n0\r\nX-Sum: 1\r\nHost: dropped\r\n\r\n"));
    const session = await server.sessions.at(0);
    expect(session).toMatchObject({ hasRequestBody: true, requestEnded: false });
    const sink = new CollectingSink();
    session.readBody(sink);
    const { text, trailers } = await sink.body();
    expect(text).toBe("hello");
    expect(trailers?.toJSON()).toEqual({ "x-sum": "1" });
    expect(session).toMatchObject({ requestEnded: true, bodyBytesRead: 5 });
    expect(sink.lastCalls).toBe(1);
  });

  it("that is not there ends at once", async () => {
    await using server = await TestServer.start(() => {});
    const client = await server.client();
    client.send(get() + post(""));
    for (const index of [0, 1]) {
      const session = await server.sessions.at(index);
      expect(session).toMatchObject({ hasRequestBody: false, requestEnded: true });
      const sink = new CollectingSink();
      session.readBody(sink);
      expect(sink.lastCalls).toBe(1);
      answer(session, "ok");
    }
  });

  it("can be handed over from one reader to another", async () => {
    await using server = await TestServer.start(() => {});
    const client = await server.client();
    client.send(post("12345678").slice(0, -4));
    const session = await server.sessions.at(0);
    const first = new CollectingSink();
    session.readBody(first);
    expect(first.text).toBe("1234");
    session.pauseBody();
    await client.sendNow("56");
    const second = new CollectingSink();
    session.readBody(second);
    client.send("78");
    expect((await second.body()).text).toBe("5678");
    expect(first.lastCalls).toBe(0);
  });

  it("does not flow while the reader pauses, and flows on in order", async () => {
    await using server = await TestServer.start(() => {});
    const client = await server.client();
    await client.sendNow(postChunks("1\r\na\r\n1\r\nb\r\n"));
    const session = await server.sessions.at(0);
    const sink = new CollectingSink(() => session.pauseBody());
    session.readBody(sink);
    for (const [chunk, soFar] of [
      ["1\r\nc\r\n", "a"],
      ["1\r\nd\r\n", "ab"],
      ["0\r\n\r\n", "abc"],
    ] as const) {
      await client.sendNow(chunk);
      await settled();
      expect(sink.text).toBe(soFar);
      session.resumeBody();
    }
    expect(sink.text).toBe("abcd");
    session.resumeBody();
    expect((await sink.body()).text).toBe("abcd");
  });

  it("is cut by the client's leaving: an error, once", async () => {
    await using server = await TestServer.start(() => {});
    const client = await server.client();
    client.send(post("12345678").slice(0, -4));
    const session = await server.sessions.at(0);
    const sink = new CollectingSink();
    session.readBody(sink);
    client.reset();
    await expect(sink.body()).rejects.toMatchObject({ code: "ConnectionClosed", source: "downstream" });
    expect((await server.aborts.at(0)).code).toBe("ConnectionClosed");
    await server.closed.count(1);
    expect(sink.lastCalls).toBe(1);
    expect(server.aborts.length).toBe(1);
  });

  it("that was cut before somebody reads it is an error to whoever reads it", async () => {
    await using server = await TestServer.start(() => {});
    const client = await server.client();
    client.send(post("12345678").slice(0, -4));
    const session = await server.sessions.at(0);
    client.reset();
    await server.closed.count(1);
    const sink = new CollectingSink();
    session.readBody(sink);
    expect(sink.error).toMatchObject({ code: "ConnectionClosed" });
  });
});

const smuggled = get("/smuggled");

describe("a body that nobody has read when the response ends (CVE-2025-4366, H1S-28)", () => {
  it.each([
    ["here already", post(smuggled), ""],
    ["still to come", post(smuggled).slice(0, -smuggled.length), smuggled],
    ["chunked", postChunks(""), `${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`],
  ])("is read and dropped, and the connection kept: %s", async (_, before, behind) => {
    await using server = await TestServer.start(answerTarget);
    const client = await server.client();
    await client.send(before).until("\r\n\r\n/");
    client.clear().send(behind + get("/next"));
    const responses = readResponses(await client.until("/next"));
    expect(responses.map(({ body }) => body)).toEqual(["/next"]);
    expect(Array.from(server.sessions.items, ({ request }) => request.target)).toEqual(["/", "/next"]);
  });

  it("is dropped up to a bound; beyond it the connection closes, and the client has its response", async () => {
    await using server = await TestServer.start(answerTarget, { drainBytes: 1000 });
    for (const [length, kept] of [
      [1000, true],
      [1001, false],
    ] as const) {
      const client = await server.client();
      const text = await client.send(post("x".repeat(length))).until("\r\n\r\n/");
      expect(readResponses(text)[0]?.status).toBe(200);
      client.clear().send(get("/next"));
      if (kept) await client.until("/next");
      else expect(await client.whenClosed()).toEqual({ text: "", reset: false });
    }
    expect(server.aborts.items).toEqual([]);
  });

  it("is waited for at most 5 s in all, however steadily it drips (H1S-27)", async () => {
    await using server = await TestServer.start(answerTarget);
    using clock = new FakeClock();
    const client = await server.client();
    await client.send(postChunks("")).until("\r\n\r\n/");
    for (let i = 0; i < 4; i++) {
      await client.sendNow("1\r\nx\r\n");
      await clock.pass(1_200);
      expect(client.ended).toBe(false);
    }
    await client.sendNow("1\r\nx\r\n");
    await clock.pass(300);
    expect((await client.whenClosed()).reset).toBe(false);
    expect(server.refusals.items).toEqual([]);
    expect(server.aborts.items).toEqual([]);
  });

  it("is dropped also where somebody had begun to read it", async () => {
    await using server = await TestServer.start(() => {});
    const client = await server.client();
    client.send(post("12345678").slice(0, -4));
    const session = await server.sessions.at(0);
    const sink = new CollectingSink();
    session.readBody(sink);
    session.pauseBody();
    answer(session, "early");
    client.send(`5678${get("/next")}`);
    answerTarget(await server.sessions.at(1));
    await client.until("/next");
    expect(sink.text).toBe("1234");
  });

  it("closes the connection where it would not be kept anyway", async () => {
    await using server = await TestServer.start(answerTarget);
    const client = await server.client();
    client.send(post("12345678", "Connection: close\r\n").slice(0, -4));
    const { text, reset } = await client.whenClosed();
    expect(readResponses(text)[0]?.body).toBe("/");
    expect(reset).toBe(false);
    await server.closed.count(1);
    expect(server.aborts.items).toEqual([]);
  });

  it("that is malformed closes the connection, with its reason", async () => {
    await using server = await TestServer.start(answerTarget);
    const client = await server.client();
    await client.send(postChunks("1\r\nx\r\n")).until("\r\n\r\n/");
    client.send("nonsense\r\n");
    await client.whenClosed();
    expect(server.refusals.items).toMatchObject([{ reason: "invalid-chunk-size", status: undefined }]);
    expect(server.sessions.length).toBe(1);
  });
});

describe("Expect: 100-continue (H1S-20)", () => {
  it("is answered by the handler, before it reads the body", async () => {
    await using server = await TestServer.start((session) => {
      const sink = new CollectingSink();
      session.writeInterim(new ResponseHead(100));
      session.readBody(sink);
      void sink.body().then(({ text }) => answer(session, text));
    });
    const client = await server.client();
    client.send(post("12345678", "Expect: 100-continue\r\n").slice(0, -8));
    expect(await client.until("\r\n\r\n")).toBe("HTTP/1.1 100 Continue\r\n\r\n");
    client.clear().send(`12345678${get("/next")}`);
    expect(readResponses(await client.responses(1))[0]?.body).toBe("12345678");
    expect((await server.sessions.at(1)).request.target).toBe("/next");
  });

  it("answered at once closes the connection: whether the body comes, nobody knows (RFC 9110, 10.1.1)", async () => {
    await using server = await TestServer.start((session) => answer(session, "no", 417));
    const client = await server.client();
    client.send(post("12345678", "Expect: 100-continue\r\n").slice(0, -8));
    const { text, reset } = await client.whenClosed();
    const [response] = readResponses(text);
    expect(response?.status).toBe(417);
    expect(response?.headers.get("connection")).toBe("close");
    expect(reset).toBe(false);
    await server.closed.count(1);
    expect(server.aborts.items).toEqual([]);
  });
});
