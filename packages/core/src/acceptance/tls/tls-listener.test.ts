import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { get } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TestService } from "../../../test/acceptance/test-service.ts";
import { testContext } from "../../../test/server/test-context.ts";
import { type PemPair, selfSigned, TestAuthority } from "../../../test/wire/test-authority.ts";
import { metricsService } from "../../observability/metrics-service.ts";
import { ListeningService } from "../../services/listening-service.ts";
import type { TlsSettings } from "./tls-settings.ts";

let directory: string;
let authority: TestAuthority;
let site: PemPair;
let other: PemPair;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "cirque-tls-"));
  authority = await TestAuthority.create();
  site = await authority.issue({ names: ["site.example"], subject: "site" });
  other = await authority.issue({ names: ["other.example"], subject: "other" });
});

afterAll(() => rmSync(directory, { recursive: true }));

describe("a TLS listener", () => {
  it("serves with PEM text, and with files", async () => {
    await using fromText = await listening({});
    expect(
      await fromText.tlsOutcome({ ca: authority.cert, servername: "site.example", rejectUnauthorized: true }),
    ).toBe("echoed");
    await using fromFiles = await listening({ cert: file("site.pem", site.cert), key: file("site.key", site.key) });
    expect(await fromFiles.tlsOutcome()).toBe("echoed");
  });

  it("tells the handler, paused and half open, what was agreed on", async () => {
    await using test = await listening({ alpn: ["h2", "http/1.1"] });
    const client = await test.tlsClient({ servername: "site.example", ALPNProtocols: ["http/1.1", "h2"] });
    const { socket, accepted } = await test.handled.at(0);
    expect(accepted.tls).toEqual({
      protocol: "TLSv1.3",
      cipher: client.getCipher().name,
      alpnProtocol: "h2",
      serverName: "site.example",
      resumed: false,
      handshakeMs: expect.any(Number),
      clientCertificate: undefined,
      extension: undefined,
    });
    expect(accepted.tls?.handshakeMs).toBeGreaterThan(0);
    expect(accepted.clientAddress).toBe(`127.0.0.1:${client.localPort}`);
    expect(accepted.serverAddress).toBe(test.address);
    expect(accepted.endpoint.address).toBe("127.0.0.1:0");
    expect(socket.allowHalfOpen).toBe(true);
    expect(await test.metric("cirque_tls_handshake_duration_seconds_count.*")).toBe(1);
  });

  it("speaks TLS 1.2 and 1.3, and nothing older", async () => {
    await using test = await listening({});
    expect(await test.tlsOutcome({ maxVersion: "TLSv1.2" })).toBe("echoed");
    expect(await test.tlsOutcome({ minVersion: "TLSv1.3" })).toBe("echoed");
    const old = { minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "ALL@SECLEVEL=0" } as const;
    expect(await test.tlsOutcome(old)).toMatch(/protocol version/);
    await expect.poll(() => test.refused("tls-version")).toBe(1);
  });

  it("takes the versions it is told to", async () => {
    await using test = await listening({ minVersion: "TLSv1.3" });
    expect(await test.tlsOutcome({ maxVersion: "TLSv1.2" })).toMatch(/protocol version/);
    await using older = await listening({ maxVersion: "TLSv1.2" });
    expect((await older.tlsClient()).getProtocol()).toBe("TLSv1.2");
  });

  it("knows no cipher without forward secrecy, and no renegotiation", async () => {
    await using test = await listening({});
    const weak = { maxVersion: "TLSv1.2", ciphers: "ECDHE-ECDSA-AES128-SHA:AES128-GCM-SHA256" } as const;
    expect(await test.tlsOutcome(weak)).toMatch(/handshake failure/);
    await expect.poll(() => test.refused("tls-no-common-cipher")).toBe(1);
    const client = await test.tlsClient({ maxVersion: "TLSv1.2" });
    const failed = new Promise((resolve) => client.on("error", resolve));
    client.renegotiate({}, () => {});
    expect(await failed).toMatchObject({ code: "ERR_SSL_NO_RENEGOTIATION" });
  });

  it("passes on any other option of node:tls", async () => {
    await using test = await listening({ options: { ciphers: "TLS_CHACHA20_POLY1305_SHA256" } });
    expect((await test.tlsClient()).getCipher().name).toBe("TLS_CHACHA20_POLY1305_SHA256");
  });

  it("listens on a Unix socket as well", async () => {
    const path = join(directory, "tls.sock");
    await using test = await TestService.start((service) => service.addUnix(path, { tls: site }));
    const client = await test.tlsClient({ path, host: undefined as never, port: undefined as never });
    client.write("hello");
    expect(String((await once(client, "data"))[0])).toBe("hello");
    expect((await test.handled.at(0)).accepted.clientAddress).toBe("unix:");
  });
});

