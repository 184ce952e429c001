import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { FakeClock } from "../../test/wire/fake-clock.ts";
import { settled } from "../../test/wire/raw-peer.ts";
import { Recorder } from "../../test/wire/recorder.ts";
import { TestAuthority } from "../../test/wire/test-authority.ts";
import { TestOrigin } from "../../test/wire/test-origin.ts";
import { tlsOrigin } from "../../test/wire/tls-origin.ts";
import type { Connection, ConnectionListener } from "../connection/connection.ts";
import { Peer } from "./peer.ts";
import type { PeerOptions } from "./peer-options.ts";
import { TransportConnector } from "./transport-connector.ts";

/** What comes on a connection, for a test. */
class Listening implements ConnectionListener {
  readonly received = new Recorder<string>();
  readonly closed = new Recorder<Error | undefined>();

  static to(connection: Connection): Listening {
    const listening = new Listening();
    connection.listener = listening;
    connection.resume();
    return listening;
  }

  onBytes(chunk: Buffer): void {
    this.received.add(chunk.toString());
  }
  onEnd(): void {}
  onDrain(): void {}
  onClose(error: Error | undefined): void {
    this.closed.add(error);
  }
}

describe("TransportConnector (POOL-13)", () => {
  async function world(options: PeerOptions = {}) {
    const origin = await TestOrigin.start();
    const connector = new TransportConnector();
    return {
      origin,
      connector,
      peer: new Peer(origin.address, options),
      async [Symbol.asyncDispose]() {
        connector.close();
        await origin[Symbol.asyncDispose]();
      },
    };
  }

  it("gives connections that carry whatever is spoken, again and again", async () => {
    await using test = await world();
    for (const word of ["PING", "PONG"]) {
      const connection = await test.connector.connect(test.peer);
      expect(connection.exchanges).toBe(word === "PING" ? 1 : 2);
      const listening = Listening.to(connection);
      connection.write(word);
      const origin = await test.origin.connections.at(0);
      await origin.until(word);
      origin.send(`+${word}`);
      expect(await listening.received.at(0)).toBe(`+${word}`);
      test.connector.release(connection, test.peer);
      expect(test.connector.idleConnections).toBe(1);
    }
    expect(test.origin.connections.length).toBe(1);
    expect(test.connector.connect(test.peer)).not.toBeInstanceOf(Promise);
    const fresh = await test.connector.connect(test.peer, true);
    expect(fresh.exchanges).toBe(1);
    fresh.destroy();
  });

  it.each<[string, (connection: Connection) => void]>([
    ["was closed", (connection) => connection.destroy()],
    ["was ended", (connection) => connection.end()],
  ])("does not keep one that %s", async (_, happens) => {
    await using test = await world();
    const connection = await test.connector.connect(test.peer);
    happens(connection);
    test.connector.release(connection, test.peer);
    expect([test.connector.idleConnections, connection.closed]).toEqual([0, true]);
  });

  it("does not keep one whose other end has ended", async () => {
    await using test = await world();
    const connection = await test.connector.connect(test.peer);
    Listening.to(connection);
    (await test.origin.connections.at(0)).end();
    await once(connection.socket, "end");
    test.connector.release(connection, test.peer);
    expect(connection.closed).toBe(true);
  });

  it.each(["end", "reset"] as const)("drops a kept one when the other side goes (%s)", async (how) => {
    await using test = await world();
    test.connector.release(await test.connector.connect(test.peer), test.peer);
    (await test.origin.connections.at(0))[how]();
    await settled();
    expect(test.connector.idleConnections).toBe(0);
    expect(test.connector.unexpectedDataConnections).toBe(0);
  });

  it("drops a kept one on which something comes, also what was there before and nobody had read", async () => {
    await using test = await world();
    const connection = await test.connector.connect(test.peer);
    const origin = await test.origin.connections.at(0);
    await origin.sendNow("unread");
    await settled();
    test.connector.release(connection, test.peer);
    await settled();
    expect(test.connector.idleConnections).toBe(0);
    expect(test.connector.unexpectedDataConnections).toBe(1);
    await origin.whenClosed();
  });

  it("keeps one for idleTimeoutMs, and none with 0", async () => {
    await using test = await world({ idleTimeoutMs: 1_000 });
    using clock = new FakeClock();
    test.connector.release(await test.connector.connect(test.peer), test.peer);
    await clock.pass(990);
    expect(test.connector.idleConnections).toBe(1);
    await clock.pass(20);
    expect(test.connector.idleConnections).toBe(0);
    const never = new Peer(test.origin.address, { idleTimeoutMs: 0 });
    test.connector.release(await test.connector.connect(never), never);
    expect(test.connector.idleConnections).toBe(0);
  });

  it("makes connections ahead, and keeps within the limit of a peer", async () => {
    await using test = await world({ maxConnections: 1 });
    expect(await test.connector.preconnect(test.peer, 5)).toBe(1);
    const connection = await test.connector.connect(test.peer);
    const next = Promise.resolve(test.connector.connect(test.peer));
    test.connector.release(connection, test.peer);
    expect(await next).toBe(connection);
    expect(connection.exchanges).toBe(2);
  });

  it("speaks TLS with the protocol that the peer offers (PO-11, CONN-06)", async () => {
    const authority = await TestAuthority.create();
    await using origin = await tlsOrigin({
      ...(await authority.issue({ names: ["a.example"] })),
      ALPNProtocols: ["custom/1"],
    });
    const connector = new TransportConnector({ ca: authority.cert });
    const connection = await connector.connect(new Peer(origin.address, { sni: "a.example", alpn: ["custom/1"] }));
    expect(connection.tls?.alpnProtocol).toBe("custom/1");
    connection.destroy();
    connector.close();
  });

  it("closes what is idle when it is closed, and keeps nothing after", async () => {
    await using test = await world();
    const [idle, busy] = [await test.connector.connect(test.peer), await test.connector.connect(test.peer, true)];
    test.connector.release(idle, test.peer);
    test.connector.close();
    test.connector.release(busy, test.peer);
    expect([idle.closed, busy.closed]).toEqual([true, true]);
  });

  it("refuses sizes that would bound nothing", () => {
    expect(() => new TransportConnector({ poolSize: -1 })).toThrow(RangeError);
  });
});
