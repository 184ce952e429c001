import { createHash, randomBytes } from "node:crypto";
import { Peer } from "@cirque/core";
import { expect, it } from "vitest";
import { refusingAddress, Upstream } from "./harness/end-point.ts";
import { TestTcpProxy } from "./harness/test-tcp-proxy.ts";

it("carries bytes both ways, counts them, and ends when both sides have", async () => {
  await using upstream = await Upstream.start();
  await using proxy = await TestTcpProxy.start({ upstreamPeer: () => new Peer(upstream.address) });
  using client = await proxy.connect();
  client.send("ping");
  const peer = await upstream.next();
  await peer.until("ping");
  peer.send("pong!");
  await client.until("pong!");
  client.end();
  await peer.whenEnded();
  peer.end();
  await client.whenClosed();
  const { session, error } = await proxy.over();
  expect(error).toBeUndefined();
  expect(session).toMatchObject({ uploadBytes: 4, downloadBytes: 5, attempts: 1 });
  expect(session.clientAddress).toMatch(/^127\.0\.0\.1:\d+$/);
  expect(session.serverAddress).toBe(`127.0.0.1:${proxy.port}`);
  expect(session.connectMs).toBeLessThanOrEqual(session.durationMs ?? 0);
  const text = await proxy.metrics.exposition();
  expect(text).toMatch(/^cirque_tcp_connections_total\{service="TCP proxy"\} 1$/m);
  expect(text).toMatch(/^cirque_tcp_connections_active\{service="TCP proxy"\} 0$/m);
  expect(text).toMatch(/^cirque_tcp_bytes_total\{(?=.*direction="upload").*\} 4$/m);
  expect(text).toMatch(/^cirque_tcp_bytes_total\{(?=.*direction="download").*\} 5$/m);
  expect(text).toMatch(/^cirque_tcp_connection_duration_seconds_count\{.*\} 1$/m);
  expect(text).not.toContain("cirque_tcp_failures_total");
});

it("lets a peer speak first", async () => {
  await using upstream = await Upstream.start("220 welcome\r\n");
  await using proxy = await TestTcpProxy.start({
    upstreamPeer: () => new Peer(upstream.address),
    connected: () => new Promise<void>((resolve) => setImmediate(() => setImmediate(resolve))),
  });
  using client = await proxy.connect();
  expect(await client.until("\n")).toBe("220 welcome\r\n");
});

it.each(["client", "upstream"])("keeps what remains open when the %s ends its half", async (first) => {
  await using upstream = await Upstream.start();
  await using proxy = await TestTcpProxy.start({ upstreamPeer: () => new Peer(upstream.address) });
  using client = await proxy.connect();
  const peer = await upstream.next();
  const [early, late] = first === "client" ? [client, peer] : [peer, client];
  early.send("question").end();
  expect(await late.whenEnded()).toBe("question");
  late.send("an answer, ");
  await early.until("answer");
  late.send("and more").end();
  expect(await early.whenEnded()).toBe("an answer, and more");
  expect((await proxy.over()).error).toBeUndefined();
});

it("carries 32 MiB each way at once, unchanged", async () => {
  const length = 32 * 1024 * 1024;
  const [up, down] = [randomBytes(length), randomBytes(length)];
  await using upstream = await Upstream.start();
  await using proxy = await TestTcpProxy.start({ upstreamPeer: () => new Peer(upstream.address) });
  using client = await proxy.connect();
  const peer = await upstream.next();
  client.send(up).end();
  peer.send(down).end();
  const [atClient, atPeer] = await Promise.all([client.whenEnded(), peer.whenEnded()]);
  const digest = (data: Buffer): string => createHash("sha256").update(data).digest("hex");
  expect(digest(Buffer.from(atClient, "latin1"))).toBe(digest(down));
  expect(digest(Buffer.from(atPeer, "latin1"))).toBe(digest(up));
  const { session } = await proxy.over();
  expect(session).toMatchObject({ uploadBytes: length, downloadBytes: length });
});

