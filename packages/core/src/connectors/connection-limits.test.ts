import { describe, expect, it } from "vitest";
import { FakeClock } from "../../test/wire/fake-clock.ts";
import { type RawPeer, settled } from "../../test/wire/raw-peer.ts";
import { ask, sized, TestOrigin } from "../../test/wire/test-origin.ts";
import { CirqueError } from "../errors/cirque-error.ts";
import type { Http1ClientSession } from "../http1/client-session.ts";
import { MetricsRegistry } from "../observability/metrics-registry.ts";
import type { PeerOptions } from "./peer-options.ts";

/** Sends a request and its response. */
async function exchange(session: Http1ClientSession, origin: RawPeer): Promise<void> {
  const response = ask(session);
  await origin.until("\r\n\r\n");
  origin.clear().send(sized("hello"));
  await (await response).sink.body();
}

/** A session of its own for each of the callers, and what they got so far, in order. */
function waiting(test: TestOrigin, options: PeerOptions, names: readonly string[]) {
  const got: string[] = [];
  const sessions = names.map(async (name) => {
    const session = await test.session(test.peer(options));
    got.push(name);
    return session;
  });
  for (const session of sessions) session.catch(() => {});
  return { got, sessions };
}

const ONE: PeerOptions = { maxConnections: 1 };

