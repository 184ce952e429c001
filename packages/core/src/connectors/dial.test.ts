import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { FakeClock } from "../../test/wire/fake-clock.ts";
import { settled } from "../../test/wire/raw-peer.ts";
import { SilentListener } from "../../test/wire/silent-listener.ts";
import { connect } from "./connect.ts";
import { connectFactsOf } from "./connect-facts.ts";
import { DnsCache } from "./dns/dns-cache.ts";
import { HttpPeer } from "./http-peer.ts";
import type { PeerOptions } from "./peer-options.ts";

const open: { close(): unknown }[] = [];
const sockets: Socket[] = [];

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of open.splice(0)) server.close();
});

/** Listens on one port on each of the hosts. */
async function listening(...hosts: string[]): Promise<{ port: number; accepted: string[] }> {
  const accepted: string[] = [];
  let port = 0;
  for (const host of hosts) {
    const server: Server = createServer((socket) => {
      sockets.push(socket.on("error", () => {}));
      accepted.push(host);
    });
    server.listen(port, host);
    await once(server, "listening");
    open.push(server);
    port = (server.address() as AddressInfo).port; // it listens
  }
  return { port, accepted };
}

/** A name with these addresses, in this order. */
function named(...addresses: string[]): DnsCache {
  return new DnsCache({
    resolver: {
      resolve: async () => ({
        addresses: addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 })),
        ttlMs: 60_000,
      }),
    },
  });
}

async function connected(port: number, dns: DnsCache, options: PeerOptions = {}, delayMs?: number): Promise<Socket> {
  const settings = { dns, ...(delayMs !== undefined && { happyEyeballsDelayMs: delayMs }) };
  const socket = await connect(new HttpPeer(`a.example:${port}`, options), settings);
  sockets.push(socket);
  return socket;
}

describe("a name with several addresses (RFC 8305, CONN-07)", () => {
  it("is reached at the first that accepts; one that refuses is passed over at once", async () => {
    using clock = new FakeClock();
    const { port } = await listening("127.0.0.3");
    const socket = await connected(port, named("127.0.0.1", "127.0.0.2", "127.0.0.3"));
    expect(socket.remoteAddress).toBe("127.0.0.3");
    await clock.pass(0);
  });

  it("is tried by turns of the families", async () => {
    const { port } = await listening("127.0.0.9");
    const failed = connected(port, named("::1", "::1", "127.0.0.1", "127.0.0.2"));
    const error = await failed.catch((reason: Error) => reason);
    const { errors } = (error as Error).cause as AggregateError;
    expect(errors.map(({ address }: { address?: string }) => address)).toEqual([
      "::1",
      "127.0.0.1",
      "::1",
      "127.0.0.2",
    ]);
    expect(error).toMatchObject({ code: "ConnectRefused", retry: true, message: expect.stringMatching(/4 addresses/) });
  });

  it("gives an address that is silent a quarter of a second, and then tries the next one beside it", async () => {
    const silent = await SilentListener.start();
    using clock = new FakeClock();
    const port = Number(silent.address.split(":")[1]);
    const server = createServer((socket) => sockets.push(socket)).listen(port, "127.0.0.2");
    open.push(server);
    await once(server, "listening");
    let socket: Socket | undefined;
    const connecting = connected(port, named("127.0.0.1", "127.0.0.2")).then((made) => {
      socket = made;
    });
    await clock.pass(240);
    expect(socket).toBeUndefined();
    await clock.pass(20);
    await connecting;
    expect(socket?.remoteAddress).toBe("127.0.0.2");
    await silent.stop();
  });

  it("leaves no other connection behind, whichever wins", async () => {
    const { port, accepted } = await listening("127.0.0.1", "127.0.0.2", "127.0.0.3");
    using clock = new FakeClock();
    const socket = await connected(port, named("127.0.0.1", "127.0.0.2", "127.0.0.3"));
    await clock.pass(1_000);
    expect(accepted).toEqual(["127.0.0.1"]);
    expect(socket.remoteAddress).toBe("127.0.0.1");
  });

  it("spreads connections over its addresses", async () => {
    const { port, accepted } = await listening("127.0.0.1", "127.0.0.2");
    const dns = named("127.0.0.1", "127.0.0.2");
    for (let i = 0; i < 4; i++) await connected(port, dns);
    await settled();
    expect(accepted.toSorted()).toEqual(["127.0.0.1", "127.0.0.1", "127.0.0.2", "127.0.0.2"]);
  });

  it("is given up after connectionTimeoutMs in all, with what had failed before", async () => {
    const silent = await SilentListener.start();
    using clock = new FakeClock();
    const port = Number(silent.address.split(":")[1]);
    const connecting = connected(port, named("127.0.0.9", "127.0.0.1"), { connectionTimeoutMs: 1_000 });
    connecting.catch(() => {});
    await clock.pass(1_010);
    await expect(connecting).rejects.toMatchObject({
      code: "ConnectTimedout",
      cause: expect.objectContaining({ code: "ECONNREFUSED" }),
    });
    await silent.stop();
  });

  it("is reached over the family of the source address alone", async () => {
    const { port } = await listening("127.0.0.1");
    const socket = await connected(port, named("::1", "127.0.0.1"), { localAddress: "127.0.0.5" });
    expect(socket.localAddress).toBe("127.0.0.5");
    await expect(connected(port, named("::1"), { localAddress: "127.0.0.5" })).rejects.toMatchObject({
      code: "BindError",
      message: expect.stringContaining("127.0.0.5"),
    });
  });
});

