import type { PeerOptions } from "@cirque/core";
import { describe, expect, test } from "vitest";
import { okResponse, RawOrigin } from "./harness/raw-origin.ts";
import { readResponses } from "./harness/read-responses.ts";
import { Recorder } from "./harness/recorder.ts";
import { get, TestProxy } from "./harness/test-proxy.ts";

/** A proxy that may have one connection to an origin that a test plays by hand. */
async function limited(options: PeerOptions = {}) {
  const origin = await RawOrigin.start();
  const ended = new Recorder<string | undefined>();
  const asked = new Recorder<void>();
  const proxy = await TestProxy.start({
    upstreamPeer: () => {
      asked.add();
      return origin.peer({ maxConnections: 1, ...options });
    },
    logging: (_session, error) => ended.add(error?.code),
  });
  return {
    origin,
    proxy,
    ended,
    asked,
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]();
      await origin[Symbol.asyncDispose]();
    },
  };
}

function statuses(text: string): number[] {
  return readResponses(text).map(({ status }) => status);
}

describe("a peer with all the connections that it may have (POOL-12)", () => {
  test("serves the requests that wait, one after the other, on the same connection", async () => {
    await using world = await limited();
    const first = world.proxy.exchange(get("/1"));
    const connection = await world.origin.connections.at(0);
    expect((await connection.request()).head.target).toBe("/1");
    const second = world.proxy.exchange(get("/2"));
    await world.asked.count(2);
    const third = world.proxy.exchange(get("/3"));
    await world.asked.count(3);
    for (const target of ["/2", "/3"]) {
      connection.send(okResponse(target));
      expect((await connection.request()).head.target).toBe(target);
    }
    connection.send(okResponse("last"));
    expect((await Promise.all([first, second, third])).map(statuses)).toEqual([[200], [200], [200]]);
    expect(world.origin.connections.length).toBe(1);
  });

  test("is 503 for a request that finds too many waiting, and for one that waits too long", async () => {
    await using world = await limited({ maxPendingRequests: 1, pendingTimeoutMs: 30 });
    const first = world.proxy.exchange(get("/1"));
    const connection = await world.origin.connections.at(0);
    await connection.request();
    const second = world.proxy.exchange(get("/2"));
    await world.asked.count(2);
    expect(statuses(await world.proxy.exchange(get("/3")))).toEqual([503]);
    expect(statuses(await second)).toEqual([503]);
    connection.send(okResponse("done"));
    expect(statuses(await first)).toEqual([200]);
    expect([...world.ended.items].sort()).toEqual(["ConnectionLimitReached", "ConnectionLimitTimedout", undefined]);
  });

  test("is not waited for by a client that has gone", async () => {
    await using world = await limited();
    const first = world.proxy.exchange(get("/1"));
    const connection = await world.origin.connections.at(0);
    await connection.request();
    const leaver = await world.proxy.client();
    leaver.send(get("/2", ""));
    await world.asked.count(2);
    leaver.reset();
    await world.ended.at(0);
    const third = world.proxy.exchange(get("/3"));
    await world.asked.count(3);
    connection.send(okResponse("one"));
    expect((await connection.request()).head.target).toBe("/3");
    connection.send(okResponse("three"));
    expect(statuses(await first)).toEqual([200]);
    expect(statuses(await third)).toEqual([200]);
  });
});
