import { execFile } from "node:child_process";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import tls from "node:tls";
import { promisify } from "node:util";
import { Peer } from "@cirque/core";
import { describe, expect, it } from "vitest";
import type { TcpSession } from "../src/index.ts";
import { certificate, privateKey } from "./harness/backend-test-certificate.ts";
import { helloMessage, records, serverNames } from "./harness/client-hellos.ts";
import { Upstream } from "./harness/end-point.ts";
import { TestTcpProxy } from "./harness/test-tcp-proxy.ts";

const run = promisify(execFile);

/** A TLS server that says its own name. */
function tlsUpstream(name: string): Promise<Upstream> {
  const greeting = `HTTP/1.0 200 OK\r\nContent-Length: ${name.length}\r\n\r\n${name}`;
  return Upstream.start(
    greeting,
    tls.createServer({ cert: certificate, key: privateKey, ALPNProtocols: ["http/1.1"] }),
  );
}

function routes(upstreams: Readonly<Record<string, Upstream>>, seen: TcpSession[] = []) {
  return {
    upstreamPeer(session: TcpSession): Peer | undefined {
      seen.push(session);
      const upstream = upstreams[session.clientHello?.serverName ?? ""];
      return upstream && new Peer(upstream.address);
    },
  };
}

describe("with readClientHello", () => {
  it("goes by the name to a server that does the handshake itself", async () => {
    await using one = await tlsUpstream("one");
    await using two = await tlsUpstream("two");
    const seen: TcpSession[] = [];
    await using proxy = await TestTcpProxy.start(routes({ "one.test": one, "two.test": two }, seen), {
      readClientHello: true,
      accessLog: true,
    });
    for (const [servername, answer] of [
      ["two.test", "two"],
      ["one.test", "one"],
    ]) {
      const options = { port: proxy.port, servername, rejectUnauthorized: false, ALPNProtocols: ["http/1.1"] };
      const client = tls.connect(options as tls.ConnectionOptions);
      const [greeting] = await once(client, "data");
      expect(String(greeting)).toContain(answer);
      expect(client.getPeerX509Certificate()?.subject).toBe("CN=backend.test");
      client.destroy();
    }
    expect(seen.map(({ clientHello }) => clientHello?.alpnProtocols)).toEqual([["http/1.1"], ["http/1.1"]]);
    expect(seen[0]?.clientHello?.versions[0]).toBe("TLSv1.3");
    await proxy.over(1);
    expect(
      proxy.logger.records
        .map(({ fields }) => fields.serverName)
        .filter(Boolean)
        .sort(),
    ).toEqual(["one.test", "two.test"]);
  });

  it("serves openssl and curl", async () => {
    const server = tls.createServer({ cert: certificate, key: privateKey }, (socket) => {
      socket.once("data", () => socket.end("HTTP/1.0 200 OK\r\n\r\nserved"));
    });
    await using upstream = await Upstream.start("", server);
    await using proxy = await TestTcpProxy.start(routes({ "one.test": upstream }), { readClientHello: true });
    const target = `127.0.0.1:${proxy.port}`;
    const openssl = execFile("openssl", ["s_client", "-connect", target, "-servername", "one.test", "-quiet"]);
    openssl.stdin?.write("GET / HTTP/1.0\r\n\r\n");
    let output = "";
    openssl.stdout?.on("data", (text: string) => {
      output += text;
    });
    await once(openssl, "close");
    expect(output).toContain("served");
    const curl = await run("curl", ["-sk", "--connect-to", `one.test:443:${target}`, "https://one.test/"]);
    expect(curl.stdout).toBe("served");
  });

  it("passes the bytes on unchanged, however they come, with all that came behind them", async () => {
    await using upstream = await Upstream.start();
    await using proxy = await TestTcpProxy.start(routes({ "a.test": upstream }), { readClientHello: true });
    const hello = records(helloMessage({ extensions: [serverNames("a.test")] }), 7);
    using client = await proxy.connect();
    for (const byte of hello.subarray(0, 90)) {
      client.send(Buffer.from([byte]));
      await delay(0);
    }
    client.send(hello.subarray(90)).send("early data").end();
    const peer = await upstream.next();
    expect(await peer.whenEnded()).toBe(`${hello.toString("latin1")}early data`);
    peer.end();
    expect((await proxy.over()).session.uploadBytes).toBe(hello.length + 10);
  });

  it.each([
    ["speaks no TLS", "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", "not-tls"],
    ["breaks it", records(helloMessage({ extensions: [serverNames("a\0b")] })), "bad-server-name"],
  ])("resets and counts a client that %s", async (_how, bytes, fault) => {
    await using upstream = await Upstream.start();
    await using proxy = await TestTcpProxy.start(routes({ "": upstream }), { readClientHello: true });
    using client = await proxy.connect();
    client.send(bytes);
    await client.whenClosed();
    const { session, error } = await proxy.over();
    expect(error).toMatchObject({ code: "HandshakeError", context: { reason: "client-hello", fault } });
    expect(session.attempts).toBe(0);
    expect(upstream.connections).toEqual([]);
    expect(await proxy.metrics.exposition()).toMatch(/^cirque_tcp_failures_total\{(?=.*reason="client-hello").*\} 1$/m);
  });

  it("lets go of a client that sends its hello too slowly, or not at all", async () => {
    await using proxy = await TestTcpProxy.start(routes({}), { readClientHello: true, clientHelloTimeoutMs: 100 });
    using client = await proxy.connect();
    client.send(Buffer.from([22]));
    await client.whenClosed();
    expect((await proxy.over()).error).toMatchObject({
      code: "ReadTimedout",
      message: "the client sent no ClientHello within 100 ms",
    });
  });

  it("notices a client that leaves in the middle of it", async () => {
    await using proxy = await TestTcpProxy.start(routes({}), { readClientHello: true });
    using client = await proxy.connect();
    client.send(Buffer.from([22, 3, 1])).end();
    expect((await proxy.over()).error).toMatchObject({ code: "ConnectionClosed", context: { fault: "ended" } });
  });
});

describe("TLS", () => {
  it("is terminated where the listener does it, and spoken to the peer where the peer wants it", async () => {
    await using upstream = await tlsUpstream("inside");
    const server = tls.createServer({ cert: certificate, key: privateKey, allowHalfOpen: true });
    await using proxy = await TestTcpProxy.start(
      { upstreamPeer: () => new Peer(upstream.address, { sni: "backend.test", ca: certificate }) },
      {},
      server,
    );
    const client = tls.connect({ port: proxy.port, host: "127.0.0.1", servername: "backend.test", ca: certificate });
    const [greeting] = await once(client, "data");
    expect(String(greeting)).toContain("inside");
    const peer = await upstream.next();
    client.write("question");
    await peer.until("question");
    client.end();
    await peer.whenEnded();
    peer.end();
    await once(client, "close");
    const { session, error } = await proxy.over();
    expect(error).toBeUndefined();
    expect(session.uploadBytes).toBe(8);
  });

  it("to a peer that cannot be verified is a failed connection", async () => {
    await using upstream = await tlsUpstream("inside");
    await using proxy = await TestTcpProxy.start({
      upstreamPeer: () => new Peer(upstream.address, { sni: "other.test", ca: certificate }),
    });
    using client = await proxy.connect();
    await client.whenClosed();
    expect(client.text).toBe("");
    expect((await proxy.over()).error).toMatchObject({ code: "InvalidCert", context: { reason: "connect" } });
  });
});
