import { setTimeout as delay } from "node:timers/promises";
import { createConfiguration, DnsCache, Peer, type ResolvedName } from "@cirque/core";
import { describe, expect, it } from "vitest";
import { type ProxyUdp, udpProxyService } from "../src/index.ts";
import { TestUdpProxy, threadSockets } from "./harness/test-udp-proxy.ts";
import { UdpEndPoint } from "./harness/udp-end-point.ts";

it("carries datagrams and their replies, which come from the address that was sent to", async () => {
  await using upstream = await UdpEndPoint.answering((data) => `re: ${data}`);
  await using proxy = await TestUdpProxy.start({ upstreamPeer: () => new Peer(upstream.address) });
  await using client = await UdpEndPoint.bind();
  client.send("one", proxy.address);
  const reply = await client.next();
  expect(String(reply.data)).toBe("re: one");
  expect(`${reply.from.address}:${reply.from.port}`).toBe(proxy.address);
  client.send("twotwo", proxy.address);
  await client.next();
  expect(proxy.service.sessionCount).toBe(1);
  expect(new Set(upstream.received.map(({ from }) => from.port)).size).toBe(1);
  expect(await proxy.metric("cirque_udp_sessions_total")).toBe(1);
  expect(await proxy.metric("cirque_udp_sessions_active")).toBe(1);
  expect(await proxy.metric("cirque_udp_datagrams_total", "upload")).toBe(2);
  expect(await proxy.metric("cirque_udp_datagrams_total", "download")).toBe(2);
  expect(await proxy.metric("cirque_udp_bytes_total", "upload")).toBe(9);
  expect(await proxy.metric("cirque_udp_bytes_total", "download")).toBe(17);
});

it("works over IPv6, and at several addresses", async () => {
  await using upstream = await UdpEndPoint.answering((data) => data);
  await using proxy = await TestUdpProxy.start(
    { upstreamPeer: () => ({ address: upstream.address }) },
    {},
    { addresses: ["[::1]:0", "127.0.0.1:0", "127.0.0.2:0"] },
  );
  const [six = "", four = "", other = ""] = proxy.service.addresses();
  await using client6 = await UdpEndPoint.bind("::1");
  client6.send("six", six);
  expect(await client6.text()).toBe("six");
  await using client4 = await UdpEndPoint.bind();
  for (const address of [four, other]) {
    client4.send("four", address);
    const { from } = await client4.next();
    expect(`${from.address}:${from.port}`).toBe(address);
  }
  expect(proxy.service.sessionCount).toBe(3);
});

it("carries datagrams that are empty, and large ones", async () => {
  await using upstream = await UdpEndPoint.answering((data) => data);
  await using proxy = await TestUdpProxy.start({ upstreamPeer: () => ({ address: upstream.address }) });
  await using client = await UdpEndPoint.bind();
  const large = Buffer.alloc(65_507, "x");
  for (const data of [Buffer.alloc(0), large]) {
    client.send(data, proxy.address);
    expect((await client.next()).data.equals(data)).toBe(true);
  }
});

it("keeps the sessions of many clients apart", async () => {
  await using upstream = await UdpEndPoint.answering((data) => `re: ${data}`);
  await using proxy = await TestUdpProxy.start({ upstreamPeer: () => ({ address: upstream.address }) });
  await Promise.all(
    Array.from({ length: 100 }, async (_unused, index) => {
      await using client = await UdpEndPoint.bind();
      for (const part of ["a", "b"]) {
        client.send(`${index}${part}`, proxy.address);
        expect(await client.text()).toBe(`re: ${index}${part}`);
      }
      expect(client.received).toHaveLength(2);
    }),
  );
  expect(await proxy.metric("cirque_udp_sessions_total")).toBe(100);
});

