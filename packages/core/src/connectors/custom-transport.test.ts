import { once } from "node:events";
import { type Duplex, duplexPair } from "node:stream";
import tls from "node:tls";
import { beforeAll, describe, expect, it } from "vitest";
import { FakeClock } from "../../test/wire/fake-clock.ts";
import { RawPeer, settled } from "../../test/wire/raw-peer.ts";
import { type PemPair, TestAuthority } from "../../test/wire/test-authority.ts";
import { ask, sized } from "../../test/wire/test-origin.ts";
import type { Http1ClientSession } from "../http1/client-session.ts";
import { connect } from "./connect.ts";
import { connectFactsOf } from "./connect-facts.ts";
import { HttpConnector } from "./http-connector.ts";
import { HttpPeer } from "./http-peer.ts";
import { Peer } from "./peer.ts";
import type { PeerOptions } from "./peer-options.ts";

let authority: TestAuthority;
let forA: PemPair;

beforeAll(async () => {
  authority = await TestAuthority.create();
  forA = await authority.issue({ names: ["a.example"] });
});

/** A transport in memory, and its other end. */
function inMemory(): { options: PeerOptions; ends: RawPeer[]; asked: string[] } {
  const ends: RawPeer[] = [];
  const asked: string[] = [];
  const options: PeerOptions = {
    connect: (peer) => {
      asked.push(peer.address);
      const [ours, theirs] = duplexPair();
      ends.push(new RawPeer(theirs as never)); // it uses no more of a socket than this has
      return ours;
    },
  };
  return { options, ends, asked };
}

describe("a transport of the user's own (PO-25, CONN-05)", () => {
  it("carries HTTP, and is kept for the next request", async () => {
    const { options, ends, asked } = inMemory();
    const connector = new HttpConnector();
    const peer = new HttpPeer("origin:80", options);
    for (const body of ["one", "two"]) {
      const session = (await connector.session(peer)) as Http1ClientSession;
      const response = ask(session);
      const end = ends[0] as RawPeer;
      await end.until("\r\n\r\n");
      end.clear().send(sized(body));
      expect((await (await response).sink.body()).text).toBe(body);
      connector.release(session, peer);
    }
    expect(asked).toEqual(["origin:80"]);
    expect(connector.idleConnections).toBe(1);
    ends[0]?.end();
    await settled();
    expect(connector.idleConnections).toBe(0);
  });

  it("that breaks is seen to break", async () => {
    const { options, ends } = inMemory();
    const connector = new HttpConnector();
    const session = (await connector.session(new HttpPeer("origin:80", options))) as Http1ClientSession;
    const response = ask(session);
    await ends[0]?.until("\r\n\r\n");
    ends[0]?.end();
    await expect(response).rejects.toMatchObject({ code: "ConnectionClosed" });
  });

  it("carries TLS", async () => {
    const servers: tls.TLSSocket[] = [];
    const transport = (): Duplex => {
      const [ours, theirs] = duplexPair();
      const server = new tls.TLSSocket(theirs, { isServer: true, ...forA, ALPNProtocols: ["http/1.1"] });
      server.on("error", () => {});
      server.once("data", () => server.write(sized("over TLS")));
      servers.push(server);
      return ours;
    };
    const connector = new HttpConnector({ ca: authority.cert });
    const peer = new HttpPeer("origin:443", { sni: "a.example", connect: transport });
    const session = (await connector.session(peer)) as Http1ClientSession;
    expect((await (await ask(session)).sink.body()).text).toBe("over TLS");
    expect(session.connectFacts?.tls).toMatchObject({ alpn: "http/1.1" });
    const wrong = new HttpPeer("origin:443", { sni: "b.example", connect: transport });
    await expect(connector.session(wrong)).rejects.toMatchObject({ code: "InvalidCert" });
    connector.close();
    for (const server of servers) server.destroy();
  });

  it.each<[string, PeerOptions["connect"], string]>([
    ["throws", () => Promise.reject(new Error("no way")), "no way"],
    [
      "throws at once",
      (): never => {
        throw new Error("no way");
      },
      "no way",
    ],
    ["returns no stream", () => ({}) as Duplex, "no duplex stream"],
    ["returns nothing", () => undefined as never, "no duplex stream"],
  ])("that %s is ConnectError", async (_, make, message) => {
    const failing = connect(new Peer("origin:80", make && { connect: make }));
    await expect(failing).rejects.toMatchObject({ code: "ConnectError", message: expect.stringContaining(message) });
  });

  it("that is not there in time is given up, and destroyed when it comes after all", async () => {
    using clock = new FakeClock();
    const late = Promise.withResolvers<Duplex>();
    let signal: AbortSignal | undefined;
    const connecting = connect(
      new Peer("origin:80", {
        connect: (_peer, given) => {
          signal = given;
          return late.promise;
        },
      }),
    );
    connecting.catch(() => {});
    await clock.pass(5_010);
    await expect(connecting).rejects.toMatchObject({ code: "ConnectTimedout" });
    expect(signal?.aborted).toBe(true);
    const [stream] = duplexPair();
    late.resolve(stream);
    await settled();
    expect(stream.destroyed).toBe(true);
  });

  it("does not go with a next hop", () => {
    const connectNowhere = (): Duplex => duplexPair()[0];
    const nextHop = { protocol: "connect", peer: "127.0.0.1:1" } as const;
    expect(() => new Peer("origin:80", { connect: connectNowhere, nextHop })).toThrow(/one of it and nextHop/);
  });
});

