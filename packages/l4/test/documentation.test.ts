import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import tls from "node:tls";
import { MetricsRegistry } from "@cirque/core";
import { describe, expect, it } from "vitest";
import { DEFAULT_TCP_PROXY_OPTIONS, DEFAULT_UDP_PROXY_OPTIONS } from "../src/index.ts";
import { TcpProxyMetrics } from "../src/tcp/tcp-proxy-metrics.ts";
import { UdpProxyMetrics } from "../src/udp/udp-proxy-metrics.ts";
import { certificate, privateKey } from "./harness/backend-test-certificate.ts";
import { EndPoint, Upstream } from "./harness/end-point.ts";
import { Program } from "./harness/program.ts";
import { UdpEndPoint } from "./harness/udp-end-point.ts";

const root = join(import.meta.dirname, "..");
const readme = await readFile(join(root, "README.md"), "utf8");
const guide = await readFile(join(root, "../../docs/guide/tcp-and-udp.md"), "utf8");

describe.each([
  ["Settings of a TCP proxy", "tcp/tcp-proxy.ts", DEFAULT_TCP_PROXY_OPTIONS],
  ["Settings of a UDP proxy", "udp/udp-proxy.ts", DEFAULT_UDP_PROXY_OPTIONS],
])("the guide, under %s", (title, file, defaults) => {
  const rows = Array.from(section(title).matchAll(/^\| (`[^|]+) \| ([^|]+) \|/gm), ([, names = "", value = ""]) => ({
    names: Array.from(names.matchAll(/`(\w+)`/g), ([, name]) => name),
    value,
  }));

  it("has each option", async () => {
    const source = await readFile(join(root, "src", file), "utf8");
    const [options = ""] = /export interface \w+Options \{.*?\n\}\n/s.exec(source) ?? [];
    const names = Array.from(options.matchAll(/^ {2}readonly (\w+)\?:/gm), ([, name]) => name);
    expect(names.length).toBeGreaterThan(7);
    expect(rows.flatMap((row) => row.names).sort()).toEqual(names.sort());
  });

  it("has the defaults", () => {
    const plain = Object.entries(defaults).filter(([, value]) => typeof value !== "object");
    for (const [name, value] of plain) {
      const written = rows.find((row) => row.names.includes(name))?.value;
      const expected = typeof value === "number" ? value.toLocaleString("en") : `\`${value}\``;
      expect(written, name).toBe(expected);
    }
  });
});

