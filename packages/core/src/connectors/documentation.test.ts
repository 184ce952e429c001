import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { describe, expect, it, vi } from "vitest";
import { Recorder } from "../../test/wire/recorder.ts";
import { addressOf, closed } from "../../test/wire/tls-origin.ts";
import { DnsCache } from "./dns/dns-cache.ts";
import { NameServerResolver } from "./dns/name-server-resolver.ts";
import { HttpConnector } from "./http-connector.ts";
import { HttpPeer } from "./http-peer.ts";
import { Peer } from "./peer.ts";
import { DEFAULT_PEER_OPTIONS, type PeerOptions } from "./peer-options.ts";
import { TransportConnector } from "./transport-connector.ts";

const page = readFileSync(new URL("../../../../docs/guide/peers-and-pooling.md", import.meta.url), "utf8");

/** Every option: the compiler sees to it that none is missing. */
const names: Record<keyof PeerOptions, true> = {
  connectionTimeoutMs: true,
  totalConnectionTimeoutMs: true,
  readTimeoutMs: true,
  writeTimeoutMs: true,
  ignoreInvalidContentLength: true,
  idleTimeoutMs: true,
  http: true,
  maxStreams: true,
  streamWindowBytes: true,
  connectionWindowBytes: true,
  pingIntervalMs: true,
  maxConnections: true,
  maxPendingRequests: true,
  pendingTimeoutMs: true,
  localAddress: true,
  localPort: true,
  localPortRange: true,
  localAddressFallback: true,
  tcpKeepaliveMs: true,
  tcpKeepaliveIntervalMs: true,
  tcpKeepaliveCount: true,
  dscp: true,
  nextHop: true,
  connect: true,
  proxyProtocol: true,
  tls: true,
  sni: true,
  verifyCert: true,
  verifyHostname: true,
  alternativeName: true,
  ca: true,
  clientCertificate: true,
  alpn: true,
  curves: true,
  groupKey: true,
  tracer: true,
  onSocket: true,
  onTlsHandshake: true,
};

/** The cells of the row that describes an option. */
function row(name: string): string[] | undefined {
  const line = page.split("\n").find((text) => text.startsWith("| ") && text.split("|")[1]?.includes(`\`${name}\``));
  return line?.split("|").map((cell) => cell.trim());
}

describe("docs/guide/peers-and-pooling.md", () => {
  it.each(Object.keys(names))("describes the option %s", (name) => {
    expect(row(name)?.[3]).toBeTruthy();
  });

  it.each(Object.entries(DEFAULT_PEER_OPTIONS))("gives the default of %s: %s", (name, value) => {
    const written =
      typeof value === "boolean" ? `\`${value}\`` : value === Infinity ? "none" : value.toLocaleString("en");
    expect(row(name)?.[2]).toContain(written);
  });

  it("has examples that work, and speak TLS where they say so", () => {
    const examples = Array.from(page.matchAll(/^(new HttpPeer\(.*\)); \/\/ (.*)$/gm));
    expect(examples.length).toBeGreaterThan(4);
    for (const [, expression = "", comment = ""] of examples) {
      const peer: unknown = new Function("HttpPeer", `return ${expression}`)(HttpPeer);
      expect(peer, expression).toBeInstanceOf(HttpPeer);
      expect((peer as HttpPeer).scheme, expression).toBe(comment.startsWith("TLS") ? "https" : "http");
    }
    const [codeOfPeers = "", codeOfLimits = ""] = blocks(/^const options/);
    for (const code of [codeOfPeers, codeOfLimits]) {
      const peers: unknown = new Function("HttpPeer", `${code} return peers;`)(HttpPeer);
      expect(String(peers)).toMatch(/^https?:\/\/10\.0\.0\.7:\d+,https?:\/\/10\.0\.0\.8:\d+$/);
    }
  });

  it("has examples of caches for names, next hops and headers that work", () => {
    const [caches = ""] = blocks(/^const dns/);
    const service = (_configuration: unknown, _callbacks: unknown, options: unknown): unknown => options;
    const run = new Function(
      "DnsCache",
      "NameServerResolver",
      "httpProxyService",
      "server",
      "callbacks",
      caches + RETURN,
    );
    const { registry, given } = run(DnsCache, NameServerResolver, service, {}, {}) as {
      registry: DnsCache;
      given: { connector: object };
    };
    expect(given.connector).toMatchObject({ dns: expect.any(DnsCache) });
    expect(registry).toBeInstanceOf(DnsCache);

    const [hop = ""] = blocks(/^const nextHop/);
    const peer = new Function("HttpPeer", "Peer", `${hop} return peer;`)(HttpPeer, Peer) as HttpPeer;
    expect(peer.nextHopPeer?.sni).toBe("proxy.example");

    const [header = ""] = blocks(/^function upstreamPeer/);
    const upstreamPeer = new Function("HttpPeer", `${header} return upstreamPeer;`)(HttpPeer) as (
      session: object,
    ) => HttpPeer;
    const session = { clientAddress: "192.0.2.1:1", serverAddress: "192.0.2.2:2" };
    expect(upstreamPeer(session).proxyHeader?.length).toBe(28);
  });

  it("has examples of connections made ahead, and for other protocols, that work", async () => {
    const heard = new Recorder<string>();
    const server = createServer((socket) => {
      socket.on("error", () => {});
      socket.on("data", (chunk) => {
        heard.add(String(chunk));
        socket.write("PONG\r\n");
      });
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = addressOf(server);
    const [ahead = "", other = ""] = blocks(/^const connector = new/);
    const preconnect = asyncFunction("HttpConnector", "HttpPeer", "address", `${ahead} return { connector, made };`);
    const { connector, made } = (await preconnect(HttpConnector, HttpPeer, address)) as {
      connector: HttpConnector;
      made: number;
    };
    expect([made, connector.idleConnections]).toEqual([4, 4]);
    connector.close();

    const said = new Recorder<string>();
    const talk = asyncFunction("TransportConnector", "Peer", "address", "console", `${other} return connector;`);
    const console = { log: (text: string) => said.add(text) };
    const transports = (await talk(TransportConnector, Peer, address, console)) as TransportConnector;
    expect(await said.at(0)).toBe("PONG\r\n");
    await vi.waitFor(() => expect(transports.idleConnections).toBe(1));
    expect(heard.items).toEqual(["PING\r\n"]);
    transports.close();
    await closed(server);
  });
});

const RETURN = "\nreturn { registry, given: service };";

/** The code of the examples that begin so. */
function blocks(beginning: RegExp): string[] {
  const all = Array.from(page.matchAll(/```ts\n([\s\S]*?)```/g), ([, code = ""]) => code);
  return all.filter((code) => beginning.test(code));
}

function asyncFunction(...parts: string[]): (...values: unknown[]) => Promise<unknown> {
  const AsyncFunction = (async () => {}).constructor as new (...code: string[]) => () => Promise<unknown>;
  return new AsyncFunction(...parts);
}