describe("a session", () => {
  it("is over after silence, and the next datagram begins another", async () => {
    await using upstream = await UdpEndPoint.answering((data) => data);
    await using proxy = await TestUdpProxy.start(
      { upstreamPeer: () => ({ address: upstream.address }) },
      { sessionIdleTimeoutMs: 500, accessLog: true },
    );
    await using client = await UdpEndPoint.bind();
    client.send("one", proxy.address);
    await client.next();
    const { session, error } = await proxy.over();
    expect(error).toBeUndefined();
    expect(session).toMatchObject({
      clientAddress: client.address,
      serverAddress: proxy.address,
      listener: "127.0.0.1:0",
      uploadDatagrams: 1,
      uploadBytes: 3,
      downloadDatagrams: 1,
      downloadBytes: 3,
    });
    expect(session.durationMs).toBeGreaterThanOrEqual(499);
    expect(proxy.logger.records.find(({ message }) => message === "session")?.fields).toMatchObject({
      client: client.address,
      peer: upstream.address,
      outcome: "idle",
      uploadDatagrams: 1,
    });
    client.send("two", proxy.address);
    expect(await client.text()).toBe("two");
    expect(await proxy.metric("cirque_udp_sessions_total")).toBe(2);
    expect(await proxy.metric("cirque_udp_sessions_ended_total", "idle")).toBe(1);
  });

  it("lives as long as anything comes, from either side", async () => {
    await using upstream = await UdpEndPoint.bind();
    await using proxy = await TestUdpProxy.start(
      { upstreamPeer: () => ({ address: upstream.address }) },
      { sessionIdleTimeoutMs: 1_000 },
    );
    await using client = await UdpEndPoint.bind();
    client.send("hello", proxy.address);
    const { from } = await upstream.next();
    for (let count = 0; count < 25; count++) {
      await delay(50);
      upstream.send(`${count}`, `127.0.0.1:${from.port}`);
    }
    for (let count = 0; count < 25; count++) expect(await client.text()).toBe(`${count}`);
    expect(proxy.logged).toEqual([]);
  });

  it("is over when each datagram has its replies, where they are counted", async () => {
    await using upstream = await UdpEndPoint.bind();
    await using proxy = await TestUdpProxy.start(
      { upstreamPeer: () => ({ address: upstream.address }) },
      { responses: 2 },
    );
    await using client = await UdpEndPoint.bind();
    client.send("one", proxy.address);
    client.send("two", proxy.address);
    const [{ from }] = [await upstream.next(), await upstream.next()];
    for (const reply of ["a", "b", "c", "d"]) upstream.send(reply, `127.0.0.1:${from.port}`);
    for (const reply of ["a", "b", "c", "d"]) expect(await client.text()).toBe(reply);
    expect((await proxy.over()).session.downloadDatagrams).toBe(4);
    expect(await proxy.metric("cirque_udp_sessions_ended_total", "responses")).toBe(1);
    expect(proxy.service.sessionCount).toBe(0);
  });

  it("that is idle for longest makes room when the table is full", async () => {
    await using upstream = await UdpEndPoint.answering((data) => data);
    await using proxy = await TestUdpProxy.start(
      { upstreamPeer: () => ({ address: upstream.address }) },
      { maxSessions: 2 },
    );
    await using one = await UdpEndPoint.bind();
    await using two = await UdpEndPoint.bind();
    await using three = await UdpEndPoint.bind();
    for (const client of [one, two, one, three]) {
      client.send("x", proxy.address);
      await client.next();
    }
    expect((await proxy.over()).session.clientAddress).toBe(two.address);
    expect(proxy.service.sessionCount).toBe(2);
    expect(await proxy.metric("cirque_udp_sessions_ended_total", "evicted")).toBe(1);
  });

  it("holds what comes while its peer is being found, up to a bound, in order", async () => {
    await using upstream = await UdpEndPoint.bind();
    const found = Promise.withResolvers<{ address: string }>();
    await using proxy = await TestUdpProxy.start(
      { upstreamPeer: (): Promise<{ address: string }> => found.promise },
      { maxQueuedDatagrams: 3 },
    );
    await using client = await UdpEndPoint.bind();
    for (const data of ["1", "2", "3", "4", "5"]) client.send(data, proxy.address);
    await expect.poll(() => proxy.metric("cirque_udp_datagrams_dropped_total", "queue-full")).toBe(2);
    found.resolve({ address: upstream.address });
    for (const data of ["1", "2", "3"]) expect(await upstream.text()).toBe(data);
  });

  it("holds no more bytes than all sessions together may, and lets go of them", async () => {
    await using upstream = await UdpEndPoint.bind();
    const found = Promise.withResolvers<{ address: string }>();
    await using proxy = await TestUdpProxy.start(
      { upstreamPeer: (): Promise<{ address: string }> => found.promise },
      { maxQueuedBytes: 2_500 },
    );
    await using one = await UdpEndPoint.bind();
    await using two = await UdpEndPoint.bind();
    for (const client of [one, two, one, two]) client.send(Buffer.alloc(1_000, "x"), proxy.address);
    await expect.poll(() => proxy.metric("cirque_udp_datagrams_dropped_total", "queue-full")).toBe(2);
    found.resolve({ address: upstream.address });
    await Promise.all([upstream.next(), upstream.next()]);
    for (const client of [one, two]) client.send(Buffer.alloc(1_500, "y"), proxy.address);
    await Promise.all([upstream.next(), upstream.next()]);
    expect(await proxy.metric("cirque_udp_datagrams_dropped_total", "queue-full")).toBe(2);
  });

  it("is over when no peer is found in time, however much comes", async () => {
    await using proxy = await TestUdpProxy.start(
      { upstreamPeer: () => new Promise<undefined>(() => {}) },
      { sessionIdleTimeoutMs: 200 },
    );
    await using client = await UdpEndPoint.bind();
    const beat = setInterval(() => client.send("x", proxy.address), 20);
    const { session } = await proxy.over();
    clearInterval(beat);
    expect(session).toMatchObject({ peer: undefined, uploadDatagrams: 0 });
    expect(await proxy.metric("cirque_udp_sessions_ended_total", "idle")).toBe(1);
    expect(await proxy.metric("cirque_udp_datagrams_dropped_total", "no-peer")).toBeGreaterThan(0);
  });

  it("has a state of its own", async () => {
    await using upstream = await UdpEndPoint.answering((data) => data);
    let made = 0;
    const ended: number[] = [];
    await using proxy = await TestUdpProxy.start<{ id: number }>(
      {
        newCtx: () => ({ id: ++made }),
        upstreamPeer: (_session, ctx) => ({ address: ctx.id > 0 ? upstream.address : "" }),
        logging: (_session, _error, ctx) => {
          ended.push(ctx.id);
        },
      },
      { responses: 1 },
    );
    await using client = await UdpEndPoint.bind();
    for (const data of ["1", "2"]) {
      client.send(data, proxy.address);
      await client.next();
    }
    await proxy.over(1);
    expect(ended).toEqual([1, 2]);
  });
});

