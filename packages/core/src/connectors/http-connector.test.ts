import { describe, expect, it } from "vitest";
import { FakeClock } from "../../test/wire/fake-clock.ts";
import { type RawPeer, settled } from "../../test/wire/raw-peer.ts";
import { ask, requestHead, sized, TestOrigin } from "../../test/wire/test-origin.ts";
import { CirqueError } from "../errors/cirque-error.ts";
import type { Http1ClientSession } from "../http1/client-session.ts";
import { MetricsRegistry } from "../observability/metrics-registry.ts";
import { HttpConnector, type HttpConnectorOptions } from "./http-connector.ts";
import type { HttpPeer } from "./http-peer.ts";

/** One whole exchange on a session, which is then given back. */
async function exchange(
  test: TestOrigin,
  session: Http1ClientSession,
  origin: RawPeer,
  peer: HttpPeer = test.peer(),
  lines = "",
): Promise<void> {
  const response = ask(session);
  await origin.until("\r\n\r\n");
  origin.clear().send(sized("hello", lines));
  await (await response).sink.body();
  test.connector.release(session, peer);
}

/** So many kept connections, in the order in which they were given back. */
async function kept(test: TestOrigin, count: number, peer: HttpPeer = test.peer()): Promise<Http1ClientSession[]> {
  const first = test.connections.length;
  const sessions = await Promise.all(Array.from({ length: count }, () => test.session(peer)));
  await test.connections.count(first + count);
  for (const session of sessions) {
    const port = Number(session.localAddress.split(":")[1]);
    const origin = test.connections.items.find(({ socket }) => socket.remotePort === port);
    if (origin === undefined) throw new Error("no such connection");
    await exchange(test, session, origin, peer);
  }
  return sessions;
}

describe("HttpConnector (POOL-14)", () => {
  it("connects when nothing is kept, and at once hands out what is", async () => {
    await using test = await TestOrigin.start();
    const { session, origin } = await test.connected();
    expect(session.reused).toBe(false);
    expect(session.remoteAddress).toBe(test.address);
    expect(session.localAddress).toBe(`127.0.0.1:${origin.socket.remotePort}`);
    await exchange(test, session, origin);
    expect(test.connector.idleConnections).toBe(1);
    for (let i = 0; i < 3; i++) {
      const again = test.connector.session(test.peer());
      expect(again).toBe(session);
      expect(session.reused).toBe(true);
      expect(test.connector.idleConnections).toBe(0);
      await exchange(test, session, origin);
    }
    expect(test.connections.length).toBe(1);
  });

  it("takes what was given back last, first (POOL-07)", async () => {
    await using test = await TestOrigin.start();
    const sessions = await kept(test, 3);
    expect(test.connector.idleConnections).toBe(3);
    for (const expected of sessions.toReversed()) expect(await test.session()).toBe(expected);
    expect((await test.session()).reused).toBe(false);
  });

  it("makes a new connection when told that a kept one will not do", async () => {
    await using test = await TestOrigin.start();
    const [session] = await kept(test, 1);
    const fresh = await test.connector.session(test.peer(), true);
    expect(fresh).not.toBe(session);
    expect(fresh.reused).toBe(false);
    expect(test.connector.idleConnections).toBe(1);
  });

  it("does not share between peers that must not", async () => {
    await using test = await TestOrigin.start();
    await kept(test, 1, test.peer({ groupKey: "a" }));
    for (const peer of [test.peer(), test.peer({ groupKey: "b" }), test.peer({ localAddress: "127.0.0.1" })]) {
      expect((await test.session(peer)).reused).toBe(false);
    }
    expect((await test.session(test.peer({ groupKey: "a" }))).reused).toBe(true);
  });

  it.each<[string, HttpConnectorOptions, number]>([
    ["of one peer", { poolSize: 2 }, 2],
    ["in all", { totalPoolSize: 3 }, 3],
    ["none", { poolSize: 0 }, 0],
  ])("keeps a bounded number %s (POOL-06)", async (_, options, count) => {
    await using test = await TestOrigin.start(options);
    const sessions = await kept(test, 4);
    expect(test.connector.idleConnections).toBe(count);
    expect(sessions.map(({ connection }) => connection.closed)).toEqual(
      sessions.map((_session, index) => index < sessions.length - count),
    );
  });
});