describe("a name that is resolved when connecting (PEER-01)", () => {
  it("that does not exist is ConnectError, with the resolver's own words", async () => {
    const dns = new DnsCache({
      resolver: { resolve: () => Promise.reject(Object.assign(new Error("no such name"), { code: "ENOTFOUND" })) },
    });
    await expect(connected(80, dns)).rejects.toMatchObject({
      code: "ConnectError",
      source: "upstream",
      message: expect.stringContaining("no such name"),
    });
  });

  it("that is not resolved in time is ConnectTimedout", async () => {
    using clock = new FakeClock();
    const dns = new DnsCache({ resolver: { resolve: () => new Promise(() => {}) }, timeoutMs: 60_000 });
    const connecting = connected(80, dns, { totalConnectionTimeoutMs: 500 });
    connecting.catch(() => {});
    await clock.pass(510);
    await expect(connecting).rejects.toMatchObject({ code: "ConnectTimedout" });
  });

  it("tells how long that took, and the rest (V9-18)", async () => {
    const { port } = await listening("127.0.0.1");
    const facts = connectFactsOf(await connected(port, named("127.0.0.1")));
    expect(facts).toMatchObject({
      peer: `a.example:${port}`,
      resolvedName: "a.example",
      remoteAddress: "127.0.0.1",
      remotePort: port,
      tls: undefined,
      nextHop: undefined,
    });
    const { dnsMs = -1, transportMs = -1, totalMs = -1, tlsMs, nextHopMs } = facts?.timing ?? {};
    expect(dnsMs).toBeGreaterThanOrEqual(0);
    expect(transportMs).toBeGreaterThan(0);
    expect(totalMs).toBeGreaterThanOrEqual(dnsMs + transportMs);
    expect([tlsMs, nextHopMs]).toEqual([undefined, undefined]);
  });
});

describe("a connection that is given up", () => {
  it("ends at once, and destroys its socket", async () => {
    const silent = await SilentListener.start();
    const leaver = new AbortController();
    const connecting = connect(new HttpPeer(silent.address), {}, leaver.signal);
    leaver.abort(new Error("the client has gone"));
    await expect(connecting).rejects.toMatchObject({
      code: "ConnectError",
      message: expect.stringContaining("given up"),
      cause: expect.objectContaining({ message: "the client has gone" }),
    });
    await expect(connect(new HttpPeer(silent.address), {}, leaver.signal)).rejects.toMatchObject({
      code: "ConnectError",
    });
    await silent.stop();
  });
});