describe("maxConnections (POOL-12)", () => {
  it("is how many connections there are at once; a kept one goes to who came first", async () => {
    await using test = await TestOrigin.start();
    const { session, origin } = await test.connected(ONE);
    const { got, sessions } = waiting(test, ONE, ["first", "second", "third"]);
    await settled();
    expect(test.connector.pendingRequests).toBe(3);
    let current = session;
    for (const next of sessions) {
      await exchange(current, origin);
      test.connector.release(current, test.peer(ONE));
      current = await next;
      expect(current.reused).toBe(true);
    }
    expect(got).toEqual(["first", "second", "third"]);
    expect(test.connections.length).toBe(1);
    expect(test.connector.pendingRequests).toBe(0);
    expect(test.connector.idleConnections).toBe(0);
  });

  it("makes another when one has broken, or could not be kept", async () => {
    await using test = await TestOrigin.start();
    const { session } = await test.connected(ONE);
    const { sessions } = waiting(test, ONE, ["first", "second"]);
    await settled();
    session.abort(CirqueError.internal("InternalError", "given up"));
    const first = (await sessions[0]) as Http1ClientSession;
    expect(first.reused).toBe(false);
    const origin = await test.connections.at(1);
    origin.reset();
    expect(((await sessions[1]) as Http1ClientSession).reused).toBe(false);
    await test.connections.count(3);
  });

  it("frees the place of a connection that could not be made", async () => {
    await using test = await TestOrigin.start();
    const options: PeerOptions = { ...ONE, tls: true, verifyCert: false };
    const connecting = Promise.resolve(test.connector.session(test.peer(options)));
    connecting.catch(() => {});
    const { sessions } = waiting(test, ONE, ["next"]);
    (await test.connections.at(0)).end();
    await expect(connecting).rejects.toMatchObject({ code: "TLSHandshakeFailure" });
    expect((await sessions[0])?.reused).toBe(false);
    expect(test.connections.length).toBe(2);
  });

  it("counts by address, whatever else differs; an idle connection of another kind makes room", async () => {
    await using test = await TestOrigin.start();
    const a = { ...ONE, groupKey: "a" };
    const { session, origin } = await test.connected(a);
    await exchange(session, origin);
    test.connector.release(session, test.peer(a));
    expect(test.connector.idleConnections).toBe(1);
    const other = await test.session(test.peer({ ...ONE, groupKey: "b" }));
    expect(other.reused).toBe(false);
    expect(session.connection.closed).toBe(true);
    expect(test.connector.idleConnections).toBe(0);
  });

  it("makes room for one who may not wait, too", async () => {
    await using test = await TestOrigin.start();
    const options = { ...ONE, maxPendingRequests: 0 };
    const { session, origin } = await test.connected({ ...options, groupKey: "a" });
    await exchange(session, origin);
    test.connector.release(session, test.peer({ ...options, groupKey: "a" }));
    const other = await test.session(test.peer(options));
    expect(other.reused).toBe(false);
    await expect(test.session(test.peer(options))).rejects.toMatchObject({ code: "ConnectionLimitReached" });
  });

  it("may be lower than it was, or higher", async () => {
    await using test = await TestOrigin.start();
    const { session: one } = await test.connected({ maxConnections: 2 });
    const { session: two } = await test.connected({ maxConnections: 2 });
    const { got, sessions } = waiting(test, ONE, ["lower"]);
    one.abort(CirqueError.internal("InternalError", "given up"));
    await settled();
    expect(got).toEqual([]);
    two.abort(CirqueError.internal("InternalError", "given up"));
    await sessions[0];
    await test.connected({ maxConnections: 2 });
    await expect(test.session(test.peer({ maxConnections: 2, maxPendingRequests: 0 }))).rejects.toMatchObject({
      code: "ConnectionLimitReached",
    });
  });

  it("closes a connection that is given back when the first in line cannot use it", async () => {
    await using test = await TestOrigin.start();
    const a = { ...ONE, groupKey: "a" };
    const { session, origin } = await test.connected(a);
    const { sessions } = waiting(test, { ...ONE, groupKey: "b" }, ["of b"]);
    const third = waiting(test, a, ["of a"]);
    await settled();
    await exchange(session, origin);
    test.connector.release(session, test.peer(a));
    const ofB = (await sessions[0]) as Http1ClientSession;
    expect(ofB.reused).toBe(false);
    expect(third.got).toEqual([]);
    expect(session.connection.closed).toBe(true);
  });

  it("gives one who needs a fresh connection no other", async () => {
    await using test = await TestOrigin.start();
    const { session, origin } = await test.connected(ONE);
    await exchange(session, origin);
    test.connector.release(session, test.peer(ONE));
    const fresh = (await test.connector.session(test.peer(ONE), true)) as Http1ClientSession;
    expect(fresh.reused).toBe(false);
    expect(session.connection.closed).toBe(true);
  });

  it("lets one who leaves leave the line", async () => {
    await using test = await TestOrigin.start();
    const { session, origin } = await test.connected(ONE);
    const leaver = new AbortController();
    const left = Promise.resolve(test.connector.session(test.peer(ONE), false, leaver.signal));
    left.catch(() => {});
    const { sessions } = waiting(test, ONE, ["stays"]);
    await settled();
    leaver.abort(CirqueError.downstream("ConnectionClosed", "the client has gone"));
    await expect(left).rejects.toMatchObject({ code: "ConnectionClosed", source: "downstream" });
    expect(test.connector.pendingRequests).toBe(1);
    await exchange(session, origin);
    test.connector.release(session, test.peer(ONE));
    expect(await sessions[0]).toBe(session);
    await expect(test.connector.session(test.peer(ONE), false, leaver.signal)).rejects.toMatchObject({
      code: "ConnectionClosed",
    });
  });

  it("lets so many wait and no more, and no one for longer than 5 s", async () => {
    await using test = await TestOrigin.start();
    using clock = new FakeClock();
    const options = { ...ONE, maxPendingRequests: 2 };
    await test.connected(options);
    const { sessions } = waiting(test, options, ["first", "second"]);
    await expect(test.session(test.peer(options))).rejects.toMatchObject({
      code: "ConnectionLimitReached",
      source: "upstream",
      retry: true,
      context: { peer: test.address, maxConnections: 1 },
    });
    await clock.pass(4_990);
    expect(test.connector.pendingRequests).toBe(2);
    await clock.pass(20);
    for (const session of sessions) {
      await expect(session).rejects.toMatchObject({ code: "ConnectionLimitTimedout", retry: false });
    }
    expect(test.connector.pendingRequests).toBe(0);
  });

  it("waits within the total time, which the rest of connecting has to keep as well (PO-03)", async () => {
    await using test = await TestOrigin.start();
    using clock = new FakeClock();
    const { session } = await test.connected(ONE);
    const options = { ...ONE, totalConnectionTimeoutMs: 1_000, tls: true, verifyCert: false };
    const { sessions } = waiting(test, options, ["waits"]);
    await clock.pass(900);
    session.abort(CirqueError.internal("InternalError", "given up"));
    // Its connection is there, but nobody answers the handshake.
    await test.connections.count(2);
    await clock.pass(110);
    await expect(sessions[0]).rejects.toMatchObject({ code: "TLSHandshakeTimedout" });
  });

  it("shows in the metrics", async () => {
    const metrics = new MetricsRegistry();
    await using test = await TestOrigin.start({ metrics });
    using clock = new FakeClock();
    const options = { ...ONE, maxPendingRequests: 1, pendingTimeoutMs: 100 };
    await test.connected(options);
    const { sessions } = waiting(test, options, ["waits"]);
    await expect(test.session(test.peer(options))).rejects.toMatchObject({ code: "ConnectionLimitReached" });
    expect(await metrics.exposition()).toMatch(/^cirque_upstream_requests_pending 1$/m);
    await clock.pass(110);
    await expect(sessions[0]).rejects.toMatchObject({ code: "ConnectionLimitTimedout" });
    const text = await metrics.exposition();
    expect(text).toMatch(/^cirque_upstream_requests_pending 0$/m);
    expect(text).toMatch(/^cirque_upstream_connection_limit_failures_total 2$/m);
  });

  it("gets back what a peer without it has used meanwhile", async () => {
    await using test = await TestOrigin.start();
    const { session, origin } = await test.connected(ONE);
    await exchange(session, origin);
    test.connector.release(session, test.peer(ONE));
    const borrowed = await test.session();
    expect(borrowed).toBe(session);
    const { sessions } = waiting(test, ONE, ["waits"]);
    await settled();
    await exchange(session, origin);
    test.connector.release(session, test.peer());
    expect(await sessions[0]).toBe(session);
  });

  it("has no say over peers without it", async () => {
    await using test = await TestOrigin.start();
    await test.connected(ONE);
    for (let i = 0; i < 5; i++) await test.connected();
    expect(test.connections.length).toBe(6);
  });

  it("keeps no more of an address than its connections", async () => {
    await using test = await TestOrigin.start();
    for (let i = 0; i < 50; i++) {
      const { session, origin } = await test.connected({ maxConnections: 2, groupKey: String(i) });
      await exchange(session, origin);
      test.connector.release(session, test.peer({ maxConnections: 2, groupKey: String(i) }));
      await settled();
    }
    expect(test.connector.idleConnections).toBe(2);
    expect(test.connections.items.filter(({ closed, ended }) => !closed && !ended)).toHaveLength(2);
  });

  it.each([0, -1, Number.NaN])("is refused when it is %d", async (maxConnections) => {
    await using test = await TestOrigin.start();
    expect(() => test.peer({ maxConnections })).toThrow(/maxConnections/);
  });

  it("holds when hundreds of callers come, leave and fail", async () => {
    await using test = await TestOrigin.start();
    const options = { maxConnections: 4 };
    let open = 0;
    let most = 0;
    const callers = Array.from({ length: 200 }, async (_, i) => {
      const leaver = new AbortController();
      if (i % 5 === 0) setImmediate(() => leaver.abort());
      const session = (await test.connector.session(
        test.peer(options),
        i % 3 === 0,
        leaver.signal,
      )) as Http1ClientSession;
      most = Math.max(most, ++open);
      await settled();
      open--;
      session.abort(CirqueError.internal("InternalError", "done"));
    });
    await Promise.allSettled(callers);
    expect(most).toBe(4);
    expect(test.connector.pendingRequests).toBe(0);
    await settled();
    expect((await test.connected(options)).session.reused).toBe(false);
  });
});