it.each(["upload", "download"])("stops reading when the %s stands still, and goes on", async (direction) => {
  await using upstream = await Upstream.start();
  await using proxy = await TestTcpProxy.start({ upstreamPeer: () => new Peer(upstream.address) });
  using client = await proxy.connect();
  const peer = await upstream.next();
  const [source, sink] = direction === "upload" ? [client, peer] : [peer, client];
  sink.socket.pause();
  const piece = Buffer.alloc(1024 * 1024, "x");
  const total = 64;
  for (let index = 0; index < total; index++) source.send(piece);
  source.end();
  // What the source cannot get rid of stays the same: the proxy holds no more.
  let before = -1;
  let now = source.socket.writableLength;
  while (now !== before) {
    before = now;
    await new Promise((resolve) => setTimeout(resolve, 100));
    now = source.socket.writableLength;
  }
  expect(now).toBeGreaterThan(40 * 1024 * 1024);
  sink.socket.resume();
  expect((await sink.whenEnded()).length).toBe(total * piece.length);
});

it.each(["client", "upstream"])("passes a reset of the %s on as a reset", async (side) => {
  await using upstream = await Upstream.start();
  await using proxy = await TestTcpProxy.start({ upstreamPeer: () => new Peer(upstream.address) });
  using client = await proxy.connect();
  const peer = await upstream.next();
  client.send("x");
  await peer.until("x");
  const [broken, other] = side === "client" ? [client, peer] : [peer, client];
  broken.socket.resetAndDestroy();
  await other.whenClosed();
  expect(other.error?.code).toBe("ECONNRESET");
  const { error } = await proxy.over();
  expect(error).toMatchObject({ code: "ConnectionClosed", source: side === "client" ? "downstream" : "upstream" });
  expect(await proxy.metrics.exposition()).toMatch(
    new RegExp(`^cirque_tcp_failures_total\\{(?=.*reason="${side}-gone").*\\} 1$`, "m"),
  );
});

it("closes what is idle, and not what moves", async () => {
  await using upstream = await Upstream.start();
  await using proxy = await TestTcpProxy.start(
    { upstreamPeer: () => new Peer(upstream.address) },
    { idleTimeoutMs: 1_000 },
  );
  using idle = await proxy.connect();
  using busy = await proxy.connect();
  const beat = setInterval(() => busy.send("x"), 50);
  await idle.whenEnded();
  expect(idle.error).toBeUndefined();
  const { error } = await proxy.over();
  expect(error).toMatchObject({ code: "ReadTimedout", context: { reason: "idle" } });
  expect(busy.closed).toBe(false);
  clearInterval(beat);
});

it("resets an idle connection that one side has not got everything of", async () => {
  await using upstream = await Upstream.start();
  await using proxy = await TestTcpProxy.start(
    { upstreamPeer: () => new Peer(upstream.address) },
    { idleTimeoutMs: 200 },
  );
  using client = await proxy.connect();
  const peer = await upstream.next();
  client.socket.pause();
  peer.send(Buffer.alloc(32 * 1024 * 1024));
  const { error } = await proxy.over();
  expect(error?.context).toMatchObject({ reason: "idle" });
  client.socket.resume();
  await client.whenClosed();
  expect(client.reset).toBe(true);
});

it("resets, logs and counts a connection without a peer", async () => {
  await using proxy = await TestTcpProxy.start({ upstreamPeer: () => undefined });
  using client = await proxy.connect();
  await client.whenClosed();
  expect(client.reset).toBe(true);
  expect((await proxy.over()).error).toMatchObject({ code: "ConnectNoRoute", context: { reason: "no-peer" } });
  expect(proxy.logger.messages("warn")).toEqual(["a connection failed"]);
  expect(await proxy.metrics.exposition()).toMatch(/^cirque_tcp_failures_total\{(?=.*reason="no-peer").*\} 1$/m);
});

it.each([
  [
    "throws",
    () => {
      throw new Error("broken");
    },
  ],
  ["rejects", () => Promise.reject(new Error("broken"))],
] as const)("resets the one connection whose callback %s", async (_how, fail) => {
  await using upstream = await Upstream.start("hello");
  let first = true;
  await using proxy = await TestTcpProxy.start({
    upstreamPeer: () => {
      if (!first) return new Peer(upstream.address);
      first = false;
      return fail();
    },
  });
  using client = await proxy.connect();
  await client.whenClosed();
  expect(client.reset).toBe(true);
  expect((await proxy.over()).error).toMatchObject({ context: { reason: "callback" }, cause: { message: "broken" } });
  using next = await proxy.connect();
  await next.until("hello");
});