it("drops a datagram that `newCtx` fails for, and takes the next", async () => {
  await using upstream = await UdpEndPoint.answering((data) => data);
  let first = true;
  await using proxy = await TestUdpProxy.start<void>({
    newCtx() {
      if (!first) return;
      first = false;
      throw new Error("broken");
    },
    upstreamPeer: () => ({ address: upstream.address }),
  });
  await using client = await UdpEndPoint.bind();
  client.send("lost", proxy.address);
  client.send("found", proxy.address);
  expect(await client.text()).toBe("found");
  expect(proxy.logger.messages("warn")).toEqual(["a session failed"]);
});

describe("a peer", () => {
  it("that nobody listens at ends the session, and the next one may go elsewhere", async () => {
    const gone = await UdpEndPoint.bind();
    const { address } = gone;
    await gone[Symbol.asyncDispose]();
    await using upstream = await UdpEndPoint.answering((data) => data);
    let first = true;
    await using proxy = await TestUdpProxy.start({
      upstreamPeer: () => {
        if (!first) return { address: upstream.address };
        first = false;
        return { address };
      },
    });
    await using client = await UdpEndPoint.bind();
    client.send("lost", proxy.address);
    expect((await proxy.over()).error).toMatchObject({
      code: "ConnectError",
      context: { reason: "refused", peer: address },
      cause: { code: "ECONNREFUSED" },
    });
    client.send("found", proxy.address);
    expect(await client.text()).toBe("found");
    expect(await proxy.metric("cirque_udp_sessions_ended_total", "refused")).toBe(1);
  });

  it("by name is resolved, and its addresses are remembered", async () => {
    await using upstream = await UdpEndPoint.answering((data) => data);
    const asked: string[] = [];
    const resolve = async (name: string): Promise<ResolvedName> => {
      asked.push(name);
      if (name !== "names.test") throw Object.assign(new Error("no such name"), { code: "ENOTFOUND" });
      return { addresses: [{ address: "127.0.0.1", family: 4 }], ttlMs: 60_000 };
    };
    let name = "names.test";
    await using proxy = await TestUdpProxy.start(
      { upstreamPeer: () => ({ address: `${name}:${upstream.port}` }) },
      { dns: new DnsCache({ resolver: { resolve } }) },
    );
    await using client = await UdpEndPoint.bind();
    client.send("one", proxy.address);
    client.send("two", proxy.address);
    expect([await client.text(), await client.text()]).toEqual(["one", "two"]);
    expect(asked).toEqual(["names.test"]);
    await using second = await UdpEndPoint.bind();
    second.send("known", proxy.address);
    expect(await second.text()).toBe("known");
    expect(asked).toEqual(["names.test"]);
    name = "other.test";
    await using other = await UdpEndPoint.bind();
    other.send("three", proxy.address);
    expect((await proxy.over()).error).toMatchObject({
      context: { reason: "connect" },
      message: "other.test has no address",
    });
    expect(await proxy.metric("cirque_udp_datagrams_dropped_total", "no-peer")).toBe(1);
  });

  it.each<[what: string, fail: () => ReturnType<ProxyUdp["upstreamPeer"]>, reason: string]>([
    ["there is none", () => undefined, "no-peer"],
    [
      "the callback throws",
      () => {
        throw new Error("broken");
      },
      "callback",
    ],
    ["the callback rejects", () => Promise.reject(new Error("broken")), "callback"],
    ["the address is malformed", () => ({ address: "nowhere" }), "connect"],
    ["the address is a path", () => ({ address: "unix:/x" }), "connect"],
    ["the network cannot be reached", () => ({ address: "255.255.255.255:9" }), "connect"],
  ])("%s: the session ends, and others go on", async (_what, fail, reason) => {
    await using upstream = await UdpEndPoint.answering((data) => data);
    let first = true;
    await using proxy = await TestUdpProxy.start({
      upstreamPeer: (): ReturnType<ProxyUdp["upstreamPeer"]> => {
        if (!first) return { address: upstream.address };
        first = false;
        return fail();
      },
    });
    await using client = await UdpEndPoint.bind();
    client.send("lost", proxy.address);
    expect((await proxy.over()).error?.context).toMatchObject({ reason });
    expect(proxy.logger.messages("warn")).toEqual(["a session failed"]);
    client.send("found", proxy.address);
    expect(await client.text()).toBe("found");
    expect(await proxy.metric("cirque_udp_sessions_ended_total", reason)).toBe(1);
  });

  it("alone is heard: what others send to the session's socket is dropped", async () => {
    await using upstream = await UdpEndPoint.bind();
    await using forger = await UdpEndPoint.bind();
    await using proxy = await TestUdpProxy.start({ upstreamPeer: () => ({ address: upstream.address }) });
    await using client = await UdpEndPoint.bind();
    client.send("question", proxy.address);
    const { from } = await upstream.next();
    forger.send("forged", `127.0.0.1:${from.port}`);
    upstream.send("true", `127.0.0.1:${from.port}`);
    expect(await client.text()).toBe("true");
    expect(client.received).toHaveLength(1);
  });
});

