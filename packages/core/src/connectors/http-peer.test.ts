import { PassThrough } from "node:stream";
import { describe, expect, it } from "vitest";
import { HttpPeer } from "./http-peer.ts";
import type { NextHop } from "./next-hop.ts";
import { checkTlsName, Peer } from "./peer.ts";
import { DEFAULT_PEER_OPTIONS, type PeerOptions } from "./peer-options.ts";

const address = "10.0.0.1:443";

describe("HttpPeer", () => {
  it.each([
    ["127.0.0.1:80", { host: "127.0.0.1", port: 80 }],
    ["[::1]:8080", { host: "::1", port: 8080 }],
    ["origin.example:443", { host: "origin.example", port: 443 }],
    ["unix:/run/origin.sock", { path: "/run/origin.sock" }],
    ["/run/origin.sock", { path: "/run/origin.sock" }],
  ])("has the address %s (PEER-01, PEER-02)", (text, parsed) => {
    const peer = new HttpPeer(text);
    expect(peer.socketAddress).toEqual(parsed);
    expect(peer.address).toBe(text);
    expect(new HttpPeer(text).socketAddress).toBe(peer.socketAddress);
  });

  it.each([
    "",
    "127.0.0.1",
    "127.0.0.1:0",
    "127.0.0.1:65536",
    "::1:80",
    "[::1]",
    "a b:80",
    "unix:",
    "http://a:80",
    "a:80/b",
  ])("refuses the address %j, and says what one looks like", (text) => {
    expect(() => new HttpPeer(text)).toThrow(
      expect.objectContaining({ code: "InvalidArgument", message: expect.stringContaining("127.0.0.1:8080") }),
    );
  });

  it("has the documented defaults", () => {
    expect(new HttpPeer(address).options).toEqual({
      connectionTimeoutMs: 5_000,
      totalConnectionTimeoutMs: Number.POSITIVE_INFINITY,
      readTimeoutMs: 60_000,
      writeTimeoutMs: 60_000,
      idleTimeoutMs: 60_000,
      http: "1",
      maxStreams: 100,
      streamWindowBytes: 131_072,
      connectionWindowBytes: 16_777_216,
      pingIntervalMs: Number.POSITIVE_INFINITY,
      ignoreInvalidContentLength: false,
      maxConnections: Number.POSITIVE_INFINITY,
      maxPendingRequests: 1_024,
      pendingTimeoutMs: 5_000,
      localAddressFallback: false,
      tls: false,
      verifyCert: true,
      verifyHostname: true,
    });
    expect(new HttpPeer(address)).toMatchObject({ scheme: "http", sni: undefined });
  });

  it("keeps a default where an option is undefined: an unset variable must not switch verification off", () => {
    const unset = Object.fromEntries(Object.keys(DEFAULT_PEER_OPTIONS).map((name) => [name, undefined]));
    expect(new HttpPeer(address, unset as PeerOptions).options).toEqual(DEFAULT_PEER_OPTIONS);
    const partly = { tls: true, verifyHostname: undefined, readTimeoutMs: 5 } as unknown as PeerOptions;
    expect(new HttpPeer(address, partly).options).toEqual({ ...DEFAULT_PEER_OPTIONS, tls: true, readTimeoutMs: 5 });
  });

  it.each([
    { connectionTimeoutMs: -1 },
    { readTimeoutMs: Number.NaN },
    { idleTimeoutMs: "60" },
    { writeTimeoutMs: null },
  ])("refuses %o, and names the option", (options) => {
    const [name = ""] = Object.keys(options);
    expect(() => new HttpPeer(address, options as unknown as PeerOptions)).toThrow(
      expect.objectContaining({ code: "InvalidArgument", message: expect.stringContaining(name) }),
    );
  });

  it("speaks TLS when it is told to, or has a name to ask for", () => {
    expect(new HttpPeer(address, { tls: true })).toMatchObject({ scheme: "https", sni: undefined });
    expect(new HttpPeer(address, { sni: "a.example" })).toMatchObject({ scheme: "https", sni: "a.example" });
    expect(new HttpPeer(address, { sni: "a.example", tls: false })).toMatchObject({ scheme: "http", sni: undefined });
    expect(String(new HttpPeer(address, { tls: true }))).toBe("https://10.0.0.1:443");
  });

  it("asks for the host of its address, if that is a name, unless told otherwise", () => {
    expect(new HttpPeer("a.example:443", { tls: true }).sni).toBe("a.example");
    expect(new HttpPeer("a.example:443", { tls: true, sni: "b.example" }).sni).toBe("b.example");
    expect(new HttpPeer("a.example:443", { tls: true, sni: "" }).sni).toBeUndefined();
    expect(new HttpPeer("a.example.:443", { tls: true }).sni).toBe("a.example");
    expect(new HttpPeer("127.0.0.1:443", { tls: true }).sni).toBeUndefined();
    expect(new HttpPeer("[::1]:443", { tls: true }).sni).toBeUndefined();
    expect(new HttpPeer("unix:/x", { tls: true }).sni).toBeUndefined();
  });

  it("needs a name to verify the certificate of a Unix socket against", () => {
    expect(() => checkTlsName(new HttpPeer("unix:/x", { tls: true }))).toThrow(
      expect.objectContaining({ code: "InvalidArgument", message: expect.stringContaining("sni") }),
    );
    for (const options of [{}, { sni: "a" }, { tls: true, verifyHostname: false }, { tls: true, verifyCert: false }]) {
      expect(() => checkTlsName(new HttpPeer("unix:/x", options))).not.toThrow();
    }
  });
});