describe("the metrics service", () => {
  it("is served over TLS, to whoever has a certificate", async () => {
    const context = testContext();
    const service = metricsService().addTls("127.0.0.1:0", { ...site, clientCertificates: { ca: authority.cert } });
    await service.start(context);
    const identity = await authority.issue({});
    const port = Number(service.addresses()[0]?.split(":").at(-1));
    const request = get({ ...identity, port, host: "127.0.0.1", rejectUnauthorized: false, agent: false });
    const [response] = await once(request, "response");
    let text = "";
    for await (const chunk of response) text += String(chunk);
    expect(text).toMatch(/^cirque_connections_accepted_total\{.*service="metrics".*\} 1$/m);
    await service.stop(new AbortController().signal);
  });
});

describe("ALPN", () => {
  it.each<[string, TlsSettings["alpn"], string[], string]>([
    ["by default HTTP/1.1", undefined, ["h2", "http/1.1"], "http/1.1"],
    ["the one that the server prefers", ["h2", "http/1.1"], ["http/1.1", "h2"], "h2"],
    ["one of the user's own", ["mqtt"], ["mqtt"], "mqtt"],
    ["none where it is left out", [], ["h2"], "false"],
  ])("chooses %s", async (_what, alpn, offered, expected) => {
    await using test = await listening(alpn === undefined ? {} : { alpn });
    expect(String((await test.tlsClient({ ALPNProtocols: offered })).alpnProtocol)).toBe(expected);
    const { accepted } = await test.handled.at(0);
    expect(String(accepted.tls?.alpnProtocol ?? false)).toBe(expected);
  });

  it("ends in a fatal alert for a client that offers others only", async () => {
    await using test = await listening({ alpn: ["h2"] });
    expect(await test.tlsOutcome({ ALPNProtocols: ["http/1.1"] })).toMatch(/no application protocol/);
    await expect.poll(() => test.refused("tls-alpn")).toBe(1);
    expect(test.handled.length).toBe(0);
  });

  it("is not needed where HTTP/1.1 is among them, and is where it is not", async () => {
    await using both = await listening({ alpn: ["h2", "http/1.1"] });
    expect(await both.tlsOutcome()).toBe("echoed");
    await using only = await listening({ alpn: ["h2"] });
    expect(await only.tlsOutcome()).not.toBe("echoed");
    await expect.poll(() => only.refused("tls-alpn")).toBe(1);
    expect(only.handled.length).toBe(0);
  });
});

describe("client certificates", () => {
  it("are facts of the connection", async () => {
    await using test = await listening({ clientCertificates: { ca: authority.cert } });
    const client = await authority.issue({ subject: "client,O=Example", names: ["client.example"] });
    expect(await test.tlsOutcome(client)).toBe("echoed");
    const { accepted } = await test.handled.at(0);
    expect(accepted.tls?.clientCertificate).toEqual({
      authorized: true,
      authorizationError: undefined,
      subject: expect.stringContaining("CN=client"),
      issuer: "CN=Test authority",
      serialNumber: expect.stringMatching(/^[0-9A-F]+$/),
      fingerprint256: expect.stringMatching(/^([0-9A-F]{2}:){31}[0-9A-F]{2}$/),
      subjectAltName: "DNS:client.example",
    });
  });

  it("are refused when they are missing, expired, or of another authority", async () => {
    await using test = await listening({ clientCertificates: { ca: file("ca.pem", authority.cert) } });
    const stranger = await (await TestAuthority.create()).issue({});
    expect(await test.tlsOutcome()).not.toBe("echoed");
    expect(await test.tlsOutcome(await authority.issue({ expired: true }))).not.toBe("echoed");
    expect(await test.tlsOutcome(stranger)).not.toBe("echoed");
    expect(await test.tlsOutcome(await selfSigned({}))).not.toBe("echoed");
    await expect.poll(() => test.refused("tls-client-certificate")).toBe(4);
    expect(test.handled.length).toBe(0);
    expect(test.refusals.map(({ message }) => message).join()).toContain("CERT_HAS_EXPIRED");
    // The next one is served.
    expect(await test.tlsOutcome(await authority.issue({}))).toBe("echoed");
  });

  it("can be left to the handler to judge", async () => {
    await using test = await listening({ clientCertificates: { ca: authority.cert, required: false } });
    expect(await test.tlsOutcome()).toBe("echoed");
    expect(await test.tlsOutcome(await authority.issue({ expired: true }))).toBe("echoed");
    const certificates = test.handled.items.map(({ accepted }) => accepted.tls?.clientCertificate);
    expect(certificates).toEqual([
      undefined,
      expect.objectContaining({ authorized: false, authorizationError: "CERT_HAS_EXPIRED" }),
    ]);
  });
});

