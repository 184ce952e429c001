import { describe, expect, it } from "vitest";
import { TestService } from "../../test/acceptance/test-service.ts";
import type { PreTlsHook } from "./pre-tls.ts";

describe("a pre-TLS hook", () => {
  it("reads the first bytes, answers in the clear, changes the addresses, and gives the rest back", async () => {
    await using test = await hooked(async (connection) => {
      const bytes = (await connection.read()) ?? Buffer.alloc(0);
      const end = bytes.indexOf("\n");
      connection.write(Buffer.from("welcome "));
      connection.setAddresses({ clientAddress: bytes.toString("latin1", 0, end), serverAddress: "198.51.100.2:443" });
      connection.unread(bytes.subarray(end + 1));
      return true;
    });
    const client = await test.client();
    await client.send("192.0.2.1:1\nhello").until("welcome hello");
    expect((await test.handled.at(0)).accepted).toMatchObject({
      clientAddress: "192.0.2.1:1",
      serverAddress: "198.51.100.2:443",
      peerAddress: `127.0.0.1:${client.socket.localPort}`,
    });
  });

  it("may read again and again, until the client ends", async () => {
    const read: (string | undefined)[] = [];
    await using test = await hooked(async (connection) => {
      for (;;) {
        const bytes = await connection.read();
        read.push(bytes?.toString());
        if (bytes === undefined) return false;
      }
    });
    const client = await test.client();
    await client.sendNow("one");
    await expect.poll(() => read.length).toBe(1);
    await client.sendNow("two");
    await expect.poll(() => read.length).toBe(2);
    await client.end().whenClosed();
    expect(read).toEqual(["one", "two", undefined]);
    expect(await test.refused("pre-tls")).toBe(1);
  });

  it("harms one connection only when it throws, names no address, or never settles", async () => {
    const failures: PreTlsHook[] = [
      () => {
        throw new Error("thrown");
      },
      (connection) => {
        connection.setAddresses({ clientAddress: "nonsense" });
        return true;
      },
      () => new Promise(() => {}),
    ];
    await using test = await hooked((connection) => (failures.shift() ?? (() => true))(connection), 100);
    const clients = [await test.client(), await test.client(), await test.client()];
    await expect.poll(() => failures.length).toBe(0);
    await (await test.client()).send("served").until("served");
    for (const client of clients) await client.whenClosed();
    expect(await test.refused("pre-tls-error")).toBe(2);
    expect(await test.refused("pre-tls-timeout")).toBe(1);
  });
});

function hooked(preTls: PreTlsHook, preTlsTimeoutMs?: number): Promise<TestService> {
  return TestService.start((service) => service.addTcp("127.0.0.1:0", { preTls, preTlsTimeoutMs }));
}
