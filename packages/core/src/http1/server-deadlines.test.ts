import { ResponseHead } from "@cirque/http";
import { describe, expect, it } from "vitest";
import { CollectingSink } from "../../test/wire/collecting-sink.ts";
import { FakeClock } from "../../test/wire/fake-clock.ts";
import { type RawPeer, settled } from "../../test/wire/raw-peer.ts";
import { readResponses } from "../../test/wire/read-responses.ts";
import { answer, answerTarget, get, post, postChunks, TestServer } from "../../test/wire/test-server.ts";
import type { CirqueError } from "../errors/cirque-error.ts";
import type { ServerSession } from "../session/server-session.ts";

/** Lets time pass up to just before `ms`, where the connection has to be open, and just beyond. */
async function passesAt(clock: FakeClock, ms: number, client: RawPeer): Promise<void> {
  await clock.pass(ms - 10);
  expect(client.ended || client.closed).toBe(false);
  await clock.pass(20);
}

describe("the time-outs of a client's connection, by default", () => {
  it("close one that sends nothing after 10 s, without a word", async () => {
    await using server = await TestServer.start();
    using clock = new FakeClock();
    const client = await server.client();
    await passesAt(clock, 10_000, client);
    expect(await client.whenClosed()).toEqual({ text: "", reset: false });
    expect(server.refusals.items).toEqual([]);
  });

  it("close one that sends a blank line and nothing else after 10 s", async () => {
    await using server = await TestServer.start();
    using clock = new FakeClock();
    const client = await server.client();
    await client.sendNow("\r\n");
    await passesAt(clock, 10_000, client);
    expect((await client.whenClosed()).text).toBe("");
  });

  it("answer 408 after 10 s of silence in a head", async () => {
    await using server = await TestServer.start();
    using clock = new FakeClock();
    const client = await server.client();
    await client.sendNow("GET / HTTP/1.1\r\nHos");
    await passesAt(clock, 10_000, client);
    const [response] = readResponses((await client.whenClosed()).text);
    expect(response?.status).toBe(408);
    expect(response?.headers.get("connection")).toBe("close");
    expect(server.refusals.items).toMatchObject([{ reason: "head-timeout", status: 408 }]);
  });

  it("answer 408 to a head that takes more than 20 s in all, however steadily it drips", async () => {
    await using server = await TestServer.start();
    using clock = new FakeClock();
    const client = await server.client();
    await client.sendNow("G");
    for (let second = 4; second < 20; second += 4) {
      await clock.pass(4_000);
      await client.sendNow("E");
      expect(client.closed).toBe(false);
    }
    await passesAt(clock, 4_000, client);
    expect(readResponses((await client.whenClosed()).text)[0]?.status).toBe(408);
    expect(server.refusals.items).toMatchObject([{ reason: "head-timeout" }]);
  });

  it("hold for each head on its own", async () => {
    await using server = await TestServer.start(answerTarget);
    using clock = new FakeClock();
    const client = await server.client();
    for (let i = 0; i < 4; i++) {
      await client.sendNow("GET / HTTP/1.1\r\n");
      await clock.pass(9_000);
      await client.clear().send("Host: a\r\n\r\n").until("\r\n\r\n/");
    }
    expect(server.refusals.items).toEqual([]);
  });

  it("hold for a head that came in part behind another request", async () => {
    await using server = await TestServer.start(answerTarget);
    using clock = new FakeClock();
    const client = await server.client();
    await client.send(`${get("/1")}GET /2 HT`).until("/1");
    await passesAt(clock, 10_000, client);
    expect(readResponses((await client.whenClosed()).text).map(({ status }) => status)).toEqual([200, 408]);
  });

  it("close one that is idle between requests after 75 s", async () => {
    await using server = await TestServer.start(answerTarget);
    using clock = new FakeClock();
    const client = await server.client();
    for (let i = 0; i < 3; i++) {
      await client.clear().send(get("/x")).until("/x");
      await clock.pass(70_000);
    }
    await passesAt(clock, 5_000, client);
    expect((await client.whenClosed()).reset).toBe(false);
    expect(server.refusals.items).toEqual([]);
  });

  it("leave a request alone that the handler takes its time for", async () => {
    await using server = await TestServer.start(() => {});
    using clock = new FakeClock();
    const client = await server.client();
    client.send(get("/late"));
    const session = await server.sessions.at(0);
    await clock.pass(3_600_000);
    answerTarget(session);
    await client.until("/late");
  });
});