describe("certificateFor", () => {
  it("chooses by the name, while the handshake waits, and is read once", async () => {
    const names: string[] = [];
    await using test = await listening({
      certificateFor: async (name) => {
        names.push(name);
        await new Promise(setImmediate);
        return name === "other.example" ? other : undefined;
      },
    });
    for (const [servername, subject] of [
      ["other.example", "other"],
      ["unknown.example", "site"],
      ["other.example", "other"],
    ] as const) {
      const client = await test.tlsClient({ servername });
      expect(client.getPeerCertificate().subject.CN).toBe(subject);
    }
    expect(names).toEqual(["other.example", "unknown.example", "other.example"]);
    // Without a name there is nothing to choose by.
    expect((await test.tlsClient()).getPeerCertificate().subject.CN).toBe("site");
  });

  it("asks for client certificates whichever it chooses", async () => {
    await using test = await listening({ clientCertificates: { ca: authority.cert }, certificateFor: () => other });
    expect(await test.tlsOutcome({ servername: "other.example" })).not.toBe("echoed");
    expect(await test.tlsOutcome({ servername: "other.example", ...(await authority.issue({})) })).toBe("echoed");
  });

  it("harms one connection only when it throws, finds nothing, gives what is no certificate, or never settles", async () => {
    await using test = await TestService.start((service) =>
      service.addTls("127.0.0.1:0", {
        handshakeTimeoutMs: 1_000,
        certificateFor: (name) => {
          if (name === "throws.example") throw new Error("thrown");
          if (name === "wrong.example") return { cert: site.cert, key: other.key };
          if (name === "never.example") return new Promise(() => {});
          return name === "site.example" ? site : undefined;
        },
      }),
    );
    const failing = ["throws", "wrong", "never", "none"].map((name) =>
      test.tlsOutcome({ servername: `${name}.example` }),
    );
    expect(await test.tlsOutcome({ servername: "site.example" })).toBe("echoed");
    expect(await Promise.all(failing)).not.toContain("echoed");
    expect(await test.tlsOutcome()).not.toBe("echoed");
    await expect.poll(() => test.refused("tls-certificate-error")).toBe(2);
    await expect.poll(() => test.refused("tls-timeout")).toBe(1);
    await expect.poll(() => test.refused("tls-no-certificate")).toBe(1);
    expect(test.handled.length).toBe(1);
  });
});

describe("onHandshake", () => {
  it("leaves its result in the digest", async () => {
    await using test = await listening({
      onHandshake: async (socket, accepted) => `${socket.getProtocol()} from ${accepted.clientAddress}`,
    });
    const client = await test.tlsClient();
    const { accepted } = await test.handled.at(0);
    expect(accepted.tls?.extension).toBe(`TLSv1.3 from 127.0.0.1:${client.localPort}`);
  });

  it("closes the connection when it throws, or never settles", async () => {
    let calls = 0;
    await using test = await listening({
      handshakeTimeoutMs: 1_000,
      onHandshake: () => {
        calls++;
        if (calls === 1) throw new Error("thrown");
        if (calls === 2) return new Promise(() => {});
        return calls;
      },
    });
    expect(await test.tlsOutcome()).not.toBe("echoed");
    expect(await test.tlsOutcome()).not.toBe("echoed");
    expect(await test.tlsOutcome()).toBe("echoed");
    expect(await test.refused("tls-callback-error")).toBe(1);
    expect(await test.refused("tls-callback-timeout")).toBe(1);
  });
});

