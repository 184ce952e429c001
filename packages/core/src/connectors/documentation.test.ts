import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { HttpPeer } from "./http-peer.ts";
import { DEFAULT_PEER_OPTIONS, type PeerOptions } from "./peer-options.ts";

const page = readFileSync(new URL("../../../../docs/guide/peers-and-pooling.md", import.meta.url), "utf8");

/** Every option: the compiler sees to it that none is missing. */
const names: Record<keyof PeerOptions, true> = {
  connectionTimeoutMs: true,
  totalConnectionTimeoutMs: true,
  readTimeoutMs: true,
  writeTimeoutMs: true,
  ignoreInvalidContentLength: true,
  idleTimeoutMs: true,
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
    const code = /```ts\n(const options[\s\S]*?)```/.exec(page)?.[1] ?? "";
    const peers: unknown = new Function("HttpPeer", `${code} return peers;`)(HttpPeer);
    expect(String(peers)).toBe("https://10.0.0.7:443,https://10.0.0.8:443");
  });
});
