import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { FakeClock } from "../../test/wire/fake-clock.ts";
import { settled } from "../../test/wire/raw-peer.ts";
import { type PemPair, selfSigned, TestAuthority } from "../../test/wire/test-authority.ts";
import { ask } from "../../test/wire/test-origin.ts";
import { addressOf, closed, tlsOrigin } from "../../test/wire/tls-origin.ts";
import type { Http1ClientSession } from "../http1/client-session.ts";
import { type ConnectOptions, connect } from "./connect.ts";
import { tlsError } from "./connect-error.ts";
import { HttpConnector } from "./http-connector.ts";
import { HttpPeer } from "./http-peer.ts";
import type { PeerOptions } from "./peer-options.ts";

let authority: TestAuthority;
let forA: PemPair;
let forAddresses: PemPair;
let client: PemPair;

beforeAll(async () => {
  authority = await TestAuthority.create();
  forA = await authority.issue({ names: ["a.example"] });
  forAddresses = await authority.issue({ addresses: ["127.0.0.1", "::1"] });
  client = await authority.issue({ subject: "the client" });
});

/** Connects over TLS, trusting the authority of these tests, and hangs up. */
async function handshake(address: string, options: PeerOptions = {}, settings: ConnectOptions = {}): Promise<void> {
  const trusting = { ca: authority.cert, ...settings };
  (await connect(new HttpPeer(address, { tls: true, ...options }), trusting)).end();
}

const invalid = { code: "InvalidCert", source: "upstream", retry: false };

describe("the certificate of an origin", () => {
  it("is accepted when it leads to a trusted root and is for the name (PO-07, PO-08)", async () => {
    await using origin = await tlsOrigin(forA);
    await handshake(origin.address, { sni: "a.example" });
    expect(await origin.secured.at(0)).toMatchObject({ servername: "a.example", alpnProtocol: "http/1.1" });
  });

  it("is refused when it is for another name, unless the name need not match", async () => {
    await using origin = await tlsOrigin(forA);
    const wrong = handshake(origin.address, { sni: "b.example" });
    await expect(wrong).rejects.toMatchObject({
      ...invalid,
      message: expect.stringMatching(/b\.example.*a\.example/s),
    });
    await handshake(origin.address, { sni: "b.example", verifyHostname: false });
  });

  it("may be for the alternative name (PO-10)", async () => {
    await using origin = await tlsOrigin(forA);
    await handshake(origin.address, { sni: "b.example", alternativeName: "a.example" });
    await handshake(origin.address, { sni: "a.example", alternativeName: "b.example" });
    await expect(handshake(origin.address, { sni: "b.example", alternativeName: "c.example" })).rejects.toMatchObject(
      invalid,
    );
  });

  it.each([
    ["has expired", async () => authority.issue({ names: ["a.example"], expired: true })],
    ["is signed by itself", async () => selfSigned({ names: ["a.example"] })],
    [
      "is signed by nobody we trust",
      async () => (await TestAuthority.create("Another")).issue({ names: ["a.example"] }),
    ],
  ])("is refused when it %s, unless certificates are not verified (PO-07)", async (_, issued) => {
    await using origin = await tlsOrigin(await issued());
    const error = await handshake(origin.address, { sni: "a.example" }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ ...invalid, message: expect.stringContaining(origin.address) });
    await expect(handshake(origin.address, { sni: "a.example", verifyHostname: false })).rejects.toMatchObject(invalid);
    await handshake(origin.address, { sni: "a.example", verifyCert: false });
    await handshake(origin.address, { sni: "b.example", verifyCert: false });
  });

  it("is verified by default, against the roots of Node (CVE-2026-107318)", async () => {
    await using origin = await tlsOrigin(forA);
    const peer = new HttpPeer(origin.address, { sni: "a.example" });
    await expect(connect(peer, {})).rejects.toMatchObject(invalid);
  });

  it("is verified against the roots of the peer, in place of those of the configuration (PO-12)", async () => {
    const another = await TestAuthority.create("Another");
    await using origin = await tlsOrigin(await another.issue({ names: ["a.example"] }));
    await handshake(origin.address, { sni: "a.example", ca: another.cert });
    await using ours = await tlsOrigin(forA);
    await expect(handshake(ours.address, { sni: "a.example", ca: another.cert })).rejects.toMatchObject(invalid);
  });
});