describe("the PROXY protocol", () => {
  const signature = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");

  it("stands in front of each datagram", async () => {
    await using upstream = await UdpEndPoint.bind();
    await using proxy = await TestUdpProxy.start(
      { upstreamPeer: () => ({ address: upstream.address }) },
      { proxyProtocol: true },
    );
    await using client = await UdpEndPoint.bind();
    for (const text of ["one", "two"]) {
      client.send(text, proxy.address);
      const { data } = await upstream.next();
      expect(data.subarray(0, 12).equals(signature)).toBe(true);
      expect([...data.subarray(12, 16)]).toEqual([0x21, 0x12, 0, 12]);
      expect([...data.subarray(16, 24)]).toEqual([127, 0, 0, 1, 127, 0, 0, 1]);
      expect(data.readUInt16BE(24)).toBe(client.port);
      expect(`127.0.0.1:${data.readUInt16BE(26)}`).toBe(proxy.address);
      expect(data.subarray(28).toString()).toBe(text);
    }
    client.send(Buffer.alloc(65_500), proxy.address);
    await expect.poll(() => proxy.metric("cirque_udp_datagrams_dropped_total", "oversize")).toBe(1);
  });

  it("knows IPv6", async () => {
    await using upstream = await UdpEndPoint.bind();
    await using proxy = await TestUdpProxy.start(
      { upstreamPeer: () => ({ address: upstream.address }) },
      { proxyProtocol: true },
      { addresses: ["[::1]:0"] },
    );
    await using client = await UdpEndPoint.bind("::1");
    client.send("x", proxy.address);
    const { data } = await upstream.next();
    expect([...data.subarray(12, 16)]).toEqual([0x21, 0x22, 0, 36]);
    expect([...data.subarray(16, 48)]).toEqual([...Array(15).fill(0), 1, ...Array(15).fill(0), 1]);
    expect(data.readUInt16BE(48)).toBe(client.port);
    expect(data.subarray(52).toString()).toBe("x");
  });
});