describe("a client that leaves while onHandshake is waited for", () => {
  it("is counted, and its error is nobody's", async () => {
    const entered = Promise.withResolvers<TLSSocket>();
    await using test = await listening({
      onHandshake: (socket) => {
        entered.resolve(socket);
        return new Promise(() => {});
      },
    });
    const transport = (await test.client()).socket;
    await test.tlsClient({ socket: transport });
    const socket = await entered.promise;
    transport.resetAndDestroy();
    // Nothing is read meanwhile: writing finds out.
    socket.write("anybody there?");
    await expect.poll(() => test.refused("client-gone")).toBe(1);
    expect(test.handled.length).toBe(0);
  });
});

describe("a handshake that fails", () => {
  it("is closed when nothing comes in time, while others are served", async () => {
    await using test = await listening({ handshakeTimeoutMs: 1_000 });
    const silent = await test.client();
    const slow = await test.client();
    slow.send("\x16\x03\x01");
    expect(await test.tlsOutcome()).toBe("echoed");
    await Promise.all([silent.whenClosed(), slow.whenClosed()]);
    expect(await test.refused("tls-timeout")).toBe(2);
  });

  it.each([
    ["plain HTTP", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "tls-plain-http"],
    ["noise", `${"\xff".repeat(64)}`, "tls-malformed"],
    ["a hello that is cut and damaged", "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", "tls-malformed"],
  ])("is counted by its reason and logged with the client's address: %s", async (_what, bytes, reason) => {
    await using test = await listening({});
    const client = await test.client();
    const clientAddress = `127.0.0.1:${client.socket.localPort}`;
    await client.send(bytes).whenClosed();
    expect(await test.refused(reason)).toBe(1);
    expect(test.refusals).toEqual([
      { reason, clientAddress, message: expect.stringContaining("the TLS handshake failed") },
    ]);
    expect(await test.tlsOutcome()).toBe("echoed");
  });

  it("is counted when the client resets in the middle; one that only ends its side has until the deadline", async () => {
    await using test = await listening({ handshakeTimeoutMs: 1_000 });
    const client = await test.client();
    await client.sendNow("\x16\x03\x01");
    await expect.poll(() => test.metric("cirque_connections_accepted_total.*")).toBe(1);
    client.reset();
    await expect.poll(() => test.refused("tls-client-gone")).toBe(1);
    await (await test.client()).send("\x16\x03\x01").end().whenClosed();
    expect(await test.refused("tls-timeout")).toBe(1);
  });

  it("is logged ten times a second at most, and counted each time", async () => {
    await using test = await listening({});
    const clients = await Promise.all(Array.from({ length: 30 }, () => test.client()));
    await Promise.all(clients.map((client) => client.send("noise noise noise").whenClosed()));
    expect(await test.refused("tls-malformed")).toBe(30);
    // The thirty may fall into two seconds.
    expect(test.refusals.length).toBeGreaterThanOrEqual(10);
    expect(test.refusals.length).toBeLessThanOrEqual(20);
  });
});

describe("session tickets", () => {
  it("resume sessions, at each listener of the process", async () => {
    await using first = await listening({});
    await using second = await listening({});
    const session = await ticketOf(first);
    expect((await second.tlsClient({ session })).isSessionReused()).toBe(true);
    expect((await second.handled.at(0)).accepted.tls?.resumed).toBe(true);
  });

  it("do not outlive a change of keys", async () => {
    await using first = await listening({ ticketKeys: Buffer.alloc(48, 1) });
    await using same = await listening({ ticketKeys: Buffer.alloc(48, 1) });
    await using changed = await listening({ ticketKeys: Buffer.alloc(48, 2) });
    const session = await ticketOf(first);
    expect((await same.tlsClient({ session })).isSessionReused()).toBe(true);
    expect((await changed.tlsClient({ session })).isSessionReused()).toBe(false);
  });

  it("can be switched off", async () => {
    await using test = await listening({ sessionTickets: false, maxVersion: "TLSv1.2" });
    const session = (await test.tlsClient()).getSession();
    expect((await test.tlsClient({ session })).isSessionReused()).toBe(false);
  });
});