describe("the idle time of a client that says its own", () => {
  it.each([
    ["timeout=5", 75_000],
    ["timeout=120", 125_000],
    ["max=100, timeout=120", 125_000],
    ["TIMEOUT=120", 125_000],
    ["timeout=999999", 600_000],
    ["timeout=9999999999999999999", 75_000],
    ["timeout=-5", 75_000],
    ["timeout", 75_000],
    ["xtimeout=300", 75_000],
  ])("in Keep-Alive: %s is %i ms", async (value, ms) => {
    await using server = await TestServer.start(answerTarget);
    using clock = new FakeClock();
    const client = await server.client();
    await client.send(get("/x", `Connection: keep-alive\r\nKeep-Alive: ${value}\r\n`)).until("/x");
    await passesAt(clock, ms, client);
    await client.whenClosed();
  });
});

describe("the time-outs of a request body", () => {
  it("answer 408 after 30 s of silence", async () => {
    await using server = await TestServer.start(readThenAnswer);
    using clock = new FakeClock();
    const client = await server.client();
    await client.sendNow(post("12345678", "Connection: keep-alive\r\n").slice(0, -3));
    await passesAt(clock, 30_000, client);
    const [response] = readResponses((await client.whenClosed()).text);
    expect(response?.status).toBe(408);
    expect(response?.headers.get("connection")).toBe("close");
    expect(server.refusals.items).toMatchObject([{ reason: "body-timeout", status: 408 }]);
  });

  it("answer 408 to a body that is slower than 100 bytes a second once 30 s have passed", async () => {
    await using server = await TestServer.start(readThenAnswer);
    using clock = new FakeClock();
    const client = await server.client();
    await client.sendNow(postChunks(""));
    for (let second = 0; second <= 28; second += 4) {
      await client.sendNow("1\r\nx\r\n");
      await clock.pass(4_000);
      expect(client.text).toBe("");
    }
    client.send("1\r\nx\r\n");
    expect(readResponses((await client.whenClosed()).text)[0]?.status).toBe(408);
    expect(server.refusals.items).toMatchObject([{ reason: "body-timeout" }]);
  });

  it("let a body take as long as it wants that is faster than that", async () => {
    await using server = await TestServer.start(readThenAnswer);
    using clock = new FakeClock();
    const client = await server.client();
    await client.sendNow(postChunks(""));
    for (let second = 0; second < 200; second += 10) {
      await client.sendNow(`3e8\r\n${"x".repeat(1000)}\r\n`);
      await clock.pass(9_900);
    }
    await client.send("0\r\n\r\n").until(/x{1000}$/);
    expect(server.refusals.items).toEqual([]);
  });

  it("do not hold against the client how long the reader paused", async () => {
    await using server = await TestServer.start(() => {});
    using clock = new FakeClock();
    const client = await server.client();
    await client.sendNow(post("12345678").slice(0, -3));
    const session = await server.sessions.at(0);
    const sink = new CollectingSink();
    session.readBody(sink);
    session.pauseBody();
    await clock.pass(3_600_000);
    session.resumeBody();
    await clock.pass(29_000);
    client.send("678");
    expect((await sink.body()).text).toBe("12345678");
    expect(server.refusals.items).toEqual([]);
  });

  it("do not run while nobody reads it", async () => {
    await using server = await TestServer.start(() => {});
    using clock = new FakeClock();
    const client = await server.client();
    await client.sendNow(post("12345678").slice(0, -3));
    const session = await server.sessions.at(0);
    await clock.pass(3_600_000);
    const sink = new CollectingSink();
    session.readBody(sink);
    client.send("678");
    expect((await sink.body()).text).toBe("12345678");
  });

  it("can be set, and switched off", async () => {
    await using server = await TestServer.start(readThenAnswer, { bodyTimeoutMs: 100, minimumBodyRate: 0 });
    await using patient = await TestServer.start(readThenAnswer, { bodyTimeoutMs: Number.POSITIVE_INFINITY });
    using clock = new FakeClock();
    const dripping = await server.client();
    const silent = await patient.client();
    await dripping.sendNow(postChunks(""));
    await silent.sendNow(post("12345678").slice(0, -3));
    for (let i = 0; i < 10; i++) {
      await dripping.sendNow("1\r\nx\r\n");
      await clock.pass(90);
    }
    expect(dripping.text).toBe("");
    await clock.pass(86_400_000);
    expect(readResponses(dripping.text)[0]?.status).toBe(408);
    await silent.send("678").until("12345678");
  });
});

