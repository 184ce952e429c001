import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { mkdtempDisposable } from "node:fs/promises";
import { connect as connectPlain, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { createConfiguration, MetricsRegistry, Peer, Server, silentLogger, singleThread } from "@cirque/core";
import { expect, it } from "vitest";
import type { TcpSession } from "../src/index.ts";
import { tcpProxyService, udpProxyService } from "../src/index.ts";
import { certificate, privateKey } from "./harness/backend-test-certificate.ts";
import { helloMessage, records, serverNames } from "./harness/client-hellos.ts";
import { EndPoint, refusingAddress, Upstream } from "./harness/end-point.ts";
import { UdpEndPoint } from "./harness/udp-end-point.ts";

it("a server runs both, and stops both when they are idle", async () => {
  await using stream = await Upstream.start("hello");
  await using datagrams = await UdpEndPoint.answering((data) => data);
  const server = new Server({ configuration: {}, logger: silentLogger });
  const tcp = tcpProxyService(server.configuration, { upstreamPeer: () => new Peer(stream.address) });
  const udp = udpProxyService(
    server.configuration,
    { upstreamPeer: () => new Peer(datagrams.address) },
    { drainIdleTimeoutMs: 50 },
  );
  server.addService(tcp.addTcp("127.0.0.1:0"));
  server.addService(udp.addUdp("127.0.0.1:0"));
  const shutdown = new AbortController();
  const { promise: running, resolve } = Promise.withResolvers<void>();
  server.watchExecutionPhase((phase) => {
    if (phase === "Running") resolve();
  });
  const ended = server.run({ shutdownSignal: shutdown.signal });
  await running;

  using client = await EndPoint.connect(portOf(tcp.addresses()[0]));
  await client.until("hello");
  await using asker = await UdpEndPoint.bind();
  asker.send("ping", udp.addresses()[0] ?? "");
  expect(await asker.text()).toBe("ping");
  expect(udp.endpoints()).toEqual([{ address: "127.0.0.1:0", kind: "udp" }]);

  shutdown.abort();
  client.end();
  (await stream.next()).end();
  await ended;
});

it("they take from the configuration what they do not say themselves, and again when it is reloaded", async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), "cirque-l4-"));
  const caFile = join(directory.path, "roots.pem");
  writeFileSync(caFile, certificate);
  const refusing = await refusingAddress();
  let attempts = 0;
  const callbacks = {
    upstreamPeer(): Peer {
      attempts += 1;
      return new Peer(refusing);
    },
  };
  const service = tcpProxyService(createConfiguration({ maxRetries: 2, caFile }), callbacks).addTcp("127.0.0.1:0");
  const { context, stop } = serviceContext();
  await service.start(context);
  const connect = async (): Promise<void> => {
    attempts = 0;
    using client = await EndPoint.connect(portOf(service.addresses()[0]));
    await client.whenClosed();
  };
  await connect();
  expect(attempts).toBe(2);
  const apply = await service.reload(createConfiguration({ maxRetries: 4 }));
  await connect();
  expect(attempts).toBe(2);
  apply?.();
  await connect();
  expect(attempts).toBe(4);
  expect(() => service.handler.reload(createConfiguration({ caFile: join(directory.path, "none.pem") }))).toThrow(
    expect.objectContaining({ code: "FileReadError" }),
  );
  await stop(service);
});

it("datagrams and connections come from the addresses that the configuration names", async () => {
  await using stream = await Upstream.start();
  await using datagrams = await UdpEndPoint.bind();
  const configuration = createConfiguration({ clientBindToIpv4: ["127.0.0.9"] });
  const tcp = tcpProxyService(configuration, { upstreamPeer: () => new Peer(stream.address) }).addTcp("127.0.0.1:0");
  const udp = udpProxyService(configuration, { upstreamPeer: () => datagrams }).addUdp("127.0.0.1:0");
  const { context, stop } = serviceContext();
  await Promise.all([tcp.start(context), udp.start(context)]);
  using client = await EndPoint.connect(portOf(tcp.addresses()[0]));
  expect((await stream.next()).socket.remoteAddress).toBe("127.0.0.9");
  await using asker = await UdpEndPoint.bind();
  asker.send("ping", udp.addresses()[0] ?? "");
  expect((await datagrams.next()).from.address).toBe("127.0.0.9");
  const apply = udp.reload(createConfiguration({ clientBindToIpv4: ["127.0.0.8"] }));
  apply?.();
  await using next = await UdpEndPoint.bind();
  next.send("ping", udp.addresses()[0] ?? "");
  expect((await datagrams.next()).from.address).toBe("127.0.0.8");
  client.socket.destroy();
  await Promise.all([stop(tcp), stop(udp)]);
});