describe("a tracer (PO-24)", () => {
  it("is told of a connection and of its end", async () => {
    const { options, ends } = inMemory();
    const told: string[] = [];
    const tracer = {
      onConnected: () => told.push("connected"),
      onDisconnected: () => told.push("disconnected"),
    };
    const socket = await connect(new Peer("origin:80", { ...options, tracer }));
    expect(told).toEqual(["connected"]);
    expect(connectFactsOf(socket)).toMatchObject({ peer: "origin:80", remoteAddress: undefined });
    socket.destroy();
    await once(socket, "close");
    expect(told).toEqual(["connected", "disconnected"]);
    ends[0]?.[Symbol.dispose]();
  });

  it("that throws fails the connection it was told of, and nothing else", async () => {
    const { options } = inMemory();
    const tracer = {
      onConnected: () => {
        throw new Error("a fault of ours");
      },
    };
    await expect(connect(new Peer("origin:80", { ...options, tracer }))).rejects.toMatchObject({
      code: "InternalError",
      message: expect.stringContaining("a fault of ours"),
    });
  });

  it("that throws at the end of a connection is a warning", async () => {
    const { options } = inMemory();
    const warning = once(process, "warning");
    const tracer = {
      onDisconnected: () => {
        throw new Error("a fault of ours");
      },
    };
    (await connect(new Peer("origin:80", { ...options, tracer }))).destroy();
    expect(String((await warning)[0])).toContain("a fault of ours");
  });
});

describe("the hook after a TLS handshake (PO-28)", () => {
  function overTls(onTlsHandshake: (socket: tls.TLSSocket) => unknown): Peer {
    const transport = (): Duplex => {
      const [ours, theirs] = duplexPair();
      new tls.TLSSocket(theirs, { isServer: true, ...forA }).on("error", () => {});
      return ours;
    };
    return new Peer("origin:443", { sni: "a.example", ca: authority.cert, connect: transport, onTlsHandshake });
  }

  it("gets the socket, and what it returns is kept", async () => {
    const socket = await connect(overTls((secured) => secured.getPeerCertificate().subjectaltname));
    expect(connectFactsOf(socket)?.tls?.userData).toBe("DNS:a.example");
    socket.destroy();
  });

  it("that throws fails the connection", async () => {
    const peer = overTls(() => {
      throw new Error("not the one that we meant");
    });
    await expect(connect(peer)).rejects.toMatchObject({
      code: "InternalError",
      message: expect.stringContaining("not the one that we meant"),
    });
  });
});
