import { describe, expect, test } from "vitest";
import type { ProxyHttp } from "../src/index.ts";
import { RawOrigin } from "./harness/raw-origin.ts";
import type { RawPeer } from "./harness/raw-peer.ts";
import { Recorder } from "./harness/recorder.ts";
import { get, post, TestProxy } from "./harness/test-proxy.ts";

/** A proxy in front of an origin that a test plays by hand. */
async function byHand(callbacks: Partial<ProxyHttp> = {}) {
  const origin = await RawOrigin.start();
  const ended = new Recorder<string | undefined>();
  const proxy = await TestProxy.start({
    upstreamPeer: () => origin.peer(),
    logging: (_session, error) => ended.add(error?.source),
    ...callbacks,
  });
  return {
    origin,
    proxy,
    ended,
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]();
      await origin[Symbol.asyncDispose]();
    },
  };
}

const leaving: Readonly<Record<string, (client: RawPeer) => void>> = {
  "ends its side": (client) => client.end(),
  closes: (client) => client.socket.destroy(),
  resets: (client) => client.reset(),
};

for (const [how, leave] of Object.entries(leaving)) {
  describe(`a client that ${how} frees the origin (ERRP-12)`, () => {
    test("while the origin is silent", async () => {
      await using world = await byHand();
      const client = await world.proxy.client();
      client.send(get("/", ""));
      const upstream = await world.origin.connections.at(0);
      await upstream.request();
      leave(client);
      await upstream.whenClosed();
      expect(await world.ended.at(0)).toBe("downstream");
      expect(world.origin.connections.length).toBe(1);
    });

    test("in the middle of its upload", async () => {
      await using world = await byHand();
      const client = await world.proxy.client();
      client.send(post("0123456789", "").slice(0, -5));
      const upstream = await world.origin.connections.at(0);
      await upstream.until("01234");
      leave(client);
      await upstream.whenClosed();
      expect(await world.ended.at(0)).toBe("downstream");
      expect(upstream.text).not.toContain("5");
    });

    test("in the middle of a chunked upload: the origin does not take it for whole", async () => {
      await using world = await byHand();
      const client = await world.proxy.client();
      client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
      const upstream = await world.origin.connections.at(0);
      await upstream.until("abc");
      leave(client);
      expect((await upstream.whenClosed()).text).not.toContain("0\r\n\r\n");
    });

    test("in the middle of a response", async () => {
      await using world = await byHand();
      const client = await world.proxy.client();
      client.send(get("/", ""));
      const upstream = await world.origin.connections.at(0);
      await upstream.request();
      upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc");
      await client.until("abc");
      leave(client);
      await upstream.whenClosed();
      expect(await world.ended.at(0)).toBe("downstream");
      expect(await world.proxy.metric('cirque_requests_aborted_total{service="http"}')).toBe(1);
      expect(await world.proxy.metric('cirque_requests_in_flight{service="http"}')).toBe(0);
    });

    test("while a callback is waiting: `signal` tells it, and no origin is asked", async () => {
      const waiting = new Recorder<true>();
      await using world = await byHand({
        requestFilter: (session) =>
          new Promise((resolve) => {
            session.signal.addEventListener("abort", () => resolve());
            waiting.add(true);
          }),
      });
      const client = await world.proxy.client();
      client.send(get("/", ""));
      await waiting.at(0);
      leave(client);
      expect(await world.ended.at(0)).toBe("downstream");
      expect(world.origin.connections.length).toBe(0);
    });
  });
}

test("a client that reads nothing of an endless response and leaves frees the origin", async () => {
  await using world = await byHand();
  const client = await world.proxy.client();
  client.send(get("/", ""));
  const upstream = await world.origin.connections.at(0);
  await upstream.request();
  client.socket.pause();
  upstream.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
  const piece = Buffer.from(`10000\r\n${"x".repeat(65536)}\r\n`);
  while (upstream.socket.write(piece));
  client.reset();
  await upstream.whenClosed();
  expect(await world.ended.at(0)).toBe("downstream");
});