describe("source ports (PO-01)", () => {
  /** Ports that nobody has, in a row. */
  async function freePorts(count: number): Promise<number> {
    for (;;) {
      const low = 20_000 + Math.floor(Math.random() * 10_000);
      const servers = Array.from({ length: count }, (_, i) => createServer().listen(low + i, "127.0.0.1"));
      const all = await Promise.allSettled(servers.map((server) => once(server, "listening")));
      for (const server of servers) server.close();
      if (all.every(({ status }) => status === "fulfilled")) return low;
    }
  }

  it("come from the range, the next one when one is taken", async () => {
    const { port } = await listening("127.0.0.1");
    const low = await freePorts(3);
    const range = { localAddress: "127.0.0.1", localPortRange: [low, low + 2] as const };
    const ports: (number | undefined)[] = [];
    for (let i = 0; i < 3; i++) ports.push((await connected(port, named("127.0.0.1"), range)).localPort);
    expect(ports.toSorted()).toEqual([low, low + 1, low + 2]);
    await expect(connected(port, named("127.0.0.1"), range)).rejects.toMatchObject({
      code: "BindError",
      message: expect.stringContaining(`${low} to ${low + 2}`),
    });
    const anyhow = await connected(port, named("127.0.0.1"), { ...range, localAddressFallback: true });
    expect(anyhow.localPort).not.toBe(low);
  });

  it("are not needed when any source will do", async () => {
    const { port } = await listening("127.0.0.1");
    const socket = await connected(port, named("127.0.0.1"), { localAddress: "192.0.2.1", localAddressFallback: true });
    expect(socket.localAddress).toBe("127.0.0.1");
  });

  it("can be the same one for two origins", async () => {
    const one = await listening("127.0.0.1");
    const two = await listening("127.0.0.1");
    const localPort = await freePorts(1);
    const options = { localAddress: "127.0.0.1", localPort };
    expect((await connected(one.port, named("127.0.0.1"), options)).localPort).toBe(localPort);
    expect((await connected(two.port, named("127.0.0.1"), options)).localPort).toBe(localPort);
    await expect(connected(one.port, named("127.0.0.1"), options)).rejects.toMatchObject({ source: "upstream" });
  });
});

describe("options of the socket", () => {
  it("are set before it connects: the hook gets it first (PO-26)", async () => {
    const { port } = await listening("127.0.0.1");
    const seen: boolean[] = [];
    const socket = await connected(port, named("127.0.0.1"), {
      dscp: 46,
      tcpKeepaliveMs: 5_000,
      tcpKeepaliveIntervalMs: 2_000,
      tcpKeepaliveCount: 3,
      onSocket: (unconnected) => seen.push(unconnected.pending),
    });
    expect(seen).toEqual([true]);
    expect(socket.getTypeOfService()).toBe(46 << 2);
  });

  it.runIf(process.platform === "linux")("include keep-alive probes (PO-13)", async () => {
    const { port } = await listening("127.0.0.1");
    const probing = await connected(port, named("127.0.0.1"), { tcpKeepaliveMs: 60_000 });
    const silent = await connected(port, named("127.0.0.1"));
    // The timer that the kernel runs for an established socket: 2 is that of the probes (proc(5), net/tcp).
    const table = readFileSync("/proc/net/tcp", "latin1");
    const timer = ({ localPort = 0 }: Socket): string | undefined => {
      const local = localPort.toString(16).toUpperCase().padStart(4, "0");
      return new RegExp(` 0100007F:${local} 0100007F:\\w{4} 01 \\S+ (\\w\\w):`).exec(table)?.[1];
    };
    expect(timer(probing)).toBe("02");
    expect(timer(silent)).toBe("00");
  });

  it("that throw fail the connection", async () => {
    const { port } = await listening("127.0.0.1");
    const onSocket = (): never => {
      throw new Error("no such option");
    };
    await expect(connected(port, named("127.0.0.1"), { onSocket })).rejects.toMatchObject({
      code: "InvalidArgument",
      message: expect.stringContaining("no such option"),
    });
  });

  it("do not keep a socket from being used as any other", async () => {
    const { port } = await listening("127.0.0.1");
    const socket = await connected(port, named("127.0.0.1"));
    await settled();
    sockets.find((accepted) => accepted.localPort === port)?.write("hello");
    const [chunk] = await once(socket, "data");
    expect(String(chunk)).toBe("hello");
  });
});
