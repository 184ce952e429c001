import { describe, expect, it } from "vitest";
import { okResponse, RawOrigin } from "./harness/raw-origin.ts";
import { get, TestProxy } from "./harness/test-proxy.ts";

const CONNECT = "CONNECT b.example:443 HTTP/1.1\r\nHost: b.example:443\r\n\r\n";

describe("CONNECT", () => {
  it("is refused, and no origin hears of it", async () => {
    await using origin = await RawOrigin.answering(okResponse("no"));
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
    const text = await proxy.exchange(CONNECT + get());
    expect(text).toMatch(/^HTTP\/1\.1 405 .*\r\n/);
    expect(text.split("HTTP/1.1 ")).toHaveLength(2);
    expect(origin.connections.length).toBe(0);
  });

  it.each(["200 Connection Established", "403 Forbidden"])(
    "that is let through as a request, and answered %s, leaves both connections to nobody else",
    async (status) => {
      await using origin = await RawOrigin.start(async (connection) => {
        await connection.requestHead();
        connection.send(`HTTP/1.1 ${status}\r\nContent-Length: 0\r\n\r\n`);
      });
      await using proxy = await TestProxy.start(
        { upstreamPeer: () => origin.peer() },
        { server: { allowConnect: true } },
      );
      const text = await proxy.exchange(`${CONNECT}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n`);
      expect(text).toMatch(new RegExp(`^HTTP/1\\.1 ${status}\r\n`));
      expect(text.split("HTTP/1.1 ")).toHaveLength(2);
      await proxy.exchange(get());
      expect(origin.connections.length).toBe(2);
      expect(origin.connections.items[0]?.text).toBe(CONNECT);
    },
  );
});