describe("a listener", () => {
  it("says why it cannot be bound, and tries again while the address is in use", async () => {
    const taken = await UdpEndPoint.bind();
    await expect(
      TestUdpProxy.start({ upstreamPeer: () => undefined }, {}, { addresses: [taken.address], bindRetries: 0 }),
    ).rejects.toThrow(
      `cannot receive datagrams at ${taken.address}: the address is in use; stop the program that has it, or choose another`,
    );
    const starting = TestUdpProxy.start(
      { upstreamPeer: () => undefined },
      {},
      { addresses: [taken.address], bindRetries: 1_000_000, bindRetryIntervalMs: 1 },
    );
    await delay(10);
    const { address } = taken;
    await taken[Symbol.asyncDispose]();
    await using proxy = await starting;
    expect(proxy.address).toBe(address);
    expect(proxy.logger.messages("warn")[0]).toContain("It is tried again");
  });

  it.each(["127.0.0.1", "unix:/run/x", "::1:53"])("refuses the address %s", async (address) => {
    await expect(
      TestUdpProxy.start({ upstreamPeer: () => undefined }, {}, { addresses: [address] }),
    ).rejects.toMatchObject({ code: "InvalidArgument" });
  });

  it("shares its address where threads do", async () => {
    await using upstream = await UdpEndPoint.answering((data) => data);
    const sockets = threadSockets();
    const callbacks = { upstreamPeer: () => ({ address: upstream.address }) };
    await using one = await TestUdpProxy.start(callbacks, {}, { sockets });
    await using two = await TestUdpProxy.start(callbacks, {}, { sockets, addresses: [one.address] });
    const clients = await Promise.all(Array.from({ length: 40 }, () => UdpEndPoint.bind()));
    for (const client of clients) client.send("x", one.address);
    for (const client of clients) expect(await client.text()).toBe("x");
    expect(one.service.sessionCount + two.service.sessionCount).toBe(40);
    expect(Math.min(one.service.sessionCount, two.service.sessionCount)).toBeGreaterThan(0);
    for (const client of clients) await client[Symbol.asyncDispose]();
  });

  it("is reserved in the main thread: the port that all threads share, or an address that is free", async () => {
    const callbacks = { upstreamPeer: () => undefined };
    const sockets = threadSockets();
    const reserving = udpProxyService(createConfiguration(), callbacks).addUdp("127.0.0.1:0");
    await using context = await TestUdpProxy.start(callbacks);
    const release = await reserving.reserve({ ...context.context, thread: { ...context.context.thread, sockets } });
    await using thread = await TestUdpProxy.start(callbacks, {}, { sockets });
    expect(thread.address).toBe(sockets.resolve("udp", "127.0.0.1:0"));
    expect(sockets.bound).toMatchObject([{ kind: "udp", address: "127.0.0.1:0", boundAddress: thread.address }]);
    release();
    const taken = udpProxyService(createConfiguration(), callbacks).addUdp(context.address, { bindRetries: 0 });
    await expect(taken.reserve(context.context)).rejects.toMatchObject({ code: "BindError" });
  });

  it("takes buffer sizes", async () => {
    await using proxy = await TestUdpProxy.start(
      { upstreamPeer: () => undefined },
      {},
      { recvBufferSize: 65_536, sendBufferSize: 65_536 },
    );
    expect(proxy.address).toMatch(/:\d+$/);
  });
});