describe("a reload", () => {
  it("reads certificates again; connections that are open stay as they are", async () => {
    const source = { cert: file("renewed.pem", site.cert), key: file("renewed.key", site.key) };
    const chosen = { cert: file("chosen.pem", site.cert), key: file("chosen.key", site.key) };
    await using test = await listening({
      ...source,
      certificateFor: (name) => (name === "chosen.example" ? chosen : undefined),
    });
    const subjectFor = async (servername: string): Promise<unknown> =>
      (await test.tlsClient({ servername })).getPeerCertificate().subject.CN;
    const before = await test.tlsClient();
    expect(await subjectFor("chosen.example")).toBe("site");
    for (const { cert, key } of [source, chosen]) {
      writeFileSync(cert, other.cert);
      writeFileSync(key, other.key);
    }
    const apply = await test.service.reload(test.context.configuration);
    expect(await subjectFor("site.example")).toBe("site");
    apply?.();
    expect(await subjectFor("site.example")).toBe("other");
    expect(await subjectFor("chosen.example")).toBe("other");
    before.write("still here");
    expect(String((await once(before, "data"))[0])).toBe("still here");
  });

  it("is refused by a file that cannot be used, and changes nothing", async () => {
    const cert = file("broken.pem", site.cert);
    await using test = await listening({ cert });
    writeFileSync(cert, "-----BEGIN NOTHING-----");
    await expect(test.service.reload(test.context.configuration)).rejects.toMatchObject({
      code: "InvalidCert",
      message: `${cert} (tls.cert) holds no certificate in PEM`,
    });
    writeFileSync(cert, other.cert);
    await expect(test.service.reload(test.context.configuration)).rejects.toThrow("is not the key of the certificate");
    expect(await test.tlsOutcome()).toBe("echoed");
  });
});

describe("a TLS acceptor", () => {
  it("gives the settings when the listener starts, and can change the certificate while it serves", async () => {
    let renew: (pair: PemPair) => void = () => {};
    let stopped = false;
    await using test = await TestService.start((service) =>
      service.addTls("127.0.0.1:0", {
        settings: async () => site,
        attach(server, { logger }) {
          logger.info("attached");
          renew = (pair) => server.setSecureContext(pair);
          return () => {
            stopped = true;
          };
        },
      }),
    );
    expect(test.context.logger.messages("info")).toContain("attached");
    expect((await test.tlsClient()).getPeerCertificate().subject.CN).toBe("site");
    renew(other);
    expect((await test.tlsClient()).getPeerCertificate().subject.CN).toBe("other");
    await test.stop(AbortSignal.abort());
    expect(stopped).toBe(true);
  });

  it("that fails makes the start fail", async () => {
    const start = (settings: () => TlsSettings): Promise<TestService> =>
      TestService.start((service) => service.addTls("127.0.0.1:0", { settings }));
    await expect(start(() => ({ cert: "missing.pem", key: "missing.key" }))).rejects.toMatchObject({
      code: "FileReadError",
    });
  });
});

describe("secrets for debugging", () => {
  it("are handed out, a line each", async () => {
    const lines: string[] = [];
    await using test = await listening({ onKeylog: (line) => lines.push(String(line)) });
    await test.tlsOutcome();
    expect(lines.join("")).toMatch(/^SERVER_HANDSHAKE_TRAFFIC_SECRET [0-9a-f]+ [0-9a-f]+\n/m);
  });
});

