import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { describe, expect, it } from "vitest";
import { TestService } from "../../test/acceptance/test-service.ts";
import { testContext } from "../../test/server/test-context.ts";
import type { RawPeer } from "../../test/wire/raw-peer.ts";
import { selfSigned } from "../../test/wire/test-authority.ts";
import { resolveServerOptions } from "../http1/index.ts";
import { Http1ServerConnection } from "../http1/server-connection.ts";
import { ListeningService } from "../services/listening-service.ts";
import { singleThread } from "../threads/single-thread.ts";
import type { ConnectionLimits } from "./acceptance-options.ts";
import { clientKey } from "./client-key.ts";
import { ConnectionLimiter, ConnectionPlace } from "./connection-limiter.ts";
import { openCount } from "./open-count.ts";

describe("a limit of connections", () => {
  it("closes those beyond it at once, and takes others when places are free again", async () => {
    await using test = await limited({ maxConnections: 2 });
    const [first, second] = [await test.client(), await test.client()];
    await first.send("1").until("1");
    await second.send("2").until("2");
    const third = await test.client();
    const clientAddress = `127.0.0.1:${third.socket.localPort}`;
    expect((await third.whenClosed()).text).toBe("");
    expect(await test.refused("max-connections")).toBe(1);
    expect(test.refusals).toEqual([
      { reason: "max-connections", clientAddress, message: expect.stringContaining("2 connections") },
    ]);
    await first.end().whenClosed();
    await served(test);
    second.reset();
    await served(test);
  });

  it("counts those that are still on their way to the handler", async () => {
    await using test = await TestService.start((service) =>
      service.addTls("127.0.0.1:0", { settings: () => selfSigned({}) }, { maxConnections: 1 }),
    );
    const silent = await test.client();
    await expect.poll(() => test.metric("cirque_connections_accepted_total.*")).toBe(1);
    expect(await test.tlsOutcome()).not.toBe("echoed");
    expect(await test.refused("max-connections")).toBe(1);
    silent.reset();
    await expect.poll(() => test.tlsOutcome()).toBe("echoed");
    // And one that was let go by TLS.
    for (const { socket } of test.handled.items) socket.destroy();
    await expect.poll(() => test.tlsOutcome()).toBe("echoed");
  });

  it("of a service holds for its listeners together", async () => {
    await using test = await TestService.start((service) =>
      service.limitConnections({ maxConnections: 2 }).addTcp("127.0.0.1:0").addTcp("127.0.0.1:0"),
    );
    const [one = "", two = ""] = test.service.addresses();
    const sockets = [await connectTo(one), await connectTo(two), await connectTo(one)];
    await once((sockets[2] as Socket).resume(), "close");
    expect(await test.refused("max-connections")).toBe(1);
    expect(test.handled.length).toBe(2);
    for (const socket of sockets) socket.destroy();
  });

  it("gives the place back when an HTTP connection, whose socket was taken over, is closed", async () => {
    const connections: Http1ServerConnection[] = [];
    const service = new ListeningService("http", {
      handle: (socket, accepted) => {
        const ignored = { onRequest() {}, onRefusal() {}, onConnectionClose() {} };
        connections.push(new Http1ServerConnection(socket, resolveServerOptions(), ignored, accepted));
      },
      drain: async () => {
        for (const connection of connections) connection.destroy();
      },
    }).addTcp("127.0.0.1:0", { maxConnections: 1 });
    await service.start(testContext());
    const [address = ""] = service.addresses();
    for (let round = 1; round <= 3; round++) {
      await expect
        .poll(async () => {
          (await connectTo(address)).destroy();
          return connections.length;
        })
        .toBeGreaterThanOrEqual(round);
    }
    await service.stop(AbortSignal.abort());
  });
});

