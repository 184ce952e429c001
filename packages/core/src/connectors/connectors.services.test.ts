import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer, connect as netConnect, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { TestAuthority } from "../../test/wire/test-authority.ts";
import { ask, sized } from "../../test/wire/test-origin.ts";
import { type TlsOrigin, tlsOrigin } from "../../test/wire/tls-origin.ts";
import type { Http1ClientSession } from "../http1/client-session.ts";
import { DnsCache } from "./dns/dns-cache.ts";
import { NameServerResolver } from "./dns/name-server-resolver.ts";
import { HttpConnector } from "./http-connector.ts";
import { HttpPeer } from "./http-peer.ts";
import type { NextHop } from "./next-hop.ts";

// Name servers and proxies that other people wrote, on ports of the loopback.
vi.setConfig({ testTimeout: 30_000 });

const programs = { dnsmasq: "dnsmasq-base", tinyproxy: "tinyproxy-bin", microsocks: "microsocks", haproxy: "haproxy" };
let folder: string;
let children: ChildProcess[];
let connectors: HttpConnector[];

beforeAll(() => {
  for (const [command, package_] of Object.entries(programs)) {
    if (spawnSync(command, ["-h"]).error) {
      throw new Error(`this suite runs ${command}, which is not there; install the Debian package ${package_}`);
    }
  }
});

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "cirque-connectors-"));
  children = [];
  connectors = [];
});

afterEach(async () => {
  for (const connector of connectors) connector.close();
  for (const child of children) {
    child.kill("SIGKILL");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  }
  rmSync(folder, { recursive: true });
});

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // it listens
  server.close();
  await once(server, "close");
  return port;
}

/** Runs a program that is killed behind the test, once it accepts connections on its port. */
async function running(command: string, parameters: readonly string[], port: number): Promise<ChildProcess> {
  const child = spawn(command, parameters, { stdio: ["ignore", "ignore", "pipe"] });
  children.push(child);
  let said = "";
  child.stderr?.on("data", (chunk) => {
    said += chunk;
  });
  await vi.waitFor(
    async () => {
      if (child.exitCode !== null) throw new Error(`${command} ended: ${said}`);
      const socket = netConnect(port, "127.0.0.1");
      await once(socket, "connect");
      socket.destroy();
    },
    { timeout: 10_000, interval: 50 },
  );
  return child;
}

function newConnector(options: ConstructorParameters<typeof HttpConnector>[0]): HttpConnector {
  const connector = new HttpConnector(options);
  connectors.push(connector);
  return connector;
}

/** What comes back for one request. */
async function answer(connector: HttpConnector, peer: HttpPeer): Promise<string> {
  const session = (await connector.session(peer)) as Http1ClientSession;
  const { text } = await (await ask(session)).sink.body();
  connector.release(session, peer);
  return text;
}

describe("names of dnsmasq", () => {
  async function nameServer(hosts: string): Promise<{ address: string; change(hosts: string): void }> {
    const port = await freePort();
    const file = join(folder, "hosts");
    writeFileSync(file, hosts, { mode: 0o644 });
    const options = [
      "--keep-in-foreground",
      "--conf-file=/dev/null",
      "--no-resolv",
      "--no-hosts",
      "--user=",
      "--group=",
    ];
    const listening = [`--port=${port}`, "--listen-address=127.0.0.1", "--bind-interfaces", `--pid-file=${folder}/pid`];
    const child = await running(
      "dnsmasq",
      [...options, ...listening, `--addn-hosts=${file}`, "--local-ttl=1", "--local=/example/"],
      port,
    );
    return {
      address: `127.0.0.1:${port}`,
      change(text) {
        writeFileSync(file, text);
        child.kill("SIGHUP");
      },
    };
  }

  /** An origin that answers with the address that it has. */
  async function sayingItsAddress(host: string, port: number): Promise<Server> {
    const server = createServer((socket) => {
      socket.on("error", () => {});
      socket.on("data", () => socket.write(sized(host)));
    }).listen(port, host);
    await once(server, "listening");
    return server;
  }

  it("are reached, and followed when they change", async () => {
    const one = await sayingItsAddress("127.0.0.1", 0);
    const { port } = one.address() as AddressInfo; // it listens
    const two = await sayingItsAddress("127.0.0.2", port);
    const names = await nameServer("127.0.0.1 a.example\n");
    const resolver = new NameServerResolver({ servers: [names.address] });
    const connector = newConnector({ dns: new DnsCache({ resolver }) });
    const peer = new HttpPeer(`a.example:${port}`);
    expect(await answer(connector, peer)).toBe("127.0.0.1");
    names.change("127.0.0.2 a.example\n");
    await vi.waitFor(async () => expect(await answer(connector, peer)).toBe("127.0.0.2"), {
      timeout: 10_000,
      interval: 100,
    });
    await expect(answer(connector, new HttpPeer("b.example:80"))).rejects.toMatchObject({
      code: "ConnectError",
      cause: expect.objectContaining({ code: "ENOTFOUND" }),
    });
    one.close();
    two.close();
  });

  it("may have more addresses than a datagram holds", async () => {
    const addresses = Array.from({ length: 150 }, (_, index) => `10.9.0.${index + 1}`);
    const names = await nameServer(addresses.map((address) => `${address} many.example\n`).join(""));
    const resolver = new NameServerResolver({ servers: [names.address] });
    const resolved = await resolver.resolve("many.example");
    expect(resolved.addresses.map(({ address }) => address).toSorted()).toEqual(addresses.toSorted());
    expect(resolved.ttlMs).toBe(1_000);
  });
});

