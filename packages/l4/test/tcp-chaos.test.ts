import { setImmediate as turn } from "node:timers/promises";
import { Peer } from "@cirque/core";
import fc from "fast-check";
import { expect, it } from "vitest";
import { type EndPoint, Upstream } from "./harness/end-point.ts";
import { TestTcpProxy } from "./harness/test-tcp-proxy.ts";

/** What one side does, one thing after the other. */
type Act = "send little" | "send much" | "pause" | "resume" | "end" | "reset" | "wait";

const acts = fc.array(
  fc.constantFrom<Act>("send little", "send much", "send much", "pause", "resume", "end", "reset", "wait", "wait"),
  { maxLength: 8 },
);

it("whatever both sides do, in any order, nothing is lost without a reset, and nothing is left", {
  timeout: 60_000,
}, async () => {
  await using upstream = await Upstream.start();
  // An upstream that resets at once is not asked again: each client has one upstream connection.
  const callbacks = { upstreamPeer: () => new Peer(upstream.address) };
  await using proxy = await TestTcpProxy.start(callbacks, { maxAttempts: 1 });
  let rounds = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(acts, acts), { minLength: 1, maxLength: 6 }), async (scripts) => {
      const outcomes = await Promise.all(
        scripts.map(async ([downstream, upward]) => {
          const client = await proxy.connect();
          const peer = await upstream.next();
          const [up, down] = await Promise.all([perform(client, downstream), perform(peer, upward)]);
          await settle(client, peer);
          return { up, down, upReceived: peer.text.length, downReceived: client.text.length };
        }),
      );
      // Which client got which upstream connection is not known here, but all together they got what was sent.
      const sum = (name: keyof (typeof outcomes)[number]): number =>
        outcomes.reduce((total, outcome) => total + outcome[name], 0);
      const whole = !scripts.flat(2).includes("reset");
      expect(sum("upReceived")).toBeLessThanOrEqual(sum("up"));
      expect(sum("downReceived")).toBeLessThanOrEqual(sum("down"));
      if (whole) expect([sum("upReceived"), sum("downReceived")]).toEqual([sum("up"), sum("down")]);
      rounds += scripts.length;
      await expect.poll(() => proxy.logged.length).toBe(rounds);
    }),
    { numRuns: 60 },
  );
  expect(await proxy.metrics.exposition()).toMatch(/^cirque_tcp_connections_active\{.*\} 0$/m);
});

async function perform(point: EndPoint, script: readonly Act[]): Promise<number> {
  const { socket } = point;
  let bytes = 0;
  for (const act of script) {
    if (socket.destroyed) break;
    const size = act === "send much" ? 300_000 : 100;
    if (act.startsWith("send") && !socket.writableEnded) {
      point.send("x".repeat(size));
      bytes += size;
    }
    if (act === "pause") socket.pause();
    if (act === "resume") socket.resume();
    if (act === "end") point.end();
    // While an end is leaving, the system refuses a reset, and Node would never close the socket.
    if (act === "reset" && !socket.writableEnded) socket.resetAndDestroy();
    else if (act === "reset") socket.destroy();
    if (act === "wait") await turn();
  }
  return bytes;
}

/** Both sides read on, end, and wait for the other. */
async function settle(...points: readonly EndPoint[]): Promise<void> {
  for (const point of points) {
    point.socket.resume();
    if (!point.socket.writableEnded) point.end();
  }
  await Promise.all(points.map((point) => point.whenClosed()));
}