describe("a kept connection", () => {
  it("is closed when it was idle for 60 s, or what the peer says (PO-06)", async () => {
    await using test = await TestOrigin.start();
    using clock = new FakeClock();
    await kept(test, 1);
    await kept(test, 1, test.peer({ idleTimeoutMs: 1_000, groupKey: "short" }));
    await kept(test, 1, test.peer({ idleTimeoutMs: Number.POSITIVE_INFINITY, groupKey: "long" }));
    await clock.pass(990);
    expect(test.connector.idleConnections).toBe(3);
    await clock.pass(20);
    expect(test.connector.idleConnections).toBe(2);
    await clock.pass(58_900);
    expect(test.connector.idleConnections).toBe(2);
    await clock.pass(100);
    expect(test.connector.idleConnections).toBe(1);
    await clock.pass(86_400_000);
    expect(test.connector.idleConnections).toBe(1);
    expect(test.connections.items.map(({ ended }) => ended)).toEqual([true, true, false]);
  });

  it("has no time-out of the exchange before", async () => {
    await using test = await TestOrigin.start();
    using clock = new FakeClock();
    await kept(test, 1, test.peer({ readTimeoutMs: 100 }));
    await clock.pass(50_000);
    expect(test.connector.idleConnections).toBe(1);
    const session = await test.session();
    await clock.pass(3_600_000);
    expect(session.connection.closed).toBe(false);
  });

  it("is not kept with an idle time-out of 0 (PO-06)", async () => {
    await using test = await TestOrigin.start();
    const [session] = await kept(test, 1, test.peer({ idleTimeoutMs: 0 }));
    expect(test.connector.idleConnections).toBe(0);
    expect(session?.connection.closed).toBe(true);
  });

  it.each([
    ["timeout=5", 4_000],
    ["max=100, timeout=5", 4_000],
    ["timeout=1", 500],
    ["timeout=120", 60_000],
    ["max=5", 60_000],
    ["timeout=soon", 60_000],
  ])("is closed a little before the origin does, which says Keep-Alive: %s (POOL-11)", async (value, ms) => {
    await using test = await TestOrigin.start();
    using clock = new FakeClock();
    const { session, origin } = await test.connected();
    await exchange(test, session, origin, test.peer(), `Keep-Alive: ${value}\r\n`);
    await clock.pass(ms - 10);
    expect(test.connector.idleConnections).toBe(1);
    await clock.pass(20);
    expect(test.connector.idleConnections).toBe(0);
  });

  it("is not kept when the origin says that it does not", async () => {
    await using test = await TestOrigin.start();
    const { session, origin } = await test.connected();
    await exchange(test, session, origin, test.peer(), "Keep-Alive: timeout=0\r\n");
    expect(test.connector.idleConnections).toBe(0);
  });

  it("goes by what the origin said last", async () => {
    await using test = await TestOrigin.start();
    using clock = new FakeClock();
    const { session, origin } = await test.connected();
    await exchange(test, session, origin, test.peer(), "Keep-Alive: timeout=5\r\n");
    expect(await test.session()).toBe(session);
    await exchange(test, session, origin);
    await clock.pass(50_000);
    expect(test.connector.idleConnections).toBe(1);
  });

  it.each(["end", "reset"] as const)("that the origin closes (%s) is forgotten (POOL-08)", async (how) => {
    await using test = await TestOrigin.start();
    const { session, origin } = await test.connected();
    await exchange(test, session, origin);
    origin[how]();
    await settled();
    expect(test.connector.idleConnections).toBe(0);
    expect(session.connection.closed).toBe(true);
    expect((await test.session()).reused).toBe(false);
    expect(test.connector.unexpectedDataConnections).toBe(0);
  });

  it("that the origin sends something on unasked is closed, and counted (POOL-04, POOL-05)", async () => {
    const metrics = new MetricsRegistry();
    await using test = await TestOrigin.start({ metrics });
    const { session, origin } = await test.connected();
    await exchange(test, session, origin);
    await origin.sendNow(sized("poison"));
    await settled();
    expect(test.connector.idleConnections).toBe(0);
    expect(test.connector.unexpectedDataConnections).toBe(1);
    expect(await metrics.exposition()).toMatch(/^cirque_upstream_unexpected_data_total 1$/m);
    await origin.whenClosed();
    const next = await test.session();
    expect(next.reused).toBe(false);
  });

  it("counts connections that were opened and reused", async () => {
    const metrics = new MetricsRegistry();
    await using test = await TestOrigin.start({ metrics });
    const { session, origin } = await test.connected();
    for (let i = 0; i < 3; i++) {
      await exchange(test, session, origin);
      await test.session();
    }
    const text = await metrics.exposition();
    expect(text).toMatch(/^cirque_upstream_connections_opened_total 1$/m);
    expect(text).toMatch(/^cirque_upstream_connections_reused_total 3$/m);
  });
});