describe("peers share connections only when nothing that matters differs (POOL-01, POOL-02)", () => {
  const tls: PeerOptions = { tls: true, sni: "a.example" };
  const pem = (name: string): { cert: string; key: string } => ({ cert: `cert of ${name}`, key: `key of ${name}` });

  const hop = (peer: string | Peer, more: Partial<NextHop> = {}): NextHop => ({ protocol: "connect", peer, ...more });
  const chained = (first: string): Peer => new Peer("10.0.0.9:1", { nextHop: hop(first) });

  it.each<[string, PeerOptions, PeerOptions]>([
    ["TLS", {}, { tls: true }],
    ["the name to ask for", tls, { ...tls, sni: "b.example" }],
    ["a name and none", tls, { tls: true }],
    ["verification of the certificate", tls, { ...tls, verifyCert: false }],
    ["verification of the name", tls, { ...tls, verifyHostname: false }],
    ["another acceptable name", tls, { ...tls, alternativeName: "c.example" }],
    ["two other acceptable names", { ...tls, alternativeName: "b" }, { ...tls, alternativeName: "c" }],
    ["trust roots", tls, { ...tls, ca: "roots" }],
    ["a client certificate and none", tls, { ...tls, clientCertificate: pem("a") }],
    ["two client certificates", { ...tls, clientCertificate: pem("a") }, { ...tls, clientCertificate: pem("b") }],
    [
      "the key of a client certificate",
      { ...tls, clientCertificate: pem("a") },
      { ...tls, clientCertificate: { ...pem("a"), key: "another" } },
    ],
    ["the group", { groupKey: "a" }, { groupKey: "b" }],
    ["a group and none", {}, { groupKey: "a" }],
    ["an empty group and none", {}, { groupKey: "" }],
    ["the source address", { localAddress: "127.0.0.2" }, { localAddress: "127.0.0.3" }],
    ["a source address and none", {}, { localAddress: "127.0.0.2" }],
    ["the source port", { localPort: 4000 }, { localPort: 4001 }],
    ["the source ports", { localPortRange: [4000, 4001] }, { localPortRange: [4000, 4002] }],
    ["whether the source must be that", { localPort: 4000 }, { localPort: 4000, localAddressFallback: true }],
    ["the marks of packets", { dscp: 10 }, { dscp: 46 }],
    ["what is offered in TLS", tls, { ...tls, alpn: [] }],
    ["the version of HTTP in TLS", tls, { ...tls, http: "2" }],
    ["whether the peer may choose the version", { ...tls, http: "2" }, { ...tls, http: "2-or-1" }],
    ["the version of HTTP without TLS", {}, { http: "2" }],
    ["the groups of the key exchange", tls, { ...tls, curves: "X25519" }],
    ["the next hop", { nextHop: hop("10.0.0.9:1") }, { nextHop: hop("10.0.0.9:2") }],
    [
      "the protocol of the next hop",
      { nextHop: hop("10.0.0.9:1") },
      { nextHop: hop("10.0.0.9:1", { protocol: "socks5" }) },
    ],
    ["TLS with the next hop", { nextHop: hop("10.0.0.9:1") }, { nextHop: hop(new Peer("10.0.0.9:1", { tls: true })) }],
    ["the next hop of the next hop", { nextHop: hop(chained("10.0.0.8:1")) }, { nextHop: hop(chained("10.0.0.8:2")) }],
    [
      "the fields for the next hop",
      { nextHop: hop("10.0.0.9:1", { headers: { a: "1" } }) },
      { nextHop: hop("10.0.0.9:1", { headers: { a: "2" } }) },
    ],
    [
      "who asks the next hop",
      { nextHop: hop("10.0.0.9:1", { credentials: { username: "a", password: "1" } }) },
      { nextHop: hop("10.0.0.9:1", { credentials: { username: "b", password: "1" } }) },
    ],
    [
      "the password for the next hop",
      { nextHop: hop("10.0.0.9:1", { credentials: { username: "a", password: "1" } }) },
      { nextHop: hop("10.0.0.9:1", { credentials: { username: "a", password: "2" } }) },
    ],
    ["the transport", { connect: () => new PassThrough() }, { connect: () => new PassThrough() }],
    ["a transport and none", {}, { connect: () => new PassThrough() }],
    ["a header of the PROXY protocol and none", {}, { proxyProtocol: {} }],
    ["the version of the PROXY protocol", { proxyProtocol: {} }, { proxyProtocol: { version: 1 } }],
    [
      "the client in a header of the PROXY protocol",
      { proxyProtocol: { source: "192.0.2.1:1", destination: "192.0.2.9:1" } },
      { proxyProtocol: { source: "192.0.2.1:2", destination: "192.0.2.9:1" } },
    ],
    ["what could be joined to the same text", { groupKey: "a,b" }, { groupKey: "a", localAddress: "b" }],
  ])("not when %s differs", (_, one, other) => {
    expect(new HttpPeer(address, one).reuseKey).not.toBe(new HttpPeer(address, other).reuseKey);
  });

  it("not when the address differs", () => {
    expect(new HttpPeer("10.0.0.1:443").reuseKey).not.toBe(new HttpPeer("10.0.0.1:444").reuseKey);
    expect(new HttpPeer("10.0.0.1:443", tls).reuseKey).not.toBe(new HttpPeer("10.0.0.2:443", tls).reuseKey);
  });

  it.each<[string, PeerOptions, PeerOptions]>([
    ["nothing", tls, { ...tls }],
    [
      "only time-outs",
      {},
      { connectionTimeoutMs: 1, totalConnectionTimeoutMs: 2, readTimeoutMs: 3, writeTimeoutMs: 4 },
    ],
    ["only how long it is kept", tls, { ...tls, idleTimeoutMs: 1, tcpKeepaliveMs: 1_000 }],
    [
      "only limits, probes and hooks",
      {},
      { maxConnections: 1, tcpKeepaliveIntervalMs: 1_000, tracer: {}, onSocket() {}, onTlsHandshake() {} },
    ],
    ["a next hop that is written out", { nextHop: hop("10.0.0.9:1") }, { nextHop: hop(new Peer("10.0.0.9:1")) }],
    ["only what is the default anyway", {}, { tls: false, verifyCert: true, verifyHostname: true }],
    ["only TLS options, without TLS", {}, { tls: false, sni: "a", verifyCert: false, ca: "roots" }],
  ])("when %s differs", (_, one, other) => {
    expect(new HttpPeer(address, one).reuseKey).toBe(new HttpPeer(address, other).reuseKey);
  });

  it("is a short key, however long the certificates are, and one without passwords", () => {
    const long = "x".repeat(100_000);
    const credentials = { username: "user", password: "secret" };
    const { reuseKey } = new HttpPeer(address, {
      ...tls,
      ca: long,
      clientCertificate: { cert: long, key: `${long}y` },
      nextHop: hop("10.0.0.9:1", { credentials }),
    });
    expect(reuseKey.length).toBeLessThan(500);
    expect(reuseKey).not.toContain("secret");
  });

  it("never gives two certificates the same key, however many there are", () => {
    const keys = new Set<string>();
    for (let i = 0; i < 3_000; i++) keys.add(new HttpPeer(address, { ...tls, ca: `roots ${i}` }).reuseKey);
    expect(keys.size).toBe(3_000);
  });
});

