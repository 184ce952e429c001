import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { FakeClock } from "../../test/wire/fake-clock.ts";
import { settled } from "../../test/wire/raw-peer.ts";
import { SilentListener } from "../../test/wire/silent-listener.ts";
import { type ConnectOptions, connect } from "./connect.ts";
import { connectError } from "./connect-error.ts";
import { HttpPeer } from "./http-peer.ts";
import type { PeerOptions } from "./peer-options.ts";

/** A server that accepts, and is closed at the end. */
async function listening(
  to: { readonly host: string } | { readonly path: string } = { host: "127.0.0.1" },
): Promise<{ server: Server; address: string; accepted: Socket[] } & AsyncDisposable> {
  const accepted: Socket[] = [];
  const server = createServer((socket) => {
    socket.on("error", () => {});
    accepted.push(socket);
  });
  server.listen("path" in to ? to.path : { ...to, port: 0 });
  await once(server, "listening");
  const bound = server.address();
  return {
    server,
    accepted,
    address: typeof bound === "string" ? `unix:${bound}` : addressOf(bound as AddressInfo), // it listens
    async [Symbol.asyncDispose]() {
      for (const socket of accepted) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

function addressOf({ address, port }: AddressInfo): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/** An address that was listened on a moment ago. */
async function closedAddress(): Promise<string> {
  await using was = await listening();
  return was.address;
}

function connected(address: string, options: PeerOptions = {}, settings: ConnectOptions = {}): Promise<Socket> {
  return connect(new HttpPeer(address, options), settings);
}

describe("connecting to a peer", () => {
  it.each([{ host: "127.0.0.1" }, { host: "::1" }])("reaches %o", async (to) => {
    await using origin = await listening(to);
    const socket = await connected(origin.address);
    expect(socket.remoteAddress).toBe(to.host);
    expect(socket.allowHalfOpen).toBe(true);
    socket.destroy();
  });

  it("reaches a name, and the path of a Unix socket (PEER-02)", async () => {
    await using origin = await listening();
    (await connected(`localhost:${origin.address.split(":")[1]}`)).destroy();
    const folder = mkdtempSync(join(tmpdir(), "cirque-"));
    {
      await using unix = await listening({ path: join(folder, "socket") });
      for (const address of [unix.address, join(folder, "socket")]) (await connected(address)).destroy();
    }
    rmSync(folder, { recursive: true });
  });

  it("comes from the address that the peer says (PO-01)", async () => {
    await using origin = await listening();
    const socket = await connected(origin.address, { localAddress: "127.0.0.2" });
    await settled();
    expect(origin.accepted[0]?.remoteAddress).toBe("127.0.0.2");
    socket.destroy();
    const named = await connected(`localhost:${origin.address.split(":")[1]}`, { localAddress: "127.0.0.3" });
    await settled();
    expect(origin.accepted[1]?.remoteAddress).toBe("127.0.0.3");
    named.destroy();
  });

  it("comes from one of the addresses of the configuration, by the family of the peer (CONN-02)", async () => {
    await using four = await listening();
    const bind = { bindToIpv4: ["127.0.0.2", "127.0.0.3"], bindToIpv6: ["::1"] };
    const seen = new Set<string | undefined>();
    for (let i = 0; i < 40 && seen.size < 2; i++) {
      const socket = await connected(four.address, {}, bind);
      seen.add(socket.localAddress);
      socket.destroy();
    }
    expect(seen).toEqual(new Set(["127.0.0.2", "127.0.0.3"]));
    await using six = await listening({ host: "::1" });
    const socket = await connected(six.address, {}, bind);
    expect(socket.localAddress).toBe("::1");
    socket.destroy();
  });

  it("comes from them also when the peer is a name", async () => {
    await using four = await listening();
    const socket = await connected(`localhost:${four.address.split(":")[1]}`, {}, { bindToIpv4: ["127.0.0.2"] });
    expect(socket.localAddress).toBe("127.0.0.2");
    socket.destroy();
  });

  it("prefers the address of the peer's options to that of the configuration", async () => {
    await using origin = await listening();
    const socket = await connected(origin.address, { localAddress: "127.0.0.4" }, { bindToIpv4: ["127.0.0.2"] });
    expect(socket.localAddress).toBe("127.0.0.4");
    socket.destroy();
  });
});

describe("a connection that cannot be made (CONN-03)", () => {
  it("is ConnectRefused when nobody listens, and can be tried again", async () => {
    const address = await closedAddress();
    await expect(connected(address)).rejects.toMatchObject({
      code: "ConnectRefused",
      source: "upstream",
      retry: true,
      message: expect.stringContaining(address),
      context: { peer: address },
    });
  });

  it("says why, also when a name has several addresses", async () => {
    const port = (await closedAddress()).split(":")[1];
    await expect(connected(`localhost:${port}`)).rejects.toMatchObject({
      code: "ConnectRefused",
      message: expect.stringMatching(/ECONNREFUSED/),
    });
  });

  it("says why when there is no message: all addresses of a name failed", () => {
    const cause = Object.assign(new AggregateError([new Error("one"), new Error("two")]), { code: "ECONNREFUSED" });
    expect(connectError(new HttpPeer("a.example:80"), cause)).toMatchObject({
      code: "ConnectRefused",
      message: "could not connect to http://a.example:80: ECONNREFUSED",
    });
  });

  it("is ConnectRefused when a Unix socket is not there, or nobody listens on it", async () => {
    const folder = mkdtempSync(join(tmpdir(), "cirque-"));
    writeFileSync(join(folder, "file"), "");
    for (const path of ["missing", "file"]) {
      await expect(connected(join(folder, path))).rejects.toMatchObject({ code: "ConnectRefused", retry: true });
    }
    rmSync(folder, { recursive: true });
  });

  it("is ConnectNoRoute when the network cannot be reached", async () => {
    // No TCP connection can be made to the broadcast address, and none is tried on a wire.
    await expect(connected("255.255.255.255:80")).rejects.toMatchObject({ code: "ConnectNoRoute", retry: true });
  });

  it("is BindError when the source address is not ours, and trying again does not help", async () => {
    await using origin = await listening();
    await expect(connected(origin.address, { localAddress: "192.0.2.1" })).rejects.toMatchObject({
      code: "BindError",
      retry: false,
    });
  });

  it("is InvalidArgument with an option that is none", async () => {
    await using origin = await listening();
    await expect(connected(origin.address, { localAddress: "nowhere" })).rejects.toMatchObject({
      code: "InvalidArgument",
      source: "internal",
      retry: false,
      message: expect.stringContaining("nowhere"),
    });
  });

  it("is ConnectTimedout when nobody answers in time", async () => {
    using clock = new FakeClock();
    const silent = await SilentListener.start();
    let settledAt: string | undefined;
    const socket = connected(silent.address).finally(() => {
      settledAt = "5 s";
    });
    socket.catch(() => {});
    await clock.pass(4_900);
    expect(settledAt).toBeUndefined();
    await clock.pass(200);
    await expect(socket).rejects.toMatchObject({
      code: "ConnectTimedout",
      source: "upstream",
      retry: true,
      message: expect.stringMatching(/5000 ms/),
    });
    const hurried = connected(silent.address, { totalConnectionTimeoutMs: 50 });
    hurried.catch(() => {});
    await clock.pass(60);
    await expect(hurried).rejects.toMatchObject({ code: "ConnectTimedout" });
    await silent.stop();
  });

  it.each([
    ["ECONNREFUSED", "ConnectRefused", true],
    ["ENOENT", "ConnectRefused", true],
    ["ETIMEDOUT", "ConnectTimedout", true],
    ["ENETUNREACH", "ConnectNoRoute", true],
    ["EHOSTUNREACH", "ConnectNoRoute", true],
    ["EADDRNOTAVAIL", "BindError", false],
    ["EADDRINUSE", "InternalError", false],
    ["EACCES", "InternalError", false],
    ["EPERM", "InternalError", false],
    ["ENOTFOUND", "ConnectError", true],
    ["ECONNRESET", "ConnectError", true],
    ["EMFILE", "ConnectError", true],
  ])("of %s is %s", (system, code, retry) => {
    const cause = Object.assign(new Error("it did not work"), { code: system });
    const error = connectError(new HttpPeer("a.example:80"), cause);
    expect(error).toMatchObject({ code, retry, source: "upstream", cause });
    expect(error.message).toContain("it did not work");
  });
});