describe("a connection is closed, and not kept (POOL-10)", () => {
  it.each<[string, (session: Http1ClientSession, origin: RawPeer) => Promise<void>]>([
    ["when nothing was sent on it", async () => {}],
    [
      "when the request was not sent whole",
      async (session, origin) => {
        session.writeHead(requestHead("POST"), true);
        session.write(Buffer.from("some"));
        await origin.until("some");
        origin.send(sized("early"));
        const head = session.readHead();
        await head;
      },
    ],
    [
      "when the response was not read whole",
      async (session, origin) => {
        const response = ask(session);
        await origin.until("\r\n\r\n");
        origin.send(sized("hello").slice(0, -1));
        await response;
      },
    ],
    [
      "when the head was read and the body not",
      async (session, origin) => {
        session.writeHead(requestHead(), false);
        await origin.until("\r\n\r\n");
        origin.send(sized("hello"));
        await session.readHead();
      },
    ],
    [
      "when only an interim response came",
      async (session, origin) => {
        session.writeHead(requestHead(), false);
        await origin.until("\r\n\r\n");
        origin.send("HTTP/1.1 103 Early Hints\r\n\r\n");
        await session.readHead();
      },
    ],
    [
      "when the origin says that it closes",
      async (session, origin) => {
        const response = ask(session);
        await origin.until("\r\n\r\n");
        origin.send(sized("hello", "Connection: close\r\n"));
        await (await response).sink.body();
      },
    ],
    [
      "when the exchange was aborted",
      async (session) => {
        session.abort(CirqueError.internal("InternalError", "given up"));
      },
    ],
  ])("%s", async (_, happens) => {
    await using test = await TestOrigin.start();
    const { session, origin, peer } = await test.connected();
    await happens(session, origin);
    test.connector.release(session, peer);
    expect(test.connector.idleConnections).toBe(0);
    await origin.whenClosed();
  });

  it("and a tunnel that has ended gives the origin all that was written", async () => {
    await using test = await TestOrigin.start();
    const { session, origin, peer } = await test.connected();
    session.writeHead(requestHead("GET", { upgrade: "example/1" }), false);
    await origin.until("\r\n\r\n");
    origin.clear().socket.pause();
    origin.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: example/1\r\nConnection: Upgrade\r\n\r\n").end();
    await session.readHead();
    session.upgrade();
    session.readBody({ onData() {}, onEnd() {}, onError() {} });
    await settled();
    const length = 24 * 1024 * 1024; // more than the kernel takes
    session.write(Buffer.alloc(length));
    session.end();
    test.connector.release(session, peer);
    await settled();
    origin.socket.resume();
    expect((await origin.whenClosed()).text.length).toBe(length);
  });
});

describe("closing a connector", () => {
  it("closes what is idle, and keeps nothing from there on", async () => {
    await using test = await TestOrigin.start();
    const [idle] = await kept(test, 1);
    const { session: busy, origin } = await test.connected({ groupKey: "busy" });
    test.connector.close();
    expect(idle?.connection.closed).toBe(true);
    expect(test.connector.idleConnections).toBe(0);
    await exchange(test, busy, origin);
    expect(busy.connection.closed).toBe(true);
    expect(test.connector.idleConnections).toBe(0);
    test.connector.close();
  });
});

it("a connector refuses limits and sizes that would bound nothing", () => {
  expect(() => new HttpConnector({ limits: { headBytes: 0 } })).toThrow(/headBytes/);
  expect(() => new HttpConnector({ poolSize: Number.NaN })).toThrow(RangeError);
});

describe("a Content-Length that is no number (PO-19)", () => {
  /** The response to one request, with these lines in it. */
  async function answered(lines: string, ignoreInvalidContentLength?: boolean) {
    const test = await TestOrigin.start();
    const options = ignoreInvalidContentLength === undefined ? {} : { ignoreInvalidContentLength };
    const { session, origin } = await test.connected(options);
    const response = ask(session);
    await origin.until("\r\n\r\n");
    origin.send(`HTTP/1.1 200 OK\r\n${lines}\r\nall of it`).end();
    return { response, session, [Symbol.asyncDispose]: () => test[Symbol.asyncDispose]() };
  }

  it("is ignored where the peer says so: the body lasts until the origin closes, and the field is not sent on", async () => {
    await using exchanged = await answered("Content-Length: many\r\n", true);
    const { head, sink } = await exchanged.response;
    expect(head.headers.has("content-length")).toBe(false);
    expect((await sink.body()).text).toBe("all of it");
    expect(exchanged.session.reusable).toBe(false);
  });

  it.each([
    ["Content-Length: many\r\n", undefined],
    ["Content-Length: 9, 9\r\n", true],
    ["Content-Length: many\r\nContent-Length: 9\r\n", true],
    ["Content-Length: many\r\nTransfer-Encoding: chunked\r\n", true],
  ])("is refused otherwise: %j", async (lines, ignore) => {
    await using exchanged = await answered(lines, ignore);
    await expect(exchanged.response).rejects.toMatchObject({ code: "InvalidHTTPHeader" });
  });
});