describe("tunnels of proxies", () => {
  let origin: TlsOrigin;
  let authority: TestAuthority;

  beforeEach(async () => {
    authority = await TestAuthority.create();
    origin = await tlsOrigin(await authority.issue({ names: ["a.example"] }));
  });

  afterEach(() => origin[Symbol.asyncDispose]());

  function through(nextHop: NextHop): HttpPeer {
    return new HttpPeer(origin.address, { sni: "a.example", nextHop });
  }

  it("are made by tinyproxy (CONNECT)", async () => {
    const port = await freePort();
    const file = join(folder, "tinyproxy.conf");
    writeFileSync(file, `Port ${port}\nListen 127.0.0.1\nAllow 127.0.0.1\nBasicAuth user secret\nTimeout 60\n`);
    await running("tinyproxy", ["-d", "-c", file], port);
    const connector = newConnector({ ca: authority.cert });
    const credentials = { username: "user", password: "secret" };
    const hop = { protocol: "connect", peer: `127.0.0.1:${port}` } as const;
    expect(await answer(connector, through({ ...hop, credentials }))).toBe("");
    expect(connector.idleConnections).toBe(1);
    const wrong = through({ ...hop, credentials: { ...credentials, password: "guess" } });
    await expect(answer(connector, wrong)).rejects.toMatchObject({
      code: "ConnectProxyFailure",
      context: { status: expect.toSatisfy((status) => status === 401 || status === 407) },
    });
  });

  it("are made by microsocks (SOCKS 5)", async () => {
    const port = await freePort();
    await running("microsocks", ["-i", "127.0.0.1", "-p", String(port), "-u", "user", "-P", "secret"], port);
    const connector = newConnector({ ca: authority.cert });
    const credentials = { username: "user", password: "secret" };
    const hop = { protocol: "socks5", peer: `127.0.0.1:${port}` } as const;
    expect(await answer(connector, through({ ...hop, credentials }))).toBe("");
    const named = origin.address.replace("127.0.0.1", "localhost");
    const byName = new HttpPeer(named, { sni: "a.example", nextHop: { ...hop, credentials } });
    expect(await answer(connector, byName)).toBe("");
    const wrong = through({ ...hop, credentials: { ...credentials, password: "guess" } });
    await expect(answer(connector, wrong)).rejects.toMatchObject({ code: "ConnectProxyFailure" });
    await expect(answer(connector, through(hop))).rejects.toMatchObject({ code: "ConnectProxyFailure" });
    const nobody = new HttpPeer(`127.0.0.1:${await freePort()}`, { nextHop: { ...hop, credentials } });
    await expect(answer(connector, nobody)).rejects.toMatchObject({ code: "ConnectRefused" });
  });
});

it("HAProxy understands the PROXY protocol that peers are greeted with", async () => {
  const port = await freePort();
  const file = join(folder, "haproxy.cfg");
  writeFileSync(
    file,
    `defaults
  mode http
  timeout client 5s
frontend f
  bind 127.0.0.1:${port} accept-proxy
  http-request return status 200 content-type text/plain lf-string "%[src]:%[src_port] to %[dst]:%[dst_port]"
`,
  );
  await running("haproxy", ["-db", "-f", file], port);
  const connector = newConnector({});
  const addresses = { source: "192.0.2.1:56324", destination: "198.51.100.2:443" };
  for (const version of [1, 2] as const) {
    const peer = new HttpPeer(`127.0.0.1:${port}`, { proxyProtocol: { version, ...addresses } });
    for (let i = 0; i < 2; i++) expect(await answer(connector, peer)).toBe("192.0.2.1:56324 to 198.51.100.2:443");
  }
  expect(connector.idleConnections).toBe(2);
});