describe("the time-out of a response", () => {
  it("cuts a client that takes nothing for 60 s, by a reset", async () => {
    await using server = await TestServer.start(() => {});
    using clock = new FakeClock();
    const client = await server.client();
    client.socket.pause();
    client.send(get());
    const session = await server.sessions.at(0);
    session.writeHead(new ResponseHead(200), false);
    await fill(session);
    await passesAt(clock, 60_000, client);
    expect(await server.aborts.at(0)).toMatchObject({ code: "WriteTimedout", source: "downstream" });
    expect(server.refusals.items).toMatchObject([{ reason: "write-timeout", status: undefined }]);
    await server.closed.count(1);
    client.socket.resume();
    expect((await client.whenClosed()).reset).toBe(true);
  });

  it("does not cut one that takes a little now and then, of a large piece", async () => {
    await using server = await TestServer.start(() => {});
    using clock = new FakeClock();
    const client = await server.client();
    client.socket.pause();
    client.send(get());
    const session = await server.sessions.at(0);
    const length = 24 * 1024 * 1024; // more than the kernel takes
    session.writeHead(new ResponseHead(200, { "content-length": String(length) }), false);
    session.write(Buffer.alloc(length));
    session.end();
    const connection = server.connections[0]?.connection;
    for (let i = 0; i < 4; i++) {
      await clock.pass(50_000);
      const unsent = connection?.unsentBytes;
      expect(unsent).toBeGreaterThan(0);
      client.socket.resume();
      // What the client takes shows only once there is room in the kernel's buffers.
      while (connection?.unsentBytes === unsent) await client.bytes(client.text.length + 1);
      client.socket.pause();
      await settled();
    }
    client.socket.resume();
    await client.bytes(length);
    expect(server.refusals.items).toEqual([]);
  });

  it("is reset by what the client takes", async () => {
    await using server = await TestServer.start(() => {});
    using clock = new FakeClock();
    const client = await server.client();
    client.socket.pause();
    client.send(get());
    const session = await server.sessions.at(0);
    const writable = new Promise<void>((resolve) => {
      session.observer = { onWritable: resolve, onAbort: (error) => server.aborts.add(error) };
    });
    session.writeHead(new ResponseHead(200), false);
    await fill(session);
    await clock.pass(59_000);
    client.socket.resume();
    await writable;
    await clock.pass(3_600_000);
    session.end();
    await client.until(/0\r\n\r\n$/);
    expect(server.aborts.items).toEqual([]);
  });
});

/** Writes until the client has to read before there is room. */
async function fill(session: ServerSession): Promise<void> {
  while (session.write(Buffer.alloc(64 * 1024))) await settled();
}

function readThenAnswer(session: ServerSession): void {
  const sink = new CollectingSink();
  session.readBody(sink);
  sink.body().then(
    ({ text }) => answer(session, text),
    (error: CirqueError) => answer(session, "", error.status),
  );
}
