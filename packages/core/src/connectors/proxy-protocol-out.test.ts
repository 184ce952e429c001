import { createServer, type Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { beforeAll, describe, expect, it } from "vitest";
import { SocksServer } from "../../test/wire/socks-server.ts";
import { type PemPair, TestAuthority } from "../../test/wire/test-authority.ts";
import { ask, sized, TestOrigin } from "../../test/wire/test-origin.ts";
import { addressOf, closed } from "../../test/wire/tls-origin.ts";
import type { Http1ClientSession } from "../http1/client-session.ts";
import { encodeProxyHeader } from "../proxy-protocol/encode-proxy-header.ts";
import { HttpConnector } from "./http-connector.ts";
import { HttpPeer } from "./http-peer.ts";

const CLIENT = { source: "192.0.2.1:56324", destination: "198.51.100.2:443" };

let authority: TestAuthority;
let forA: PemPair;

beforeAll(async () => {
  authority = await TestAuthority.create();
  forA = await authority.issue({ names: ["a.example"] });
});

describe("a header of the PROXY protocol to an origin (CONN-08)", () => {
  it.each([1, 2] as const)("of version %i comes before the first request, and once", async (version) => {
    await using test = await TestOrigin.start();
    const options = { proxyProtocol: { version, ...CLIENT } };
    const { session, origin, peer } = await test.connected(options);
    const header = encodeProxyHeader(options.proxyProtocol).toString("latin1");
    const response = ask(session);
    expect((await origin.until("\r\n\r\n")).startsWith(`${header}GET / HTTP/1.1\r\n`)).toBe(true);
    origin.clear().send(sized("hello"));
    await (await response).sink.body();
    test.connector.release(session, peer);
    const next = ask(test.connector.session(test.peer(options)) as Http1ClientSession);
    expect(await origin.until("\r\n\r\n")).toMatch(/^GET /);
    origin.send(sized("hello"));
    await (await next).sink.body();
    expect(test.connections.length).toBe(1);
  });

  it("is about one client: another one gets a connection of its own", async () => {
    await using test = await TestOrigin.start();
    const { session, origin, peer } = await test.connected({ proxyProtocol: CLIENT });
    const response = ask(session);
    await origin.until("\r\n\r\n");
    origin.send(sized("hello"));
    await (await response).sink.body();
    test.connector.release(session, peer);
    for (const other of [{ ...CLIENT, source: "192.0.2.1:56325" }, { ...CLIENT, version: 1 as const }, {}]) {
      expect((await test.session(test.peer({ proxyProtocol: other }))).reused).toBe(false);
    }
    expect((await test.session()).reused).toBe(false);
    expect((await test.session(test.peer({ proxyProtocol: { ...CLIENT } }))).reused).toBe(true);
  });

  it("goes before TLS, and through a tunnel", async () => {
    const header = encodeProxyHeader(CLIENT);
    const begins: Buffer[] = [];
    const transports: Socket[] = [];
    const server = createServer((transport) => {
      transports.push(transport);
      transport.once("readable", () => {
        begins.push(transport.read(header.length));
        const secured = new TLSSocket(transport, { isServer: true, ...forA, ALPNProtocols: ["http/1.1"] });
        secured.on("error", () => {});
        secured.once("data", () => secured.end(sized("hello", "Connection: close\r\n")));
      });
    }).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    {
      await using proxy = await SocksServer.start();
      const connector = new HttpConnector({ ca: authority.cert });
      const nextHop = { protocol: "socks5", peer: proxy.address } as const;
      for (const more of [{}, { nextHop }]) {
        const peer = new HttpPeer(addressOf(server), { sni: "a.example", proxyProtocol: CLIENT, ...more });
        const { sink } = await ask((await connector.session(peer)) as Http1ClientSession);
        expect((await sink.body()).text).toBe("hello");
      }
      connector.close();
    }
    expect(begins.map((begin) => begin.equals(header))).toEqual([true, true]);
    await closed(server, transports);
  });

  it("that cannot be said is InvalidArgument", async () => {
    const connector = new HttpConnector();
    const peer = new HttpPeer("127.0.0.1:80", { proxyProtocol: { source: "a.example:1", destination: "192.0.2.1:1" } });
    await expect((async () => connector.session(peer))()).rejects.toMatchObject({ code: "InvalidArgument" });
  });
});
