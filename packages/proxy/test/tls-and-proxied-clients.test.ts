import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { Agent, request as httpsRequest } from "node:https";
import type { AddressInfo } from "node:net";
import { connect } from "node:tls";
import {
  createConfiguration,
  HttpPeer,
  type ListeningService,
  MetricsRegistry,
  type ServiceContext,
  singleThread,
} from "@cirque/core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { httpProxyService, type ProxyHttp, type Session } from "../src/index.ts";
import { certificate as cert, privateKey as key } from "./harness/backend-test-certificate.ts";
import { RawPeer } from "./harness/raw-peer.ts";
import { RecordingLogger } from "./harness/recording-logger.ts";
import { get } from "./harness/test-proxy.ts";

/** Echoes bodies, and WebSocket messages. */
let origin: Server;

beforeAll(async () => {
  origin = createServer((request, response) => request.pipe(response));
  const sockets = new WebSocketServer({ server: origin });
  sockets.on("connection", (socket) => socket.on("message", (message) => socket.send(String(message))));
  origin.listen(0, "127.0.0.1");
  await once(origin, "listening");
});

afterAll(() => origin.close());

test("clients that come over TLS keep their connection, and send and get large bodies", async () => {
  const sessions: Session[] = [];
  await using proxy = await ServedProxy.start((service) => service.addTls("127.0.0.1:0", { cert, key }), {
    logging: (session) => void sessions.push(session),
  });
  const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: cert, servername: "backend.test" });
  const body = Buffer.alloc(3 * 1024 * 1024, "body");
  for (let count = 0; count < 3; count++) expect((await post(proxy.port, agent, body)).equals(body)).toBe(true);
  agent.destroy();

  expect(sessions.map((session) => session.clientAddress)).toHaveLength(3);
  expect(new Set(sessions.map((session) => session.clientAddress)).size).toBe(1);
  expect(sessions[2]?.tls).toMatchObject({ protocol: "TLSv1.3", serverName: "backend.test" });
  expect(sessions[2]?.accepted?.endpoint.address).toBe("127.0.0.1:0");
});

test("WebSockets pass over TLS", async () => {
  await using proxy = await ServedProxy.start((service) => service.addTls("127.0.0.1:0", { cert, key }));
  const socket = new WebSocket(`wss://127.0.0.1:${proxy.port}`, {
    agent: new Agent({ ca: cert, servername: "backend.test" }),
  });
  await once(socket, "open");
  socket.send("hello");
  expect(String((await once(socket, "message"))[0])).toBe("hello");
  socket.close();
  await once(socket, "close");
});

test("a client that ends its side of TLS gets its response before the connection ends", async () => {
  await using proxy = await ServedProxy.start((service) => service.addTls("127.0.0.1:0", { cert, key }), {}, false);
  const client = connect({ port: proxy.port, host: "127.0.0.1", ca: cert, servername: "backend.test" });
  await once(client, "secureConnect");
  client.end(get("/"));
  let text = "";
  for await (const chunk of client) text += String(chunk);
  expect(text).toMatch(/^HTTP\/1.1 200 /);
});

test("a request over TLS that is under way is finished when the server stops", async () => {
  const arrived = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  const proxy = await ServedProxy.start((service) => service.addTls("127.0.0.1:0", { cert, key }), {
    requestFilter: async () => {
      arrived.resolve();
      await released.promise;
    },
  });
  const agent = new Agent({ keepAlive: true, ca: cert, servername: "backend.test" });
  const response = post(proxy.port, agent, Buffer.from("in time"));
  await arrived.promise;
  const stopped = proxy.service.stop(new AbortController().signal);
  released.resolve();
  expect(String(await response)).toBe("in time");
  await stopped;
  agent.destroy();
});

test("sessions know the client that a trusted proxy in front names, for all requests of the connection", async () => {
  const sessions: Session[] = [];
  await using proxy = await ServedProxy.start(
    (service) => service.addTcp("127.0.0.1:0", { proxyProtocol: { from: ["127.0.0.1"] } }),
    { logging: (session) => void sessions.push(session) },
  );
  using client = await RawPeer.connect(proxy.port);
  client.send(`PROXY TCP4 192.0.2.1 198.51.100.2 1234 80\r\n${get("/", "")}`);
  await client.responses(1);
  client.send(get("/", "")).send("GET / HTTP/1.1\r\nbad header\r\n\r\n");
  await client.whenClosed();

  expect(sessions.map(({ clientAddress, serverAddress }) => [clientAddress, serverAddress])).toEqual([
    ["192.0.2.1:1234", "198.51.100.2:80"],
    ["192.0.2.1:1234", "198.51.100.2:80"],
  ]);
  const refusals = proxy.logger.records.filter(({ message }) => message === "a client was refused");
  expect(refusals.map(({ fields }) => fields.clientAddress)).toEqual(["192.0.2.1:1234"]);
});

/** A proxy service in front of the origin, as a server starts it. */
class ServedProxy implements AsyncDisposable {
  readonly service: ListeningService;
  readonly logger = new RecordingLogger();

  private constructor(callbacks: Partial<ProxyHttp<void>>, abortOnClose: boolean) {
    const { port } = origin.address() as AddressInfo; // it listens on a port
    const upstreamPeer = (): HttpPeer => new HttpPeer(`127.0.0.1:${port}`);
    this.service = httpProxyService(
      createConfiguration(),
      { upstreamPeer, ...callbacks },
      { server: { abortOnClose } },
    );
  }

  static async start(
    add: (service: ListeningService) => void,
    callbacks: Partial<ProxyHttp<void>> = {},
    abortOnClose = true,
  ): Promise<ServedProxy> {
    const proxy = new ServedProxy(callbacks, abortOnClose);
    add(proxy.service);
    const context: ServiceContext = {
      logger: proxy.logger,
      metrics: new MetricsRegistry(),
      configuration: createConfiguration(),
      thread: singleThread(),
      shutdown: new AbortController().signal,
    };
    await proxy.service.start(context);
    return proxy;
  }

  get port(): number {
    return Number(this.service.addresses()[0]?.split(":").at(-1));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.service.stop(AbortSignal.abort());
  }
}

async function post(port: number, agent: Agent, body: Buffer): Promise<Buffer> {
  const request = httpsRequest({ host: "127.0.0.1", port, agent, method: "POST", headers: { host: "backend.test" } });
  request.end(body);
  const [response] = await once(request, "response");
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  return Buffer.concat(chunks);
}
