import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { DnsServer } from "../../test/wire/dns-server.ts";
import { FakeClock } from "../../test/wire/fake-clock.ts";
import { settled } from "../../test/wire/raw-peer.ts";
import { ask, sized } from "../../test/wire/test-origin.ts";
import type { Http1ClientSession } from "../http1/client-session.ts";
import { DnsCache } from "./dns/dns-cache.ts";
import { NameServerResolver } from "./dns/name-server-resolver.ts";
import { HttpConnector } from "./http-connector.ts";
import { HttpPeer } from "./http-peer.ts";

const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** Origins on one port of several addresses, each of which answers with its own. */
async function origins(...hosts: string[]): Promise<number> {
  let port = 0;
  for (const host of hosts) {
    const server = createServer((socket) => {
      socket.on("error", () => {});
      socket.on("data", () => socket.write(sized(host)));
    }).listen(port, host);
    await once(server, "listening");
    servers.push(server);
    port = (server.address() as AddressInfo).port; // it listens
  }
  return port;
}

describe("a name whose addresses change while connections are kept", () => {
  async function world(server: DnsServer) {
    const port = await origins("127.0.0.1", "127.0.0.2");
    const resolver = new NameServerResolver({ servers: [server.address], timeoutMs: 60_000, tries: 1 });
    const connector = new HttpConnector({ dns: new DnsCache({ resolver }) });
    const peer = new HttpPeer(`a.example:${port}`);
    /** One request; who answered, and whether on a kept connection. */
    const request = async (): Promise<string> => {
      const session = (await connector.session(peer)) as Http1ClientSession;
      const { sink } = await ask(session);
      const { text } = await sink.body();
      connector.release(session, peer);
      return `${text} ${session.reused ? "kept" : "new"}`;
    };
    return { connector, request };
  }

  it("is reached at the new address; connections to the old one are not used any more", async () => {
    await using server = await DnsServer.start();
    const { connector, request } = await world(server);
    server.set("a.example", ["127.0.0.1"], 10);
    using clock = new FakeClock();
    expect(await request()).toBe("127.0.0.1 new");
    server.set("a.example", ["127.0.0.2"], 10);
    await clock.pass(9_000);
    expect(await request()).toBe("127.0.0.1 kept");
    await clock.pass(1_100);
    // The answer is too old: this request still uses it, and has it renewed.
    expect(await request()).toBe("127.0.0.1 kept");
    await server.questions.count(4);
    await settled();
    expect(await request()).toBe("127.0.0.2 new");
    expect(await request()).toBe("127.0.0.2 kept");
    connector.close();
  });

  it("goes on with kept connections when the address is one of the new ones, or nobody can tell", async () => {
    await using server = await DnsServer.start();
    const { connector, request } = await world(server);
    server.set("a.example", ["127.0.0.1"], 10);
    using clock = new FakeClock();
    expect(await request()).toBe("127.0.0.1 new");
    server.set("a.example", ["127.0.0.2", "127.0.0.1"], 10);
    await clock.pass(11_000);
    for (let i = 0; i < 2; i++) {
      expect(await request()).toBe("127.0.0.1 kept");
      await server.questions.count(4);
      await settled();
    }
    server.fail("a.example", "server-failure");
    await clock.pass(11_000);
    for (let i = 0; i < 2; i++) {
      expect(await request()).toBe("127.0.0.1 kept");
      await server.questions.count(6);
      await settled();
    }
    connector.close();
  });
});