describe("settings that cannot be used", () => {
  const refusal = (tls: TlsSettings): unknown => {
    try {
      new ListeningService("a", { handle() {}, drain: async () => {} }).addTls("127.0.0.1:0", tls);
    } catch (error) {
      return error;
    }
    return undefined;
  };

  it("are refused when they are given, naming the file", async () => {
    const cert = file("good.pem", site.cert);
    const key = file("good.key", site.key);
    const encrypted = file("encrypted.key", await encryptedKey(site.key));
    const missing = join(directory, "missing.pem");
    const noise = file("noise.pem", "-----BEGIN NOISE-----");
    const strange = file("other.key", other.key);
    expect(refusal({ cert: missing, key })).toMatchObject({
      code: "FileReadError",
      message: `cannot read ${missing} (tls.cert)`,
    });
    expect(refusal({ cert, key: missing })).toMatchObject({
      code: "FileReadError",
      message: `cannot read ${missing} (tls.key)`,
    });
    expect(refusal({ cert: directory, key })).toMatchObject({ code: "FileReadError" });
    expect(refusal({ cert: noise, key })).toMatchObject({
      code: "InvalidCert",
      message: `${noise} (tls.cert) holds no certificate in PEM`,
    });
    expect(refusal({ cert, key: cert })).toMatchObject({
      code: "InvalidCert",
      message: expect.stringContaining(`${cert} (tls.key) holds no key`),
    });
    expect(refusal({ cert, key: strange })).toMatchObject({
      code: "InvalidCert",
      message: `${strange} (tls.key) is not the key of the certificate in ${cert} (tls.cert)`,
    });
    expect(refusal({ cert, key: encrypted })).toMatchObject({ message: expect.stringContaining("needs a passphrase") });
    expect(refusal({ cert, key: encrypted, passphrase: "wrong" })).toMatchObject({
      message: expect.stringContaining("passphrase is wrong"),
    });
    expect(refusal({ cert, key: encrypted, passphrase: "secret" })).toBeUndefined();
    expect(refusal({ cert, key, clientCertificates: { ca: missing } })).toMatchObject({
      message: `cannot read ${missing} (tls.clientCertificates.ca)`,
    });
    expect(refusal({ cert, key, clientCertificates: { ca: noise } })).toMatchObject({ code: "InvalidCert" });
  });

  it("are refused when they are none", () => {
    const invalid = { code: "InvalidArgument" };
    expect(refusal({})).toMatchObject({
      ...invalid,
      message: expect.stringContaining("tls.cert and tls.key are missing"),
    });
    expect(refusal({ cert: site.cert })).toMatchObject({
      ...invalid,
      message: expect.stringContaining("tls.key is missing"),
    });
    expect(refusal({ ...site, alpn: [""] })).toMatchObject({
      ...invalid,
      message: expect.stringContaining("tls.alpn"),
    });
    expect(refusal({ ...site, handshakeTimeoutMs: 0 })).toMatchObject(invalid);
    expect(refusal({ ...site, sessionTimeoutMs: -1 })).toMatchObject(invalid);
    expect(refusal({ ...site, minVersion: "TLSv9" as never })).toMatchObject({
      ...invalid,
      message: expect.stringContaining("TLSv9"),
    });
    expect(refusal({ ...site, options: { ciphers: "none" } })).toMatchObject(invalid);
    expect(refusal({ ...site, ticketKeys: Buffer.alloc(1) })).toMatchObject(invalid);
  });

  it("never say what is in a key", () => {
    const error = refusal({ cert: site.key, key: site.key });
    expect(String(error)).not.toContain(site.key.slice(30, 60));
  });

  it("start with an expired certificate, with a warning", async () => {
    await using test = await listening(await authority.issue({ expired: true }));
    expect(test.context.logger.messages("warn")).toEqual(["the certificate in tls.cert has expired"]);
    expect(await test.tlsOutcome()).toBe("echoed");
  });
});

describe("stopping", () => {
  it("waits for handshakes under way, for a moment", async () => {
    await using test = await listening({ onHandshake: () => new Promise((resolve) => setTimeout(resolve, 50)) });
    const outcome = test.tlsOutcome();
    await test.client();
    await expect.poll(() => test.metric("cirque_connections_accepted_total.*")).toBe(2);
    await test.stop(new AbortController().signal);
    // The one came to its handler before that was told to drain; the other, which says nothing, was dropped.
    expect(test.handled.length).toBe(1);
    expect(await test.refused("stopped")).toBe(1);
    await outcome;
  });

  it("drops them at once when it is forced", async () => {
    await using test = await listening({});
    const silent = await test.client();
    await expect.poll(() => test.metric("cirque_connections_accepted_total.*")).toBe(1);
    await test.stop(AbortSignal.abort());
    await silent.whenClosed();
    expect(await test.refused("stopped")).toBe(1);
  });
});

function listening(tls: TlsSettings): Promise<TestService> {
  return TestService.start((service) => service.addTls("127.0.0.1:0", { ...site, ...tls }));
}

function file(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

async function encryptedKey(key: string): Promise<string> {
  const { createPrivateKey } = await import("node:crypto");
  const options = { type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "secret" } as const;
  return String(createPrivateKey(key).export(options));
}

async function ticketOf(test: TestService): Promise<Buffer> {
  const client: TLSSocket = await test.tlsClient();
  const [session] = (await once(client, "session")) as [Buffer];
  return session;
}
