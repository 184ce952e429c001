import { ResponseHead } from "@cirque/http";
import { describe, expect, it } from "vitest";
import { CollectingSink } from "../../test/wire/collecting-sink.ts";
import { FakeClock } from "../../test/wire/fake-clock.ts";
import { settled } from "../../test/wire/raw-peer.ts";
import { readResponses } from "../../test/wire/read-responses.ts";
import { answer, answerTarget, get, post, postChunks, TestServer } from "../../test/wire/test-server.ts";

const silent = (): void => {};

describe("a client that goes away", () => {
  it.each([
    ["before it sent anything", ""],
    ["in the middle of a head", "GET / HTT"],
    ["behind a blank line", "\r\n"],
  ])("%s is forgotten, whether it ends or resets", async (_, bytes) => {
    await using server = await TestServer.start(silent);
    const ending = await server.client();
    const resetting = await server.client();
    for (const client of [ending, resetting]) await client.sendNow(bytes);
    await settled();
    expect(await ending.end().whenClosed()).toEqual({ text: "", reset: false });
    resetting.reset();
    await server.closed.count(2);
    expect(server.sessions.length).toBe(0);
    expect(server.refusals.items).toEqual([]);
  });

  it("between requests is forgotten", async () => {
    await using server = await TestServer.start(answerTarget);
    const client = await server.client();
    await client.send(get("/x")).until("/x");
    expect((await client.end().whenClosed()).reset).toBe(false);
    await server.closed.count(1);
    expect(server.aborts.items).toEqual([]);
  });

  it.each(["end", "reset"] as const)("while its request is worked on (%s) aborts it, once", async (how) => {
    await using server = await TestServer.start(silent);
    const client = await server.client();
    client.send(get());
    const session = await server.sessions.at(0);
    client[how]();
    expect(await server.aborts.at(0)).toMatchObject({ code: "ConnectionClosed", source: "downstream" });
    await server.closed.count(1);
    answer(session, "nobody reads this");
    session.flush();
    session.abort();
    await settled();
    expect(server.aborts.length).toBe(1);
    expect(session.responseEnded).toBe(false);
  });

  it.each(["end", "reset"] as const)(
    "in the middle of its body (%s) is an error of the body and aborts",
    async (how) => {
      await using server = await TestServer.start(silent);
      const client = await server.client();
      client.send(postChunks("1\r\nx\r\n"));
      const session = await server.sessions.at(0);
      const sink = new CollectingSink();
      session.readBody(sink);
      client[how]();
      await expect(sink.body()).rejects.toMatchObject({ code: "ConnectionClosed", source: "downstream" });
      await server.closed.count(1);
      expect(server.aborts.length).toBe(1);
      expect(sink.lastCalls).toBe(1);
    },
  );

  it("in the middle of the response aborts it, and the write that finds out does no harm", async () => {
    await using server = await TestServer.start(silent);
    const client = await server.client();
    client.send(get());
    const session = await server.sessions.at(0);
    session.writeHead(new ResponseHead(200), false);
    session.write(Buffer.from("some"));
    await client.until("some");
    client.reset();
    await server.aborts.at(0);
    expect(session.write(Buffer.from("more"))).toBe(true);
    session.end();
    expect(session.responseEnded).toBe(false);
  });

  it("while the response waits for it to read aborts", async () => {
    await using server = await TestServer.start(silent);
    const client = await server.client();
    client.socket.pause();
    client.send(get());
    const session = await server.sessions.at(0);
    session.writeHead(new ResponseHead(200), false);
    while (session.write(Buffer.alloc(256 * 1024))) await settled();
    client.reset();
    expect((await server.aborts.at(0)).code).toBe("ConnectionClosed");
    await server.closed.count(1);
  });

  it("while pipelined requests wait aborts the one under way, and starts no other", async () => {
    await using server = await TestServer.start(silent);
    const client = await server.client();
    await client.sendNow(get("/1") + get("/2"));
    await server.sessions.at(0);
    client.reset();
    await server.aborts.at(0);
    await server.closed.count(1);
    expect(server.sessions.length).toBe(1);
  });

  it("does not concern other connections", async () => {
    await using server = await TestServer.start(answerTarget);
    const bystander = await server.client();
    await bystander.send(get("/before")).until("/before");
    for (let i = 0; i < 20; i++) {
      const client = await server.client();
      await client.sendNow([get(), "GET", post("12345").slice(0, -2)][i % 3] ?? "");
      client.reset();
    }
    await server.closed.count(20);
    await bystander.send(get("/after")).until("\r\n\r\n/after");
  });
});

