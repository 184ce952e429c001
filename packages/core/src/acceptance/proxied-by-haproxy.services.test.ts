import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect as connectTcp } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { TestService } from "../../test/acceptance/test-service.ts";
import { type OpenSocket, openServer } from "../../test/server/open-sockets.ts";
import { TestAuthority } from "../../test/wire/test-authority.ts";

// HAProxy, where the PROXY protocol comes from, in front of listeners; it inherits the sockets that it accepts from.
vi.setConfig({ testTimeout: 30_000 });

let directory: string;
let front: OpenSocket;
let haproxy: ChildProcess | undefined;

beforeAll(() => {
  if (spawnSync("haproxy", ["-v"]).error) {
    throw new Error("this suite runs haproxy, which is not there; install the Debian package haproxy");
  }
});

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "cirque-haproxy-"));
  front = await openServer({ host: "127.0.0.1", port: 0 });
});

afterEach(async () => {
  haproxy?.kill("SIGKILL");
  if (haproxy && haproxy.exitCode === null && haproxy.signalCode === null) await once(haproxy, "exit");
  haproxy = undefined;
  rmSync(directory, { recursive: true });
});

describe("HAProxy in front", () => {
  it.each([
    ["send-proxy", 1],
    ["send-proxy-v2", 2],
    ["send-proxy-v2 proxy-v2-options crc32c", 2],
  ])("names the client: %s", async (option, version) => {
    await using test = await listening();
    start("", `server s ${test.address} ${option}`);
    const client = connectTcp(front.port, "127.0.0.1");
    client.write("hello");
    expect(String((await once(client, "data"))[0])).toBe("hello");
    const { accepted } = await test.handled.at(0);
    expect(accepted.clientAddress).toBe(`127.0.0.1:${client.localPort}`);
    expect(accepted.serverAddress).toBe(`127.0.0.1:${front.port}`);
    expect(accepted.peerAddress).not.toBe(accepted.clientAddress);
    expect(accepted.proxyHeader?.version).toBe(version);
    client.destroy();
  });

  it("says what it knows of the client's TLS", async () => {
    const authority = await TestAuthority.create();
    const { cert, key } = await authority.issue({ names: ["site.example"] });
    const pem = join(directory, "site.pem");
    const ca = join(directory, "ca.pem");
    writeFileSync(pem, `${cert}\n${key}\n`);
    writeFileSync(ca, `${authority.cert}\n`);
    await using test = await listening();
    const options = "proxy-v2-options ssl,cert-cn,ssl-cipher,cert-sig,cert-key,authority,crc32c";
    start(
      `ssl crt ${pem} ca-file ${ca} verify optional alpn http/1.1`,
      `server s ${test.address} send-proxy-v2 ${options}`,
    );
    const identity = await authority.issue({ subject: "a client" });
    const client = connectTls({
      ...identity,
      port: front.port,
      host: "127.0.0.1",
      servername: "site.example",
      ca: authority.cert,
      ALPNProtocols: ["http/1.1"],
    });
    client.write("hello");
    expect(String((await once(client, "data"))[0])).toBe("hello");
    const { proxyHeader } = (await test.handled.at(0)).accepted;
    expect(proxyHeader).toMatchObject({
      source: `127.0.0.1:${client.localPort}`,
      authority: "site.example",
      alpn: "http/1.1",
      ssl: {
        tls: true,
        certificateOnConnection: true,
        verified: true,
        version: "TLSv1.3",
        commonName: "a client",
        cipher: client.getCipher().name,
        keyAlgorithm: "EC256",
      },
    });
    client.destroy();
  });

  it("checks the health of a listener with connections of its own", async () => {
    await using test = await listening();
    start(
      "",
      "option tcp-check",
      "tcp-check connect send-proxy",
      "tcp-check send hello",
      "tcp-check expect string hello",
      `server s ${test.address} send-proxy-v2 check inter 100ms`,
    );
    const { accepted } = await test.handled.at(0);
    expect(accepted.proxyHeader?.command).toBe("local");
    expect(accepted.clientAddress).toBe(accepted.peerAddress);
  });
});

function listening(): Promise<TestService> {
  return TestService.start((service) => service.addTcp("127.0.0.1:0", { proxyProtocol: { from: ["127.0.0.1"] } }));
}

/** Starts HAProxy: the socket becomes its own, and what it accepts goes to the backend. */
function start(bindOptions: string, ...backend: readonly string[]): void {
  const file = join(directory, "haproxy.cfg");
  const lines = ["defaults", "  mode tcp", "  timeout connect 5s", "  timeout client 5s", "  timeout server 5s"];
  lines.push(
    "frontend f",
    `  bind fd@3 ${bindOptions}`,
    "  default_backend b",
    "backend b",
    ...backend.map((line) => `  ${line}`),
    "",
  );
  writeFileSync(file, lines.join("\n"));
  haproxy = spawn("haproxy", ["-db", "-f", file], { stdio: ["ignore", "ignore", "inherit", front.descriptor] });
  // It has the socket by now; two that accept would share the connections.
  front.close();
}
