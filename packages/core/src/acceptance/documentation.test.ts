import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, unwatchFile, watchFile, writeFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TestService } from "../../test/acceptance/test-service.ts";
import { RawPeer } from "../../test/wire/raw-peer.ts";
import { type PemPair, TestAuthority } from "../../test/wire/test-authority.ts";
import { describeAccepted } from "../listeners/accepted-connection.ts";

const page = readFileSync(new URL("../../../../docs/guide/listeners.md", import.meta.url), "utf8");
let directory: string;
let client: PemPair;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "cirque-guide-"));
  const authority = await TestAuthority.create();
  for (const name of ["site", "shop"]) {
    const { cert, key } = await authority.issue({ names: [`${name}.example`], subject: name });
    writeFileSync(join(directory, `${name}.pem`), cert);
    writeFileSync(join(directory, `${name}.key`), key);
  }
  writeFileSync(join(directory, "clients-ca.pem"), authority.cert);
  client = await authority.issue({});
});

afterAll(() => rmSync(directory, { recursive: true }));

describe("docs/guide/listeners.md", () => {
  it("adds addresses", async () => {
    await using test = await example("Addresses", 0);
    expect(test.service.endpoints().map(({ kind }) => kind)).toEqual(["tcp", "tcp", "unix"]);
    await (await test.client()).send("hello").until("hello");
  });

  it("speaks TLS, with a certificate for each name", async () => {
    await using one = await example("TLS", 0);
    expect((await one.tlsClient()).getPeerCertificate().subject.CN).toBe("site");
    await using many = await example("TLS", 1);
    expect((await many.tlsClient({ servername: "shop.example" })).getPeerCertificate().subject.CN).toBe("shop");
    expect((await many.tlsClient({ servername: "a.example" })).getPeerCertificate().subject.CN).toBe("site");
  });

  it("has an acceptor that can be attached, and let go", async () => {
    await using test = await example("TLS", 2);
    expect(await test.tlsOutcome()).toBe("echoed");
    await test.stop(AbortSignal.abort());
  });

  it("asks for client certificates", async () => {
    await using test = await example("Client certificates", 0);
    expect(await test.tlsOutcome()).not.toBe("echoed");
    expect(await test.tlsOutcome(client)).toBe("echoed");
  });

  it("believes the proxies that it names, and not this client", async () => {
    await using test = await example("The PROXY protocol", 0);
    const line = "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n";
    await (await test.client()).send(line).until(line);
    expect((await test.handled.at(0)).accepted.proxyHeader).toBeUndefined();
  });

  it("filters by address", async () => {
    await using open = await example("Filters", 0);
    await (await open.client()).send("hello").until("hello");
    await using shut = await example("Filters", 0, (code) => code.replace("192.0.2.66", "127.0.0.1"));
    await (await shut.client()).whenClosed();
    expect(await shut.refused("filter")).toBe(1);
  });

  it("limits connections", async () => {
    await using test = await example("Limits", 0, (code) => code.replace("20_000", "1"));
    await (await test.client()).send("hello").until("hello");
    await (await test.client()).whenClosed();
    expect(await test.refused("max-connections")).toBe(1);
  });

  it("reads the first bytes", async () => {
    await using test = await example("The first bytes", 0);
    await (await test.client()).send("192.0.2.1:9\nhello").until("hello");
    expect((await test.handled.at(0)).accepted.clientAddress).toBe("192.0.2.1:9");
  });

  it("hands sockets over without a service", async () => {
    const addresses: string[] = [];
    const handler = {
      handle(socket: Socket, { endpoint }: { endpoint: { address: string } }): void {
        addresses.push(endpoint.address);
        socket.end("handled");
      },
    };
    const server = evaluate(`${codeOf("Your own accept loop", 0)}; return server;`, {
      createServer,
      describeAccepted,
      handler,
    }) as Server;
    await once(server, "listening");
    const peer = await RawPeer.connect((server.address() as { port: number }).port);
    expect((await peer.whenClosed()).text).toBe("handled");
    expect(addresses).toEqual(["mine"]);
    server.close();
  });

  it.each([
    ["TLS", "./tls/tls-settings.ts", ["TlsSettings", "CertificateSource"]],
    ["The PROXY protocol", "./receive-proxy-header.ts", ["ProxyProtocolOptions"]],
    ["Limits", "./acceptance-options.ts", ["ConnectionLimits"]],
  ])("describes each option of %s", (heading, file, interfaces) => {
    const source = readFileSync(new URL(file, import.meta.url), "utf8");
    const rows = Array.from(section(heading).matchAll(/^\| (`.*?) \|/gm), ([, names = ""]) => names).join();
    const options = interfaces.flatMap((name) => {
      const body = new RegExp(`interface ${name} [^{]*\\{([\\s\\S]*?)\\n\\}`).exec(source)?.[1] ?? "";
      return Array.from(body.matchAll(/^ {2}readonly (\w+)\??:/gm), ([, option]) => option);
    });
    expect(options.length).toBeGreaterThan(2);
    for (const option of options) expect(rows).toContain(`\`${option}\``);
  });

  it("names each reason that TLS and the PROXY header are refused for", () => {
    const sources = ["./tls/handshake-failure.ts", "./tls/tls-termination.ts", "./acceptance.ts", "./arrival.ts"];
    const text = sources.map((file) => readFileSync(new URL(file, import.meta.url), "utf8")).join("");
    const reasons = Array.from(text.matchAll(/Refused(?:\.because)?\("([a-z-]+)"/g), ([, reason]) => reason);
    expect(reasons.length).toBeGreaterThan(5);
    for (const reason of reasons) expect(section("Metrics and logs")).toContain(`\`${reason}\``);
  });
});

/** A service that the code of the page has given its addresses, started. */
function example(heading: string, index: number, change = (code: string): string => code): Promise<TestService> {
  return TestService.start((service) => {
    evaluate(change(codeOf(heading, index)), { service, readFileSync, watchFile, unwatchFile });
  });
}

/** The code of an example, at home in a test: on ports that are free, with files that exist. */
function codeOf(heading: string, index: number): string {
  const blocks = Array.from(section(heading).matchAll(/```ts\n([\s\S]*?)```/g), ([, code = ""]) => code);
  const code = blocks[index];
  if (code === undefined) throw new Error(`the section "${heading}" has no example ${index}`);
  return stripTypeScriptTypes(code)
    .replace(/^import .*;$/gm, "")
    .replaceAll(/"(?:0\.0\.0\.0|127\.0\.0\.1):[0-9]+"/g, '"127.0.0.1:0"')
    .replaceAll('"[::]:80"', '"[::1]:0"')
    .replaceAll("/etc/cirque/", `${directory}/`)
    .replaceAll("/run/", `${directory}/`);
}

function section(heading: string): string {
  const start = page.indexOf(`\n## ${heading}\n`);
  if (start === -1) throw new Error(`there is no section "${heading}"`);
  const end = page.indexOf("\n## ", start + 1);
  return page.slice(start, end === -1 ? undefined : end);
}

function evaluate(code: string, values: Readonly<Record<string, unknown>>): unknown {
  return new Function(...Object.keys(values), code)(...Object.values(values));
}
