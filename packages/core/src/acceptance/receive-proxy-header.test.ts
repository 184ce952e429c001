import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect as connectTcp, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { describe, expect, it } from "vitest";
import { TestService } from "../../test/acceptance/test-service.ts";
import { selfSigned } from "../../test/wire/test-authority.ts";
import { encodeProxyHeader } from "../proxy-protocol/encode-proxy-header.ts";
import { ListeningService } from "../services/listening-service.ts";
import type { ProxyProtocolOptions } from "./receive-proxy-header.ts";

const client = { source: "192.0.2.1:1234", destination: "198.51.100.2:443" };
const line = "PROXY TCP4 192.0.2.1 198.51.100.2 1234 443\r\n";

describe("a listener that reads the PROXY protocol", () => {
  it.each([
    ["version 1", Buffer.from(line)],
    ["version 2", encodeProxyHeader({ ...client, authority: "site.example", checksum: true })],
  ])("takes the addresses from a header of %s, and gives what comes behind to the handler", async (_what, header) => {
    await using test = await listening();
    const peer = await test.client();
    peer.send(Buffer.concat([header, Buffer.from("hello")]));
    await peer.until("hello");
    const { accepted } = await test.handled.at(0);
    expect(accepted).toMatchObject({
      peerAddress: `127.0.0.1:${peer.socket.localPort}`,
      localAddress: test.address,
      clientAddress: "192.0.2.1:1234",
      serverAddress: "198.51.100.2:443",
    });
    expect(accepted.proxyHeader?.source).toBe("192.0.2.1:1234");
    peer.send(", and more");
    await peer.until("hello, and more");
  });

  it("takes the header in any pieces", async () => {
    await using test = await listening();
    const bytes = Buffer.concat([encodeProxyHeader({ ...client, authority: "a" }), Buffer.from("hello")]);
    const peer = await test.client();
    peer.socket.setNoDelay(true);
    for (const byte of bytes) {
      await peer.sendNow(Buffer.of(byte));
      await new Promise(setImmediate);
    }
    await peer.until("hello");
    expect((await test.handled.at(0)).accepted.proxyHeader?.authority).toBe("a");
  });

  it.each(["in the same packet as the hello", "alone"])("reads it before TLS, when it comes %s", async (how) => {
    const site = await selfSigned({});
    await using test = await TestService.start((service) =>
      service.addTls("127.0.0.1:0", site, { proxyProtocol: { from: ["127.0.0.1"] } }),
    );
    const transport = await connected(test.port);
    if (how === "alone") await new Promise<void>((resolve) => transport.write(line, () => resolve()));
    else transport.cork();
    if (how !== "alone") transport.write(line);
    const secured = connectTls({ socket: transport, rejectUnauthorized: false, servername: "a.example" });
    if (how !== "alone") setImmediate(() => transport.uncork());
    await once(secured, "secureConnect");
    secured.write("hello");
    expect(String((await once(secured, "data"))[0])).toBe("hello");
    const { accepted } = await test.handled.at(0);
    expect(accepted).toMatchObject({ clientAddress: "192.0.2.1:1234", tls: { serverName: "a.example" } });
    transport.destroy();
  });

  it("leaves the addresses of the socket where the proxy says nothing of them", async () => {
    await using test = await listening();
    for (const header of [encodeProxyHeader({ command: "local" }), encodeProxyHeader({}), "PROXY UNKNOWN\r\n"]) {
      const peer = await test.client();
      await peer.send(header).send("hello").until("hello");
    }
    for (const { accepted } of test.handled.items) {
      expect(accepted.clientAddress).toBe(accepted.peerAddress);
      expect(accepted.serverAddress).toBe(test.address);
      expect(accepted.proxyHeader?.transport).toBe("unspecified");
    }
    expect(test.handled.length).toBe(3);
  });

  it.each([
    ["absent", "GET / HTTP/1.1\r\n\r\n"],
    ["bad-line", "PROXY TCP4 192.0.2.1\r\n"],
    ["bad-address", "PROXY TCP4 a.example b.example 1 2\r\n"],
    ["too-long", `PROXY TCP4 ${"1".repeat(200)}`],
    ["bad-family", encodeProxyHeader({ ...client, transport: "datagram" })],
    ["bad-checksum", Buffer.concat([encodeProxyHeader({ ...client, checksum: true }).subarray(0, -1), Buffer.of(9)])],
  ])("refuses, and counts as %s, %j", async (reason, bytes) => {
    await using test = await listening();
    const peer = await test.client();
    const clientAddress = `127.0.0.1:${peer.socket.localPort}`;
    expect((await peer.send(bytes).whenClosed()).text).toBe("");
    expect(await test.refused(`proxy-header-${reason}`)).toBe(1);
    expect(test.refusals).toMatchObject([{ reason: `proxy-header-${reason}`, clientAddress }]);
    expect(test.handled.length).toBe(0);
    const next = await test.client();
    await next.send(line).send("served").until("served");
  });

  it("refuses one that is cut by the end, and one that does not come in time, while others are served", async () => {
    await using test = await listening({ headerTimeoutMs: 500 });
    const cut = await test.client();
    await cut.send("PROXY TCP4").end().whenClosed();
    expect(await test.refused("proxy-header-cut")).toBe(1);
    const silent = await test.client();
    const slow = (await test.client()).send(line.slice(0, -1));
    const next = await test.client();
    await next.send(line).send("served").until("served");
    await Promise.all([silent.whenClosed(), slow.whenClosed()]);
    expect(await test.refused("proxy-header-timeout")).toBe(2);
    const reset = await test.client();
    await reset.sendNow("PROXY");
    await expect.poll(() => test.metric("cirque_connections_accepted_total.*")).toBe(5);
    reset.reset();
    await expect.poll(() => test.refused("client-gone")).toBe(1);
  });

  it("believes those it was told to, and takes others as clients themselves", async () => {
    await using test = await listening({ from: ["10.0.0.0/8", "2001:db8::/32"] });
    const peer = await test.client();
    await peer.send(line).until(line);
    const { accepted } = await test.handled.at(0);
    expect(accepted.clientAddress).toBe(accepted.peerAddress);
    expect(accepted.proxyHeader).toBeUndefined();
  });

  it("can refuse others", async () => {
    await using test = await listening({ from: ["10.0.0.0/8"], others: "refuse" });
    await (await test.client()).send(line).whenClosed();
    expect(await test.refused("proxy-header-untrusted")).toBe(1);
    expect(test.handled.length).toBe(0);
  });

  it("can do without a header of those it believes", async () => {
    await using test = await listening({ required: false });
    const direct = await test.client();
    await direct.send("PUT / HTTP/1.1").until("PUT / HTTP/1.1");
    const relayed = await test.client();
    await relayed.send(line).send("hello").until("hello");
    expect(test.handled.items.map(({ accepted }) => accepted.clientAddress)).toEqual([
      `127.0.0.1:${direct.socket.localPort}`,
      "192.0.2.1:1234",
    ]);
  });

  it("believes an IPv4 address that comes as one of IPv6", async () => {
    await using test = await TestService.start((service) =>
      service.addTcp("[::]:0", { proxyProtocol: { from: ["127.0.0.0/8"] } }),
    );
    await (await test.client()).send(line).send("hello").until("hello");
    expect((await test.handled.at(0)).accepted.clientAddress).toBe("192.0.2.1:1234");
  });

  it("believes whoever may connect to a Unix socket", async () => {
    const directory = mkdtempSync(join(tmpdir(), "cirque-proxy-"));
    await using test = await TestService.start((service) =>
      service.addUnix(join(directory, "a.sock"), { proxyProtocol: { from: ["10.0.0.0/8"] } }),
    );
    await (await test.client()).send(line).send("hello").until("hello");
    expect((await test.handled.at(0)).accepted.clientAddress).toBe("192.0.2.1:1234");
    rmSync(directory, { recursive: true });
  });

  it.each([[[]], [undefined], [["10.0.0.0/33"]], [["10.0.0.1/8/8"]], [["a.example"]], [["10.0.0.0/x"]], [["::/129"]]])(
    "refuses the networks %j",
    (from) => {
      const service = new ListeningService("a", { handle() {}, drain: async () => {} });
      const add = (): unknown => service.addTcp("127.0.0.1:0", { proxyProtocol: { from: from as string[] } });
      expect(add).toThrow(expect.objectContaining({ code: "InvalidArgument" }));
      expect(add).toThrow("proxyProtocol.from");
    },
  );
});

describe("options that are none", () => {
  it.each([
    [{ required: "yes" }, "proxyProtocol.required"],
    [{ others: "ignore" }, "proxyProtocol.others"],
    [{ headerTimeoutMs: 0 }, "proxyProtocol.headerTimeoutMs"],
    [{ headerTimeoutMs: Number.NaN }, "proxyProtocol.headerTimeoutMs"],
  ])("are refused: %j", (options, message) => {
    const service = new ListeningService("a", { handle() {}, drain: async () => {} });
    const proxyProtocol = { from: ["127.0.0.1"], ...options } as ProxyProtocolOptions;
    expect(() => service.addTcp("127.0.0.1:0", { proxyProtocol })).toThrow(message);
  });
});

function listening(options: Partial<ProxyProtocolOptions> = {}): Promise<TestService> {
  return TestService.start((service) =>
    service.addTcp("127.0.0.1:0", { proxyProtocol: { from: ["127.0.0.0/8"], ...options } }),
  );
}

async function connected(port: number): Promise<Socket> {
  const socket = connectTcp(port, "127.0.0.1");
  await once(socket, "connect");
  return socket;
}