describe("a limit for each client", () => {
  it("closes those of one client beyond it, and leaves others alone", async () => {
    await using test = await limited({ maxConnectionsPerClient: 1 });
    const first = await test.client();
    await first.send("1").until("1");
    await (await test.client()).whenClosed();
    expect(await test.refused("max-connections-per-client")).toBe(1);
    const other = await connectTo(test.address, "127.0.0.9");
    other.write("other");
    expect(String((await once(other, "data"))[0])).toBe("other");
    other.destroy();
    await first.end().whenClosed();
    await served(test);
  });

  it("goes by the client that a proxy in front names", async () => {
    await using test = await TestService.start((service) =>
      service.addTcp("127.0.0.1:0", { proxyProtocol: { from: ["127.0.0.1"] }, maxConnectionsPerClient: 1 }),
    );
    const from = (host: string): string => `PROXY TCP6 ${host} ::1 1 2\r\nhello`;
    const first = await test.client();
    await first.send(from("2001:db8:0:1::1")).until("hello");
    // Another address of the same network is the same client.
    await (await test.client()).send(from("2001:db8:0:1:ffff::2")).whenClosed();
    expect(await test.refused("max-connections-per-client")).toBe(1);
    await (await test.client()).send(from("2001:db8:0:2::1")).until("hello");
    await first.end().whenClosed();
    await expect.poll(async () => answerTo(await test.client(), from("2001:db8:0:1::3"))).toBe("hello");
  });

  it.each([
    ["192.0.2.1:1", "192.0.2.1:2", 64, true],
    ["192.0.2.1:1", "192.0.2.2:1", 64, false],
    ["[::ffff:192.0.2.1]:1", "192.0.2.1:2", 64, true],
    ["[::ffff:192.0.2.1]:1", "[::ffff:192.0.2.2]:1", 64, false],
    ["[2001:db8::1]:1", "[2001:db8::2]:1", 64, true],
    ["[2001:db8::1]:1", "[2001:db8::2]:1", 128, false],
    ["[2001:db8:0:10::1]:1", "[2001:db8:0:1f::1]:1", 60, true],
    ["[2001:db8:0:10::1]:1", "[2001:db8:0:20::1]:1", 60, false],
    ["[fe80::1%eth0]:1", "[fe80::2%eth0]:1", 64, true],
  ])("takes %s and %s, with %d bits, for one client: %s", (one, other, bits, same) => {
    expect(clientKey(one, bits) === clientKey(other, bits)).toBe(same);
  });

  it("does not hold for Unix sockets", () => {
    expect(clientKey("unix:", 64)).toBeUndefined();
  });

  it("remembers only clients that are connected", () => {
    const limiter = new ConnectionLimiter(
      "the listener",
      { maxConnectionsPerClient: 2 },
      openCount("x", singleThread()),
    );
    const places = Array.from({ length: 4 }, () => new ConnectionPlace([limiter]));
    places[0]?.takeForClient("192.0.2.1:1");
    places[1]?.takeForClient("192.0.2.1:2");
    expect(() => places[2]?.takeForClient("192.0.2.1:3")).toThrow("2 connections");
    places[3]?.takeForClient("192.0.2.2:1");
    expect(limiter.clientCount).toBe(2);
    for (const place of places) place.release();
    for (const place of places) place.release();
    expect([limiter.clientCount, limiter.openCount]).toEqual([0, 0]);
  });
});

describe("limits that are none", () => {
  it.each<ConnectionLimits>([
    { maxConnections: 0 },
    { maxConnections: 1.5 },
    { maxConnectionsPerClient: -1 },
    { maxConnections: "9" as never },
    { clientPrefixLength: 129 },
    { clientPrefixLength: 0 },
  ])("are refused: %j", (limits) => {
    const service = new ListeningService("a", { handle() {}, drain: async () => {} });
    const invalid = expect.objectContaining({ code: "InvalidArgument" });
    expect(() => service.addTcp("127.0.0.1:0", limits)).toThrow(invalid);
    expect(() => service.limitConnections(limits)).toThrow(invalid);
  });
});

function limited(limits: ConnectionLimits): Promise<TestService> {
  return TestService.start((service) => service.addTcp("127.0.0.1:0", limits));
}

/** A place becomes free when the server has noticed that the client is gone. */
async function served(test: TestService): Promise<void> {
  await expect.poll(async () => answerTo(await test.client(), "served")).toBe("served");
}

/** What comes back for a text: itself, or the end of the connection. */
async function answerTo(client: RawPeer, text: string): Promise<string> {
  client.send(text);
  const ended = client.whenEnded().then(() => "ended");
  return Promise.race([client.until(/served|hello/), ended]).catch(() => "closed");
}

async function connectTo(address: string, localAddress = "127.0.0.1"): Promise<Socket> {
  const socket = connect({ port: Number(address.split(":")[1]), host: "127.0.0.1", localAddress });
  socket.on("error", () => {});
  await once(socket, "connect");
  return socket;
}