it("tries the next peer while none is reached, at most maxAttempts times", async () => {
  await using upstream = await Upstream.start("hello");
  const refusing = await refusingAddress();
  const seen: number[] = [];
  await using proxy = await TestTcpProxy.start({
    upstreamPeer: (session) => {
      seen.push(session.attempts);
      return new Peer(session.attempts < 2 ? refusing : upstream.address);
    },
  });
  using client = await proxy.connect();
  await client.until("hello");
  expect(seen).toEqual([0, 1, 2]);
  expect(await proxy.metrics.exposition()).toMatch(/^cirque_tcp_connect_retries_total\{.*\} 2$/m);

  await using hopeless = await TestTcpProxy.start({ upstreamPeer: () => new Peer(refusing) }, { maxAttempts: 2 });
  using refused = await hopeless.connect();
  await refused.whenClosed();
  const { session, error } = await hopeless.over();
  expect(session.attempts).toBe(2);
  expect(error).toMatchObject({ code: "ConnectRefused", context: { reason: "connect" } });
});

it("leaves it to failToConnect whether to try again", async () => {
  const refusing = await refusingAddress();
  await using proxy = await TestTcpProxy.start({
    upstreamPeer: () => new Peer(refusing),
    failToConnect: (_session, peer, _ctx, error) => {
      expect(peer.address).toBe(refusing);
      error.retry = false;
      return error;
    },
  });
  using client = await proxy.connect();
  await client.whenClosed();
  expect((await proxy.over()).session.attempts).toBe(1);
});

it("gives each connection a state of its own, and calls the callbacks in order", async () => {
  await using upstream = await Upstream.start();
  const order: string[] = [];
  let made = 0;
  await using proxy = await TestTcpProxy.start<{ id: number }>({
    newCtx: () => ({ id: ++made }),
    upstreamPeer: (_session, ctx) => {
      order.push(`peer ${ctx.id}`);
      return Promise.resolve(new Peer(upstream.address));
    },
    connected: (session, peer, ctx) => {
      expect(session.peer).toBe(peer);
      order.push(`connected ${ctx.id}`);
    },
    logging: (_session, error, ctx) => {
      order.push(`logging ${ctx.id} ${error?.code}`);
    },
  });
  for (const id of [1, 2]) {
    using client = await proxy.connect();
    const peer = await upstream.next();
    client.end();
    peer.end();
    await client.whenClosed();
    await proxy.over(id - 1);
  }
  expect(order).toEqual([1, 2].flatMap((id) => [`peer ${id}`, `connected ${id}`, `logging ${id} undefined`]));
});

it("logs each connection when it is asked to", async () => {
  await using upstream = await Upstream.start("hello");
  await using proxy = await TestTcpProxy.start({ upstreamPeer: () => new Peer(upstream.address) }, { accessLog: true });
  using client = await proxy.connect();
  await client.until("hello");
  const peer = await upstream.next();
  client.end();
  peer.end();
  await proxy.over();
  const [record] = proxy.logger.records.filter(({ level }) => level === "info");
  expect(record).toMatchObject({
    message: "connection",
    fields: {
      peer: upstream.address,
      attempts: 1,
      uploadBytes: 0,
      downloadBytes: 5,
      outcome: "ok",
      listener: "test:1",
    },
  });
  expect(record?.fields.durationMs).toBeGreaterThan(0);
});

it("drains: waits for open connections, and resets them when forced", async () => {
  await using upstream = await Upstream.start("hello");
  await using proxy = await TestTcpProxy.start({ upstreamPeer: () => new Peer(upstream.address) });
  using one = await proxy.connect();
  using two = await proxy.connect();
  await Promise.all([one.until("hello"), two.until("hello")]);
  const force = new AbortController();
  const drained = proxy.proxy.drain(force.signal);
  one.send("still served").end();
  const peers = [await upstream.next(), await upstream.next()];
  const served = await Promise.race(peers.map((peer) => peer.whenEnded().then(() => peer)));
  expect(served.text).toBe("still served");
  served.end();
  await one.whenClosed();
  force.abort();
  await drained;
  await two.whenClosed();
  expect(two.reset).toBe(true);
  expect(proxy.logged.map(({ error }) => error?.context.reason)).toEqual([undefined, "stopped"]);
});

it("does not wait for callbacks that never settle once it is forced", async () => {
  await using stuck = await TestTcpProxy.start({ upstreamPeer: () => new Promise<Peer>(() => {}) });
  using client = await stuck.connect();
  await new Promise(setImmediate);
  await stuck.proxy.drain(AbortSignal.abort());
  await client.whenClosed();
  await using silent = await TestTcpProxy.start({
    upstreamPeer: () => undefined,
    logging: () => new Promise<void>(() => {}),
  });
  using refused = await silent.connect();
  await refused.whenClosed();
  await silent.over();
  await silent.proxy.drain(AbortSignal.abort());
});