describe("preconnect (POOL-13)", () => {
  it("makes connections that requests find, as if they had been kept", async () => {
    await using test = await TestOrigin.start();
    expect(await test.connector.preconnect(test.peer(), 3)).toBe(3);
    expect(test.connector.idleConnections).toBe(3);
    await test.connections.count(3);
    const session = test.connector.session(test.peer()) as Http1ClientSession;
    expect(session.reused).toBe(true);
    const index = test.connections.items.findIndex(({ text }) => text !== "");
    expect(index).toBe(-1);
    const response = ask(session);
    await settled();
    const origin = test.connections.items.find(({ text }) => text !== "") as RawPeer;
    origin.send(sized("hello"));
    expect((await (await response).sink.body()).text).toBe("hello");
    expect(test.connections.length).toBe(3);
  });

  it("makes no more than are kept, or may be", async () => {
    await using test = await TestOrigin.start({ poolSize: 2 });
    expect(await test.connector.preconnect(test.peer(), 10)).toBe(2);
    const limited = test.peer({ maxConnections: 1, groupKey: "limited" });
    expect(await test.connector.preconnect(limited, 10)).toBe(1);
    expect(await test.connector.preconnect(limited, 10)).toBe(0);
    await settled();
    expect(test.connections.length).toBe(3);
  });

  it("closes what the origin closes, or sends something on, before the first request", async () => {
    await using test = await TestOrigin.start();
    await test.connector.preconnect(test.peer(), 2);
    const [one, two] = await test.connections.count(2);
    one?.end();
    two?.send("HTTP/1.1 408 Too slow\r\n\r\n");
    await settled();
    expect(test.connector.idleConnections).toBe(0);
    expect(test.connector.unexpectedDataConnections).toBe(1);
  });

  it("fails when none could be made, and for a count that is none", async () => {
    const test = await TestOrigin.start();
    const peer = test.peer();
    for (const count of [0, -1, 1.5, Number.NaN]) {
      await expect(test.connector.preconnect(peer, count)).rejects.toMatchObject({ code: "InvalidArgument" });
    }
    await test[Symbol.asyncDispose]();
    await expect(test.connector.preconnect(peer, 2)).rejects.toMatchObject({ code: "ConnectRefused" });
  });
});