it.each(["sessionIdleTimeoutMs", "responses", "maxSessions"])("refuses a %s that is no amount", async (name) => {
  await expect(TestUdpProxy.start({ upstreamPeer: () => undefined }, { [name]: -1 })).rejects.toMatchObject({
    code: "InvalidArgument",
  });
});

describe("when it stops", () => {
  it("delivers the replies to what it had read, and reads nothing more", async () => {
    await using upstream = await UdpEndPoint.bind();
    const proxy = await TestUdpProxy.start(
      { upstreamPeer: () => ({ address: upstream.address }) },
      { responses: 1, drainIdleTimeoutMs: 60_000 },
    );
    await using client = await UdpEndPoint.bind();
    client.send("question", proxy.address);
    const { from } = await upstream.next();
    const stopped = proxy.service.stop(new AbortController().signal);
    client.send("another", proxy.address);
    upstream.send("answer", `127.0.0.1:${from.port}`);
    expect(await client.text()).toBe("answer");
    await stopped;
    expect(upstream.received).toHaveLength(1);
  });

  it("waits no longer than for the next reply", async () => {
    await using upstream = await UdpEndPoint.bind();
    const proxy = await TestUdpProxy.start(
      { upstreamPeer: () => ({ address: upstream.address }) },
      { drainIdleTimeoutMs: 100 },
    );
    await using client = await UdpEndPoint.bind();
    client.send("question", proxy.address);
    await upstream.next();
    await proxy.service.stop(new AbortController().signal);
    expect(proxy.logged).toHaveLength(1);
  });

  it("ends all sessions when forced", async () => {
    await using upstream = await UdpEndPoint.bind();
    const proxy = await TestUdpProxy.start({
      upstreamPeer: () => ({ address: upstream.address }),
    });
    await using client = await UdpEndPoint.bind();
    client.send("question", proxy.address);
    await upstream.next();
    const force = new AbortController();
    const stopped = proxy.service.stop(force.signal);
    force.abort();
    await stopped;
    expect(await proxy.metric("cirque_udp_sessions_ended_total", "stopped")).toBe(1);
  });
});
