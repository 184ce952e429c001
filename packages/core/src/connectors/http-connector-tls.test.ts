import { once } from "node:events";
import { createServer } from "node:tls";
import { beforeAll, describe, expect, it } from "vitest";
import { settled } from "../../test/wire/raw-peer.ts";
import { type PemPair, TestAuthority } from "../../test/wire/test-authority.ts";
import { ask, requestHead } from "../../test/wire/test-origin.ts";
import { addressOf, closed, tlsOrigin } from "../../test/wire/tls-origin.ts";
import type { Http1ClientSession } from "../http1/client-session.ts";
import { connect } from "./connect.ts";
import { HttpConnector } from "./http-connector.ts";
import { HttpPeer } from "./http-peer.ts";
import type { PeerOptions } from "./peer-options.ts";

let authority: TestAuthority;
let forA: PemPair;

beforeAll(async () => {
  authority = await TestAuthority.create();
  forA = await authority.issue({ names: ["a.example"] });
});

describe("exchanges over TLS", () => {
  it("share a connection, until the origin closes it", async () => {
    await using origin = await tlsOrigin(forA);
    const connector = new HttpConnector({ ca: authority.cert });
    const peer = new HttpPeer(origin.address, { sni: "a.example" });
    for (let i = 0; i < 3; i++) {
      const session = (await connector.session(peer)) as Http1ClientSession;
      expect(session.reused).toBe(i > 0);
      const { sink } = await ask(session);
      await sink.body();
      connector.release(session, peer);
    }
    expect(origin.secured.length).toBe(1);
    origin.secured.items[0]?.end();
    await settled();
    expect(connector.idleConnections).toBe(0);
    connector.close();
  });

  it("do not share one with a peer that verifies otherwise", async () => {
    await using origin = await tlsOrigin(forA);
    const connector = new HttpConnector({ ca: authority.cert });
    const careless = new HttpPeer(origin.address, { sni: "b.example", verifyCert: false });
    const session = (await connector.session(careless)) as Http1ClientSession;
    await (await ask(session)).sink.body();
    connector.release(session, careless);
    expect(connector.idleConnections).toBe(1);
    const careful = new HttpPeer(origin.address, { sni: "b.example" });
    await expect(connector.session(careful)).rejects.toMatchObject({ code: "InvalidCert" });
    connector.close();
  });

  it("carry large bodies both ways, held back by whoever is slow", async () => {
    const length = 8 * 1024 * 1024;
    const server = createServer(forA, (socket) => {
      socket.once("data", () => {
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n`);
        socket.end(Buffer.alloc(length, "x"));
      });
      let uploaded = 0;
      socket.on("data", (chunk) => {
        uploaded += chunk.length;
        if (uploaded > length) received.resolve();
      });
    });
    const received = Promise.withResolvers<void>();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const connector = new HttpConnector({ ca: authority.cert });
    const session = (await connector.session(
      new HttpPeer(addressOf(server), { sni: "a.example" }),
    )) as Http1ClientSession;
    session.writeHead(requestHead("POST", { "content-length": String(length) }), true);
    const chunk = Buffer.alloc(64 * 1024);
    let sent = 0;
    const upload = (): void => {
      while (sent < length) {
        sent += chunk.length;
        if (!session.write(chunk)) return;
      }
      session.end();
    };
    session.observer = { onWritable: upload };
    upload();
    await session.readHead();
    let downloaded = 0;
    await new Promise<void>((resolve, reject) => {
      session.readBody({
        onData(data) {
          downloaded += data.length;
          session.pauseBody();
          setImmediate(() => session.resumeBody());
        },
        onEnd: () => resolve(),
        onError: reject,
      });
    });
    expect(downloaded).toBe(length);
    await received.promise;
    session.close();
    await closed(server);
  });

  it("survive an origin that resets while a connection is idle, in use, or just made", async () => {
    await using origin = await tlsOrigin(forA);
    const connector = new HttpConnector({ ca: authority.cert });
    const peer = new HttpPeer(origin.address, { sni: "a.example" });
    const idle = (await connector.session(peer)) as Http1ClientSession;
    await (await ask(idle)).sink.body();
    connector.release(idle, peer);
    origin.transports[0]?.resetAndDestroy();
    await settled();
    expect(connector.idleConnections).toBe(0);
    const fresh = (await connector.session(peer)) as Http1ClientSession;
    origin.transports[1]?.resetAndDestroy();
    await settled();
    await expect(ask(fresh)).rejects.toMatchObject({ code: "ConnectionClosed", retry: "reused-only" });
  });

  it("give their secrets to who asks for them (CFG-20)", async () => {
    await using origin = await tlsOrigin(forA);
    const lines: string[] = [];
    const settings = { ca: authority.cert, onKeylog: (line: Buffer) => lines.push(line.toString()) };
    (await connect(new HttpPeer(origin.address, { sni: "a.example" }), settings)).end();
    expect(lines.join("")).toMatch(/^CLIENT_HANDSHAKE_TRAFFIC_SECRET [0-9a-f]+ [0-9a-f]+$/m);
  });
});

it("no two peers that differ in TLS, or in the group, share a connection", async () => {
  const authorityToo = await TestAuthority.create("Another");
  const client = await authority.issue({ subject: "the client" });
  const clientToo = await authority.issue({ subject: "another client" });
  await using origin = await tlsOrigin(forA);
  const common: PeerOptions = { sni: "a.example", ca: authority.cert };
  const variants: PeerOptions[] = [
    common,
    { ...common, sni: "b.example", verifyHostname: false },
    { ...common, verifyHostname: false },
    { ...common, verifyCert: false },
    { ...common, alternativeName: "c.example" },
    { ...common, sni: "", alternativeName: "a.example" },
    { ...common, ca: `${authority.cert}\n${authorityToo.cert}` },
    { ...common, clientCertificate: client },
    { ...common, clientCertificate: clientToo },
    { ...common, alpn: [] },
    { ...common, curves: "X25519" },
    { ...common, groupKey: "a" },
    { ...common, localAddress: "127.0.0.1" },
  ];
  const connector = new HttpConnector();
  const peers = variants.map((options) => new HttpPeer(origin.address, options));
  for (const [index, peer] of peers.entries()) {
    const session = (await connector.session(peer)) as Http1ClientSession;
    await (await ask(session)).sink.body();
    connector.release(session, peer);
    for (const [other, stranger] of peers.entries()) {
      if (other !== index) expect(connector.keptSession(stranger), `${other} takes that of ${index}`).toBeUndefined();
    }
    // Its own kind does, and nothing is left behind.
    const again = connector.keptSession(new HttpPeer(origin.address, { ...variants[index] }));
    expect(again).toBe(session);
    session.close();
  }
  expect(connector.idleConnections).toBe(0);
});