it("a listener terminates TLS, and the half of a connection that ends is kept apart", async () => {
  await using stream = await Upstream.start();
  const seen: TcpSession[] = [];
  const service = tcpProxyService(createConfiguration(), {
    upstreamPeer(session) {
      seen.push(session);
      return new Peer(stream.address);
    },
  }).addTls("127.0.0.1:0", { cert: certificate, key: privateKey, alpn: ["postgresql"] });
  const { context, stop } = serviceContext();
  await service.start(context);
  const transport = connectPlain({ port: portOf(service.addresses()[0]), host: "127.0.0.1", allowHalfOpen: true });
  const client = connect({
    socket: transport,
    servername: "backend.test",
    ca: certificate,
    ALPNProtocols: ["postgresql"],
  });
  let received = "";
  client.on("data", (data) => {
    received += data;
  });
  client.end("question");
  const peer = await stream.next();
  expect(await peer.whenEnded()).toBe("question");
  peer.send("answer").end();
  await once(client, "end");
  expect(received).toBe("answer");
  expect(seen[0]?.accepted.tls).toMatchObject({ serverName: "backend.test", alpnProtocol: "postgresql" });
  await stop(service);
});

it("both sides may be Unix sockets, also when a connection is refused", async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), "cirque-l4-"));
  const [front, back] = [join(directory.path, "front.sock"), join(directory.path, "back.sock")];
  await using stream = await Upstream.start("hello", createServer({ allowHalfOpen: true }), back);
  let refuses = false;
  const callbacks = { upstreamPeer: () => (refuses ? undefined : new Peer(`unix:${back}`)) };
  const service = tcpProxyService(createConfiguration(), callbacks).addUnix(front);
  const { context, stop } = serviceContext();
  await service.start(context);
  const client = new EndPoint(connectPlain({ path: front, allowHalfOpen: true }));
  await client.bytes(5);
  client.send("question").end();
  const peer = await stream.next();
  expect(await peer.whenEnded()).toBe("question");
  peer.end();
  expect(await client.whenEnded()).toBe("hello");
  refuses = true;
  const refused = new EndPoint(connectPlain({ path: front }));
  await refused.whenClosed();
  expect(refused.text).toBe("");
  await stop(service);
});

it("the PROXY protocol comes in from a trusted proxy, and goes out to a peer, with TLS routed by name in between", async () => {
  await using stream = await Upstream.start();
  const service = tcpProxyService(
    createConfiguration(),
    {
      upstreamPeer: ({ clientAddress: source, serverAddress: destination, clientHello }) =>
        clientHello?.serverName === "a.test"
          ? new Peer(stream.address, { proxyProtocol: { version: 1, source, destination } })
          : undefined,
    },
    { readClientHello: true },
  ).addTcp("127.0.0.1:0", { proxyProtocol: { from: ["127.0.0.1"] } });
  const { context, stop } = serviceContext();
  await service.start(context);
  const header = "PROXY TCP4 192.0.2.1 198.51.100.1 1234 443\r\n";
  const hello = records(helloMessage({ extensions: [serverNames("a.test")] }));
  using client = await EndPoint.connect(portOf(service.addresses()[0]));
  client.send(Buffer.concat([Buffer.from(header), hello, Buffer.from("and more")])).end();
  const peer = await stream.next();
  expect(await peer.whenEnded()).toBe(`${header}${hello.toString("latin1")}and more`);
  peer.end();
  await client.whenEnded();
  await stop(service);
});

function portOf(address = ""): number {
  return Number(address.slice(address.lastIndexOf(":") + 1));
}

function serviceContext() {
  const context = {
    logger: silentLogger,
    metrics: new MetricsRegistry(),
    configuration: createConfiguration(),
    thread: singleThread(),
    shutdown: new AbortController().signal,
  };
  return {
    context,
    stop: (service: { stop(force: AbortSignal): Promise<void> }) => service.stop(AbortSignal.abort()),
  };
}