it("the guide has each callback of a TCP proxy", async () => {
  const source = await readFile(join(root, "src/tcp/proxy-tcp.ts"), "utf8");
  const names = Array.from(source.matchAll(/^ {2}(\w+)\??\(/gm), ([, name]) => name);
  const rows = Array.from(section("Callbacks").matchAll(/^\| `(\w+)` \|/gm), ([, name]) => name);
  expect(rows).toEqual(names);
});

it("the guide has each field of a ClientHello", async () => {
  const source = await readFile(join(root, "src/client-hello/client-hello.ts"), "utf8");
  const names = Array.from(source.matchAll(/^ {2}readonly (\w+):/gm), ([, name]) => name);
  const text = section("Routing by name, without the key");
  expect(Array.from(text.matchAll(/^\| `(\w+)` \|/gm), ([, name]) => name)).toEqual(names);
});

it("the guide has each metric, and no other", async () => {
  const registry = new MetricsRegistry();
  new TcpProxyMetrics(registry, "a").failed("x");
  const udp = new UdpProxyMetrics(registry, "a");
  udp.dropped("oversize");
  udp.ended("idle");
  const names = Array.from((await registry.exposition()).matchAll(/^# TYPE (\w+) /gm), ([, name]) => name);
  const table = section("Logs and metrics")
    .split("\n")
    .filter((line) => line.startsWith("| `cirque_"));
  const rows = table.flatMap((line) => Array.from(line.matchAll(/`(cirque_\w+)`/g), ([, name]) => name));
  expect(rows.sort()).toEqual(names.sort());
});

it.each([
  ["cirque_tcp_failures_total", "tcp/tcp-failure.ts", "TcpFailureReason"],
  ["cirque_udp_sessions_ended_total", "udp/udp-session.ts", "UdpSessionEnd"],
  ["cirque_udp_datagrams_dropped_total", "udp/udp-proxy-metrics.ts", "UdpDropReason"],
])("the guide has each reason of %s", async (metric, file, type) => {
  const source = await readFile(join(root, "src", file), "utf8");
  const [declaration = ""] = new RegExp(`export type ${type} =.*?;\\n`, "s").exec(source) ?? [];
  const names = Array.from(declaration.matchAll(/\| "([a-z-]+)"/g), ([, name]) => name);
  const [paragraph = ""] = new RegExp(`^Reasons of \`${metric}\`:.*?\\n(?:\\n|$)`, "ms").exec(guide) ?? [];
  const written = Array.from(paragraph.matchAll(/`([a-z-]+)`/g), ([, name]) => name);
  expect(names.length).toBeGreaterThan(5);
  expect(written.sort()).toEqual(names.sort());
});

it.each(["tcp/tcp-exchange.ts", "udp/udp-flow.ts"])(
  "the guide has each field of the access log in %s",
  async (file) => {
    const source = await readFile(join(root, "src", file), "utf8");
    const [record = ""] = /function accessRecord.*?\n\}\n/s.exec(source) ?? [];
    const names = Array.from(record.matchAll(/^ {4}(\w+)[:,]/gm), ([, name]) => name);
    expect(names.length).toBeGreaterThan(8);
    for (const name of names) expect(section("Logs and metrics"), name).toContain(`\`${name}\``);
  },
);

describe("the examples run", () => {
  it("the README's is the file", async () => {
    const [, code] = /```ts\n(.*?)```/s.exec(readme) ?? [];
    const example = await readFile(join(root, "examples/sni-router.ts"), "utf8");
    expect(code).toBe(example);
    await using shop = await tlsUpstream("the shop");
    await using program = await started(example, { SHOP: shop.address, LISTEN: "127.0.0.1:0" });
    expect(await greeting(program.port, "shop.example")).toBe("the shop");
    await program.until((output) => / shop\.example \d+ \d+ /.exec(output));
  });

  it("a balancer of databases", async () => {
    await using one = await Upstream.start("one");
    await using two = await Upstream.start("two");
    const code = example("LoadBalancer, RoundRobin, TcpHealthCheck")
      .replace("10.0.0.1:5432", one.address)
      .replace("10.0.0.2:5432", two.address)
      .replace("0.0.0.0:5432", "127.0.0.1:0");
    await using program = await started(code);
    const said = [];
    for (let count = 0; count < 4; count++) {
      using client = await EndPoint.connect(program.port);
      said.push(await client.bytes(3));
    }
    expect(said.sort()).toEqual(["one", "one", "two", "two"]);
  });

  it("a router of TLS", async () => {
    await using shop = await tlsUpstream("the shop");
    await using mail = await tlsUpstream("the mail");
    const code = example("readClientHello: true")
      .replace("10.0.0.3:443", shop.address)
      .replace("10.0.0.4:443", mail.address)
      .replace("0.0.0.0:443", "127.0.0.1:0");
    await using program = await started(code);
    expect(await greeting(program.port, "mail.example")).toBe("the mail");
    expect(await greeting(program.port, "shop.example")).toBe("the shop");
  });

  it("DNS over UDP", async () => {
    await using one = await UdpEndPoint.answering((data) => `one: ${data}`);
    await using two = await UdpEndPoint.answering((data) => `two: ${data}`);
    const code = example("udpProxyService")
      .replace("10.0.0.5:53", one.address)
      .replace("10.0.0.6:53", two.address)
      .replace("127.0.0.1:53", "127.0.0.1:0");
    await using program = await started(code);
    await using client = await UdpEndPoint.bind();
    const answers = [];
    for (let count = 0; count < 2; count++) {
      client.send("question", `127.0.0.1:${program.port}`);
      answers.push(await client.text());
    }
    expect(answers.sort()).toEqual(["one: question", "two: question"]);
  });
});

/** A program of a page, run from the package, and the port that it listens at. */
async function started(code: string, env: Readonly<Record<string, string>> = {}): Promise<Program & { port: number }> {
  const program = new Program(["--input-type=module-typescript", "-"], { cwd: root, env, code });
  const listening = /"address":"127\.0\.0\.1:(\d+)","msg":"listening"/;
  const [, port] = await program.until((output) => listening.exec(output));
  return Object.assign(program, { port: Number(port) });
}

/** The block of code in the guide that is a whole program and contains `text`. */
function example(text: string): string {
  const blocks = Array.from(guide.matchAll(/```ts\n(.*?)```/gs), ([, code = ""]) => code);
  const found = blocks.find((code) => code.includes("runForever") && code.includes(text));
  if (found === undefined) throw new Error(`the guide has no program with ${text}`);
  return found;
}

function tlsUpstream(name: string): Promise<Upstream> {
  return Upstream.start(name, tls.createServer({ cert: certificate, key: privateKey }));
}

async function greeting(port: number, servername: string): Promise<string> {
  const client = tls.connect({ port, host: "127.0.0.1", servername, rejectUnauthorized: false });
  const [data] = await once(client, "data");
  const closed = once(client, "close");
  client.end();
  await closed;
  return String(data);
}

function section(title: string): string {
  const start = guide.search(new RegExp(`^##+ ${title}\n`, "m"));
  const end = guide.slice(start + 3).search(/^##+ /m);
  return guide.slice(start, end < 0 ? undefined : start + 3 + end);
}