describe("options that cannot be right", () => {
  it.each<[string, object]>([
    ["maxConnections", { maxConnections: 0 }],
    ["maxPendingRequests", { maxPendingRequests: -1 }],
    ["localPort", { localPort: 65_536 }],
    ["localPortRange", { localPortRange: [2, 1] }],
    ["localPortRange", { localPortRange: [0, 1] }],
    ["localPortRange", { localPortRange: [1.5, 2] }],
    ["localPortRange", { localPortRange: [1, 2], localPort: 1 }],
    ["dscp", { dscp: 64 }],
    ["alpn", { alpn: [""] }],
    ["alpn", { alpn: "http/1.1" }],
    ["alpn", { alpn: ["x".repeat(256)] }],
    ["alpn", { alpn: ["h2", "http/1.1"] }],
    ["alpn", { http: "2", alpn: ["http/1.1"] }],
    ["http", { http: "3" }],
    ["maxStreams", { maxStreams: 0 }],
    ["streamWindowBytes", { streamWindowBytes: 2 ** 31 }],
    ["connectionWindowBytes", { connectionWindowBytes: 0 }],
    ["pingIntervalMs", { pingIntervalMs: 0 }],
    ["connect", { connect: "tcp" }],
    ["nextHop.protocol", { nextHop: { protocol: "http", peer: "10.0.0.9:1" } }],
  ])("are refused by name: %s in %j", (option, options) => {
    expect(() => new HttpPeer(address, options)).toThrow(
      expect.objectContaining({ code: "InvalidArgument", message: expect.stringContaining(option) }),
    );
  });

  it("may be right for a peer of another protocol: alpn (PEER-05, PO-11)", () => {
    const peer = new Peer(address, { tls: true, alpn: ["imap"] });
    expect([peer.alpn, String(peer)]).toEqual([["imap"], `tls://${address}`]);
    expect(new Peer(address).alpn).toEqual([]);
    expect(new HttpPeer(address, { tls: true, alpn: [] }).alpn).toEqual([]);
    expect(new HttpPeer(address, { tls: true }).alpn).toEqual(["http/1.1"]);
  });
});

describe("the version of HTTP (PO-11)", () => {
  it.each<[PeerOptions, string, readonly string[]]>([
    [{ tls: true }, "1", ["http/1.1"]],
    [{ tls: true, http: "2" }, "2", ["h2"]],
    [{ tls: true, http: "2-or-1" }, "2-or-1", ["h2", "http/1.1"]],
    [{ tls: true, http: "2-or-1", alpn: ["h2", "http/1.1"] }, "2-or-1", ["h2", "http/1.1"]],
    [{ http: "2" }, "2", ["h2"]],
    [{ http: "2-or-1" }, "1", ["h2", "http/1.1"]],
  ])("of a peer with %j is %s", (options, http, alpn) => {
    const peer = new HttpPeer(address, options);
    expect([peer.http, peer.alpn]).toEqual([http, alpn]);
  });

  it("may be lowered to 1 for one request: that peer is the same as one that never knew another", () => {
    const peer = new HttpPeer(address, { sni: "a.example", http: "2-or-1", groupKey: "a" });
    expect(peer.overHttp1.reuseKey).toBe(new HttpPeer(address, { sni: "a.example", groupKey: "a" }).reuseKey);
    expect(peer.overHttp1.overHttp1).toBe(peer.overHttp1);
  });
});
