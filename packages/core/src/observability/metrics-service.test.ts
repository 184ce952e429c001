import { once } from "node:events";
import { request } from "node:http";
import { connect, type Socket } from "node:net";
import { gunzipSync } from "node:zlib";
import { afterEach, describe, expect, it } from "vitest";
import { closed } from "../../test/server/program.ts";
import { testContext } from "../../test/server/test-context.ts";
import { ListeningService } from "../services/listening-service.ts";
import { NodeHttpConnections, type NodeHttpLimits } from "../services/node-http-connections.ts";
import { MetricsRegistry } from "./metrics-registry.ts";
import { metricsService } from "./metrics-service.ts";

let services: ListeningService[] = [];

afterEach(async () => {
  for (const service of services) await service.stop(AbortSignal.abort());
  services = [];
});

describe("metricsService", () => {
  it("answers any path with the metrics of its server, in the Prometheus text format", async () => {
    const context = testContext();
    context.metrics.counter("a_total", "A", { b: "c" }).inc(7);
    const address = await start(metricsService(), context);
    for (const path of ["/metrics", "/", "/any?x=1"]) {
      const response = await fetch(`http://${address}${path}`);
      expect(response.status).toBe(200);
      expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
      const samples = parsePrometheus(await response.text());
      expect(samples.get('a_total{b="c"}')).toBe(7);
      expect([...samples.keys()].some((key) => key.startsWith("cirque_connections_accepted_total{"))).toBe(true);
    }
  });

  it("shows another registry when it is given one", async () => {
    const registry = new MetricsRegistry();
    registry.gauge("other", "O").set(1);
    const address = await start(metricsService(registry));
    expect(await (await fetch(`http://${address}`)).text()).toContain("other 1\n");
  });

  it.each([
    ["gzip", true],
    ["deflate, gzip;q=0.5", true],
    ["*", true],
    ["GZIP", true],
    ["gzip;q=0", false],
    ["gzip;q=0, *", false],
    ["identity", false],
    ["", false],
  ])("compresses for Accept-Encoding: %s: %s", async (acceptEncoding, compressed) => {
    const context = testContext();
    context.metrics.counter("a_total", "A").inc();
    const address = await start(metricsService(), context);
    const { headers, body } = await get(address, acceptEncoding);
    expect(headers["content-encoding"]).toBe(compressed ? "gzip" : undefined);
    expect(headers.vary).toBe("Accept-Encoding");
    expect(String(compressed ? gunzipSync(body) : body)).toContain("a_total 1\n");
  });

  it("shows each thread by itself when it is asked to", async () => {
    const context = testContext();
    context.metrics.counter("a_total", "A", { b: "c" }).inc(7);
    const address = await start(metricsService(), context);
    const response = await fetch(`http://${address}/metrics?per=thread`);
    expect(parsePrometheus(await response.text()).get('a_total{b="c",thread="main"}')).toBe(7);
  });

  it.each(["GET", "HEAD"])("refuses to show anything else by itself (%s)", async (method) => {
    const address = await start(metricsService());
    const response = await fetch(`http://${address}/metrics?per=service`, { method });
    expect(response.status).toBe(400);
    expect(await response.text()).toBe(method === "GET" ? "The parameter per can only be thread\n" : "");
  });

  it("answers HEAD without a body", async () => {
    const address = await start(metricsService());
    const response = await fetch(`http://${address}`, { method: "HEAD" });
    expect(response.status).toBe(200);
    expect(Number(response.headers.get("content-length"))).toBeGreaterThan(0);
    expect(await response.text()).toBe("");
  });

  it("refuses other methods, and closes the connection", async () => {
    const client = await connected(await start(metricsService()));
    client.write("POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
    const answer = await received(client);
    expect(answer).toMatch(/^HTTP\/1\.1 405 /);
    expect(answer).toContain("Allow: GET, HEAD\r\n");
    expect(answer).toContain("Connection: close\r\n");
  });

  it.each([
    ["garbage", "\u0000\u0001\r\n\r\n", 400],
    ["both lengths", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400],
    ["no host", "GET / HTTP/1.1\r\n\r\n", 400],
    ["a head without end", `GET / HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(20_000)}`, 431],
  ])("refuses %s", async (_what, bytes, status) => {
    const client = await connected(await start(metricsService()));
    client.write(bytes);
    expect(await received(client)).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  });

  it("finishes what is in flight when it drains, and closes idle connections", async () => {
    const registry = new MetricsRegistry();
    const value = Promise.withResolvers<number>();
    const asked = Promise.withResolvers<void>();
    registry.gaugeFrom("slow", "S", () => {
      asked.resolve();
      return value.promise;
    });
    const service = metricsService(registry);
    const address = await start(service);
    const idle = await connected(address);
    const client = await connected(address);
    client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await asked.promise;
    const stopped = service.stop(new AbortController().signal);
    idle.end();
    value.resolve(1);
    const answer = await received(client);
    expect(answer).toContain("slow 1\n");
    expect(answer).toContain("Connection: close\r\n");
    await stopped;
  });
});

describe("NodeHttpConnections", () => {
  it.each([
    ["sends nothing", ""],
    ["sends half a head", "GET / HTTP/1.1\r\nHost: a\r\n"],
    ["sends half a body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc"],
  ])("disconnects a client that %s", async (_what, bytes) => {
    const { client } = await plain({ headersTimeoutMs: 50, requestTimeoutMs: 100, idleTimeoutMs: 150 });
    client.write(bytes);
    await closed(client);
  });

  it("disconnects a client that does not read", async () => {
    const { client } = await plain({ idleTimeoutMs: 100 }, "x".repeat(50_000_000));
    client.pause();
    client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await expect.poll(() => plainService().handler.connectionCount).toBe(1);
    await expect.poll(() => plainService().handler.connectionCount, { timeout: 4_000 }).toBe(0);
    client.destroy();
  });

  it("closes connections beyond its limit, and takes others when there is room", async () => {
    const { client, address } = await plain({ maxConnections: 1 });
    const second = await connected(address);
    await closed(second);
    client.end();
    await closed(client);
    await expect.poll(async () => (await fetch(`http://${address}`).catch(() => undefined))?.status).toBe(200);
  });
});

async function start(service: ListeningService, context = testContext()): Promise<string> {
  services.push(service);
  await service.addTcp("127.0.0.1:0").start(context);
  return service.addresses()[0] ?? "";
}

async function plain(limits: NodeHttpLimits, body = "ok"): Promise<{ client: Socket; address: string }> {
  const handler = new NodeHttpConnections((incoming, response) => {
    incoming.resume();
    incoming.on("end", () => response.end(body));
  }, limits);
  const address = await start(new ListeningService("plain", handler));
  return { client: await connected(address), address };
}

function plainService(): ListeningService<NodeHttpConnections> {
  return services[0] as ListeningService<NodeHttpConnections>;
}

async function connected(address: string): Promise<Socket> {
  const [host = "", port] = address.split(":");
  const socket = connect(Number(port), host);
  socket.on("error", () => {});
  await once(socket, "connect");
  return socket;
}

async function received(socket: Socket): Promise<string> {
  let text = "";
  socket.on("data", (data) => {
    text += data;
  });
  await closed(socket);
  return text;
}

async function get(address: string, acceptEncoding: string) {
  const sent = request(`http://${address}`, { headers: { "accept-encoding": acceptEncoding } }).end();
  const [response] = await once(sent, "response");
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  return { headers: response.headers, body: Buffer.concat(chunks) };
}

/** Every line of the text is a comment or a sample; each sample belongs to a family that was announced. */
function parsePrometheus(text: string): Map<string, number> {
  const samples = new Map<string, number>();
  const types = new Map<string, string>();
  for (const line of text.split("\n")) {
    const type = /^# TYPE (\S+) (counter|gauge|histogram|summary)$/.exec(line);
    if (type) types.set(String(type[1]), String(type[2]));
    if (line === "" || line.startsWith("#")) continue;
    const sample = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_]\w*="(?:[^"\\]|\\.)*",?)*\})? (\S+)$/.exec(line);
    if (!sample) throw new Error(`not a sample: ${line}`);
    const family = String(sample[1]).replace(/_(bucket|sum|count)$/, "");
    if (!types.has(String(sample[1])) && !types.has(family)) throw new Error(`not announced: ${line}`);
    samples.set(`${sample[1]}${sample[2] ?? ""}`, Number(sample[3]));
  }
  return samples;
}