describe("a client that ends its side and reads on (H1S-30)", () => {
  it("is taken to have left, by default", async () => {
    await using server = await TestServer.start(silent);
    const client = await server.client();
    client.send(get()).end();
    expect(await server.aborts.at(0)).toMatchObject({ code: "ConnectionClosed" });
    expect((await client.whenClosed()).text).toBe("");
  });

  it("has all of a response that was complete before", async () => {
    await using server = await TestServer.start(silent);
    const client = await server.client();
    client.socket.pause();
    client.send(get());
    const session = await server.sessions.at(0);
    const length = 48 * 1024 * 1024; // more than the kernel takes
    session.writeHead(new ResponseHead(200, { "content-length": String(length) }), false);
    session.write(Buffer.alloc(length));
    session.end();
    client.end();
    await settled();
    client.socket.resume();
    expect((await client.whenClosed()).text.length).toBeGreaterThan(length);
    expect(server.aborts.items).toEqual([]);
  });

  it("is answered where the setting allows it, and then closed", async () => {
    await using server = await TestServer.start(silent, { abortOnClose: false });
    const client = await server.client();
    client.send(get("/half")).end();
    const session = await server.sessions.at(0);
    await settled();
    answerTarget(session);
    const [response] = readResponses((await client.whenClosed()).text);
    expect(response?.body).toBe("/half");
    expect(response?.headers.get("connection")).toBe("close");
    expect(server.aborts.items).toEqual([]);
  });

  it("is answered where the setting allows it, also with a body that was here before anybody read it", async () => {
    for (const request of [post("hello"), postChunks("5\r\nhello\r\n0\r\n\r\n")]) {
      await using server = await TestServer.start(silent, { abortOnClose: false });
      const client = await server.client();
      client.send(request).end();
      const session = await server.sessions.at(0);
      await settled();
      const sink = new CollectingSink();
      session.readBody(sink);
      answer(session, (await sink.body()).text);
      expect(readResponses((await client.whenClosed()).text)[0]?.body).toBe("hello");
    }
  });

  it("has every pipelined request answered where the setting allows it", async () => {
    await using server = await TestServer.start(answerTarget, { abortOnClose: false });
    const client = await server.client();
    client.send(get("/1") + get("/2") + get("/3")).end();
    const responses = readResponses((await client.whenClosed()).text);
    expect(responses.map(({ body }) => body)).toEqual(["/1", "/2", "/3"]);
  });

  it("in the middle of its body gets 400 where the setting allows an answer", async () => {
    await using server = await TestServer.start(
      (session) => {
        const sink = new CollectingSink();
        session.readBody(sink);
        sink.body().catch((error) => answer(session, "", error.status));
      },
      { abortOnClose: false },
    );
    const client = await server.client();
    client.send(post("hello").slice(0, -1)).end();
    const [response] = readResponses((await client.whenClosed()).text);
    expect(response?.status).toBe(400);
    expect(server.refusals.items).toMatchObject([{ reason: "premature-end", status: 400 }]);
  });

  it("in the middle of a body that nobody reads yet is an error to whoever reads it", async () => {
    await using server = await TestServer.start(silent, { abortOnClose: false });
    const client = await server.client();
    client.send(post("hello").slice(0, -1)).end();
    const session = await server.sessions.at(0);
    await settled();
    const sink = new CollectingSink();
    session.readBody(sink);
    await expect(sink.body()).rejects.toMatchObject({ code: "HTTPStatus", status: 400 });
    answer(session, "", 400);
    await client.whenClosed();
  });
});

describe("a connection that is refused or closed while the client is still sending", () => {
  it.each([
    ["a refusal", "GET / HTTP/1.1\r\n\r\n", 400],
    ["a response that closes", get("/", "Connection: close\r\n"), 200],
  ])("delivers %s, and takes a bounded amount of what comes (RFC 9112, 9.6)", async (_, bytes, status) => {
    await using server = await TestServer.start(answerTarget);
    const client = await server.client();
    client.socket.on("error", silent);
    client.send(bytes);
    const flood = Buffer.alloc(64 * 1024);
    await client.until("\r\n\r\n");
    for (let i = 0; i < 15; i++) await client.sendNow(flood);
    expect(readResponses(await client.whenEnded())[0]?.status).toBe(status);
    expect(client.closed).toBe(false);
    // More than a client that is still reading would send.
    for (let i = 0; i < 64 && !client.closed; i++) await client.sendNow(flood).catch(silent);
    await server.closed.count(1);
  });

  it("closes at last when the client never does", async () => {
    await using server = await TestServer.start(answerTarget);

    using clock = new FakeClock();
    const client = await server.client();
    await client.send("nonsense\r\n\r\n").whenEnded();
    await clock.pass(1_900);
    expect(server.closed.length).toBe(0);
    await clock.pass(200);
    await server.closed.count(1);
  });

  it("closes at last when the client takes nothing", async () => {
    await using server = await TestServer.start(silent);

    using clock = new FakeClock();
    const client = await server.client();
    client.socket.pause();
    client.send(get("/", "Connection: close\r\n"));
    const session = await server.sessions.at(0);
    session.writeHead(new ResponseHead(200), false);
    session.write(Buffer.alloc(48 * 1024 * 1024));
    session.end();
    await clock.pass(59_000);
    expect(server.closed.length).toBe(0);
    await clock.pass(10_000);
    await server.closed.count(1);
    expect(server.aborts.items).toEqual([]);
  });
});