describe("the name that is asked for (SNI, RFC 6066, 3)", () => {
  it("is the host of the address, when that is a name", async () => {
    await using origin = await tlsOrigin(await authority.issue({ names: ["localhost"] }));
    await handshake(origin.address.replace("127.0.0.1", "localhost"));
    expect((await origin.secured.at(0)).servername).toBe("localhost");
  });

  it("is none for an IP address, which the certificate has to be for", async () => {
    await using origin = await tlsOrigin(forAddresses);
    await handshake(origin.address);
    expect((await origin.secured.at(0)).servername).toBe(false);
    await using six = await tlsOrigin(forAddresses, { host: "::1" });
    await handshake(six.address);
    expect((await six.secured.at(0)).servername).toBe(false);
    await using wrong = await tlsOrigin(await authority.issue({ addresses: ["127.0.0.9"], names: ["a.example"] }));
    await expect(handshake(wrong.address)).rejects.toMatchObject(invalid);
  });

  it("is none when it is an IP address itself, which is verified all the same", async () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error): number => warnings.push(warning);
    process.on("warning", onWarning);
    await using origin = await tlsOrigin(forAddresses);
    await handshake(origin.address, { sni: "127.0.0.1" });
    expect((await origin.secured.at(0)).servername).toBe(false);
    await expect(handshake(origin.address, { sni: "127.0.0.7" })).rejects.toMatchObject(invalid);
    await settled();
    process.off("warning", onWarning);
    expect(warnings).toEqual([]);
  });

  it("can be left out; then the host of the address is verified", async () => {
    await using origin = await tlsOrigin(await authority.issue({ names: ["localhost"] }));
    const address = origin.address.replace("127.0.0.1", "localhost");
    await handshake(address, { sni: "" });
    expect((await origin.secured.at(0)).servername).toBe(false);
    await using other = await tlsOrigin(forA);
    await expect(handshake(other.address.replace("127.0.0.1", "localhost"), { sni: "" })).rejects.toMatchObject(
      invalid,
    );
  });

  it("has to be given for a Unix socket", async () => {
    const folder = mkdtempSync(join(tmpdir(), "cirque-"));
    {
      await using origin = await tlsOrigin(forA, { path: join(folder, "socket") });
      await handshake(origin.address, { sni: "a.example" });
      expect((await origin.secured.at(0)).servername).toBe("a.example");
      await expect(handshake(origin.address)).rejects.toMatchObject({ code: "InvalidArgument" });
      await expect(handshake(origin.address, { sni: "b.example" })).rejects.toMatchObject(invalid);
    }
    rmSync(folder, { recursive: true });
  });
});

describe("what a peer offers in TLS", () => {
  it("are the groups of the key exchange that it names (PO-21)", async () => {
    await using origin = await tlsOrigin({ ...forA, ecdhCurve: "P-384" });
    await handshake(origin.address, { sni: "a.example", curves: "X25519:P-384" });
    await expect(handshake(origin.address, { sni: "a.example", curves: "X25519" })).rejects.toMatchObject({
      code: "TLSHandshakeFailure",
    });
    await expect(handshake(origin.address, { sni: "a.example", curves: "nonsense" })).rejects.toMatchObject({
      code: "InvalidArgument",
    });
  });

  it("may be key shares of several groups at once, marked with a star (PO-22)", async () => {
    await using origin = await tlsOrigin({ ...forA, ecdhCurve: "X25519" });
    await handshake(origin.address, { sni: "a.example", curves: "*X25519MLKEM768/*X25519" });
    expect((await origin.secured.at(0)).getProtocol()).toBe("TLSv1.3");
  });

  it("is HTTP/1.1, or no protocol at all (PO-11)", async () => {
    await using origin = await tlsOrigin(forA);
    await handshake(origin.address, { sni: "a.example" });
    await handshake(origin.address, { sni: "a.example", alpn: [] });
    const [one, other] = await origin.secured.count(2);
    expect([one?.alpnProtocol, other?.alpnProtocol]).toEqual(["http/1.1", false]);
  });
});

describe("a client certificate (PEER-04)", () => {
  it("is presented when the origin asks for it", async () => {
    await using origin = await tlsOrigin({ ...forA, requestCert: true, ca: authority.cert });
    await handshake(origin.address, { sni: "a.example", clientCertificate: client });
    expect((await origin.secured.at(0)).getPeerCertificate().subject.CN).toBe("the client");
  });

  it("that is missing fails the handshake with TLS 1.2: our fault, not the origin's certificate", async () => {
    await using origin = await tlsOrigin({ ...forA, requestCert: true, ca: authority.cert, maxVersion: "TLSv1.2" });
    await expect(handshake(origin.address, { sni: "a.example" })).rejects.toMatchObject({
      code: "TLSHandshakeFailure",
      source: "upstream",
    });
  });

  it("that is missing fails the exchange with TLS 1.3, which tells it late", async () => {
    await using origin = await tlsOrigin({ ...forA, requestCert: true, ca: authority.cert, minVersion: "TLSv1.3" });
    const connector = new HttpConnector({ ca: authority.cert });
    const peer = new HttpPeer(origin.address, { sni: "a.example" });
    const session = (await connector.session(peer)) as Http1ClientSession;
    await expect(ask(session)).rejects.toMatchObject({ code: "ConnectionClosed", source: "upstream" });
  });

  it("that the origin does not trust fails as well", async () => {
    const stranger = await selfSigned({ subject: "stranger" });
    await using origin = await tlsOrigin({ ...forA, requestCert: true, ca: authority.cert, maxVersion: "TLSv1.2" });
    await expect(handshake(origin.address, { sni: "a.example", clientCertificate: stranger })).rejects.toMatchObject({
      code: "TLSHandshakeFailure",
    });
  });

  it("that is none is an error that says so", async () => {
    await using origin = await tlsOrigin(forA);
    await expect(
      handshake(origin.address, { sni: "a.example", clientCertificate: { cert: "nonsense", key: "nonsense" } }),
    ).rejects.toMatchObject({ code: "InvalidArgument", source: "internal" });
  });
});

