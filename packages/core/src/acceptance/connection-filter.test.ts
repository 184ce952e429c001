import { describe, expect, it } from "vitest";
import { TestService } from "../../test/acceptance/test-service.ts";
import { selfSigned } from "../../test/wire/test-authority.ts";
import type { AcceptedConnection } from "../listeners/accepted-connection.ts";
import { ListeningService } from "../services/listening-service.ts";
import type { ConnectionFilter } from "./connection-filter.ts";

describe("a connection filter", () => {
  it.each<[string, (answer: boolean) => ReturnType<ConnectionFilter>]>([
    ["sync", (answer) => answer],
    ["async", async (answer) => answer],
  ])("decides which connections are taken: %s", async (_how, answered) => {
    const seen: AcceptedConnection[] = [];
    await using test = await filtering((accepted) => {
      seen.push({ ...accepted });
      return answered(seen.length > 1);
    });
    const refused = await test.client();
    const clientAddress = `127.0.0.1:${refused.socket.localPort}`;
    expect((await refused.send("hello").whenClosed()).text).toBe("");
    await (await test.client()).send("hello").until("hello");
    expect(seen[0]).toMatchObject({ clientAddress, endpoint: { address: "127.0.0.1:0" }, tls: undefined });
    expect(await test.refused("filter")).toBe(1);
    expect(test.refusals).toEqual([{ reason: "filter", clientAddress, message: expect.stringContaining("filter") }]);
  });

  it("closes what it does not answer with true", async () => {
    await using test = await filtering((() => undefined) as never);
    await (await test.client()).whenClosed();
    expect(await test.refused("filter")).toBe(1);
  });

  it("harms one connection only when it throws, rejects or never settles", async () => {
    const failures: ConnectionFilter[] = [
      () => {
        throw new Error("thrown");
      },
      async () => {
        throw new Error("rejected");
      },
      () => new Promise(() => {}),
    ];
    await using test = await TestService.start((service) =>
      service.addTcp("127.0.0.1:0", {
        connectionFilterTimeoutMs: 100,
        connectionFilter: (accepted) => (failures.shift() ?? (() => true))(accepted),
      }),
    );
    const clients = [await test.client(), await test.client(), await test.client()];
    await expect.poll(() => failures.length).toBe(0);
    await (await test.client()).send("served").until("served");
    for (const client of clients) await client.whenClosed();
    expect(await test.refused("filter-error")).toBe(2);
    expect(await test.refused("filter-timeout")).toBe(1);
    expect(test.context.logger.records.map(({ fields }) => String(fields.err))).toContain("Error: thrown");
  });

  it("comes before TLS, and says nothing", async () => {
    await using test = await TestService.start((service) =>
      service.addTls("127.0.0.1:0", { settings: () => selfSigned({}) }, { connectionFilter: () => false }),
    );
    expect((await (await test.client()).whenClosed()).text).toBe("");
    expect(await test.tlsOutcome()).not.toContain("alert");
    expect(await test.refused("filter")).toBe(2);
  });

  it("knows the client that a proxy in front names", async () => {
    await using test = await TestService.start((service) =>
      service.addTcp("127.0.0.1:0", {
        proxyProtocol: { from: ["127.0.0.1"] },
        connectionFilter: ({ clientAddress }) => !clientAddress.startsWith("192.0.2."),
      }),
    );
    await (await test.client()).send("PROXY TCP4 192.0.2.1 127.0.0.1 1 2\r\n").whenClosed();
    await (await test.client()).send("PROXY TCP4 192.0.3.1 127.0.0.1 1 2\r\nhello").until("hello");
    expect(await test.refused("filter")).toBe(1);
  });

  it("of the service holds for addresses without one of their own", async () => {
    await using test = await TestService.start((service) =>
      service
        .filterConnections(() => false)
        .addTcp("127.0.0.1:0")
        .addTcp("127.0.0.2:0", { connectionFilter: () => true }),
    );
    await (await test.client()).whenClosed();
    expect(await test.refused("filter")).toBe(1);
    const [, other = ""] = test.service.addresses();
    const { connect } = await import("node:net");
    const socket = connect(Number(other.split(":")[1]), "127.0.0.2");
    socket.write("hello");
    expect(await new Promise((resolve) => socket.once("data", (data) => resolve(String(data))))).toBe("hello");
    socket.destroy();
  });
});

describe("deadlines that are none", () => {
  it.each([{ connectionFilterTimeoutMs: -1 }, { preTlsTimeoutMs: Number.NaN }])("are refused: %j", (options) => {
    const service = new ListeningService("a", { handle() {}, drain: async () => {} });
    expect(() => service.addTcp("127.0.0.1:0", options)).toThrow(expect.objectContaining({ code: "InvalidArgument" }));
  });
});

function filtering(connectionFilter: ConnectionFilter): Promise<TestService> {
  return TestService.start((service) => service.addTcp("127.0.0.1:0", { connectionFilter }));
}