it("keeps the connections of two hundred clients apart", async () => {
  await using upstream = await Upstream.start();
  await using proxy = await TestTcpProxy.start({ upstreamPeer: () => new Peer(upstream.address) });
  const clients = await Promise.all(Array.from({ length: 200 }, () => proxy.connect()));
  const texts = clients.map((client, index) => {
    const text = `${index}:`.padEnd(1 + (index % 40) * 997, String.fromCharCode(97 + (index % 26)));
    client.send(text).end();
    return text;
  });
  const received = await Promise.all(
    clients.map(async () => {
      const peer = await upstream.next();
      const text = await peer.whenEnded();
      peer.send(text.toUpperCase()).end();
      return text;
    }),
  );
  expect(received.sort()).toEqual([...texts].sort());
  expect(await Promise.all(clients.map((client) => client.whenEnded()))).toEqual(
    texts.map((text) => text.toUpperCase()),
  );
});

it("tells the peer who the client is with the PROXY protocol", async () => {
  await using upstream = await Upstream.start();
  await using proxy = await TestTcpProxy.start({
    upstreamPeer: ({ clientAddress: source, serverAddress: destination }) =>
      new Peer(upstream.address, { proxyProtocol: { version: 1, source, destination } }),
  });
  using client = await proxy.connect();
  client.send("hello");
  const peer = await upstream.next();
  const { localPort } = client.socket;
  expect(await peer.until("hello")).toBe(`PROXY TCP4 127.0.0.1 127.0.0.1 ${localPort} ${proxy.port}\r\nhello`);
});

it("resets a connection whose callback takes too long", async () => {
  await using proxy = await TestTcpProxy.start(
    { upstreamPeer: () => new Promise<Peer>(() => {}) },
    { callbackTimeoutMs: 50 },
  );
  using client = await proxy.connect();
  await client.whenClosed();
  expect((await proxy.over()).error).toMatchObject({
    context: { reason: "callback" },
    message: "a callback did not settle within 50 ms",
  });
});

it("keeps within the limit of connections to a peer: others wait for their turn, or go elsewhere", async () => {
  await using one = await Upstream.start("one");
  await using two = await Upstream.start("two");
  const limits = { maxConnections: 1, pendingTimeoutMs: 100 };
  await using proxy = await TestTcpProxy.start({
    upstreamPeer: ({ attempts }) => new Peer(attempts === 0 ? one.address : two.address, limits),
  });
  using first = await proxy.connect();
  expect(await first.bytes(3)).toBe("one");
  using second = await proxy.connect();
  expect(await second.bytes(3)).toBe("two");
  first.socket.resetAndDestroy();
  await proxy.over();
  using third = await proxy.connect();
  expect(await third.bytes(3)).toBe("one");
});

it("goes on to the next peer when one does not answer in time", async () => {
  await using upstream = await Upstream.start("hello");
  const silent = { connect: () => new Promise<never>(() => {}), connectionTimeoutMs: 50 };
  await using proxy = await TestTcpProxy.start({
    upstreamPeer: ({ attempts }) => (attempts === 0 ? new Peer("192.0.2.1:1", silent) : new Peer(upstream.address)),
  });
  using client = await proxy.connect();
  expect(await client.bytes(5)).toBe("hello");
  expect(await proxy.metrics.exposition()).toMatch(/^cirque_tcp_connect_retries_total\{.*\} 1$/m);
});

it("closes a connection that `newCtx` fails for, and serves the next", async () => {
  await using upstream = await Upstream.start("hello");
  let first = true;
  await using proxy = await TestTcpProxy.start<void>({
    newCtx() {
      if (!first) return;
      first = false;
      throw new Error("broken");
    },
    upstreamPeer: () => new Peer(upstream.address),
  });
  using client = await proxy.connect();
  await client.whenEnded();
  expect(client.text).toBe("");
  using next = await proxy.connect();
  expect(await next.bytes(5)).toBe("hello");
  expect(proxy.logger.messages("error")).toEqual(["the callback `newCtx` failed"]);
  expect(await proxy.metrics.exposition()).toMatch(/^cirque_tcp_failures_total\{(?=.*reason="callback").*\} 1$/m);
});