describe("a handshake that fails for another reason", () => {
  it.each([
    ["the origin speaks plain HTTP", "HTTP/1.1 400 Bad Request\r\n\r\n"],
    ["the origin hangs up", undefined],
  ])("is TLSHandshakeFailure, and can be tried again: %s", async (_, bytes) => {
    const server = createTcpServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", () => (bytes === undefined ? socket.destroy() : socket.end(bytes)));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    await expect(handshake(addressOf(server), { sni: "a.example" })).rejects.toMatchObject({
      code: "TLSHandshakeFailure",
      source: "upstream",
      retry: true,
    });
    await closed(server);
  });

  it.each([
    // What the origin says of our certificate is not about its own.
    ["ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED", "TLSHandshakeFailure", true],
    ["ERR_SSL_SSL/TLS_ALERT_BAD_CERTIFICATE", "TLSHandshakeFailure", true],
    ["ERR_SSL_TLSV1_ALERT_UNKNOWN_CA", "TLSHandshakeFailure", true],
    ["ECONNRESET", "TLSHandshakeFailure", true],
    ["ERR_TLS_CERT_ALTNAME_INVALID", "InvalidCert", false],
    ["CERT_HAS_EXPIRED", "InvalidCert", false],
    ["CERT_REVOKED", "InvalidCert", false],
    ["DEPTH_ZERO_SELF_SIGNED_CERT", "InvalidCert", false],
    ["SELF_SIGNED_CERT_IN_CHAIN", "InvalidCert", false],
    ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "InvalidCert", false],
    ["UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "InvalidCert", false],
    ["INVALID_CA", "InvalidCert", false],
    ["HOSTNAME_MISMATCH", "InvalidCert", false],
  ])("of %s is %s", (system, code, retry) => {
    const cause = Object.assign(new Error("it did not work"), { code: system });
    expect(tlsError(new HttpPeer("a.example:443"), cause)).toMatchObject({ code, retry, source: "upstream", cause });
  });

  it("is TLSHandshakeFailure when the versions do not meet", async () => {
    await using origin = await tlsOrigin({ ...forA, maxVersion: "TLSv1.1", minVersion: "TLSv1" });
    await expect(handshake(origin.address, { sni: "a.example" })).rejects.toMatchObject({
      code: "TLSHandshakeFailure",
    });
  });

  it("is ConnectRefused when there is nobody to talk to", async () => {
    const origin = await tlsOrigin(forA);
    await origin[Symbol.asyncDispose]();
    await expect(handshake(origin.address, { sni: "a.example" })).rejects.toMatchObject({ code: "ConnectRefused" });
  });

  it.each([
    ["5 s", {}, 5_000],
    ["the total", { totalConnectionTimeoutMs: 3_000 }, 3_000],
    ["its own time", { connectionTimeoutMs: 1_000, totalConnectionTimeoutMs: 30_000 }, 1_000],
  ])("is TLSHandshakeTimedout when the origin says nothing for %s (PO-02, PO-03)", async (_, options, ms) => {
    using clock = new FakeClock();
    let hungUp = false;
    const server = createTcpServer((socket) => {
      socket.on("error", () => {});
      socket.on("close", () => {
        hungUp = true;
      });
      socket.resume();
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const shaking = handshake(addressOf(server), { sni: "a.example", ...options });
    let over = false;
    shaking.then(
      () => {},
      () => {
        over = true;
      },
    );
    await clock.pass(ms - 100);
    expect(over).toBe(false);
    await clock.pass(200);
    await expect(shaking).rejects.toMatchObject({ code: "TLSHandshakeTimedout", source: "upstream", retry: true });
    await settled();
    expect(hungUp).toBe(true);
    await closed(server);
  });
});
