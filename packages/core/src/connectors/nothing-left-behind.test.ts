import { setTimeout } from "node:timers/promises";
import { expect, it, vi } from "vitest";
import { SilentListener } from "../../test/wire/silent-listener.ts";
import { selfSigned } from "../../test/wire/test-authority.ts";
import { ask, TestOrigin } from "../../test/wire/test-origin.ts";
import { tlsOrigin } from "../../test/wire/tls-origin.ts";
import type { Http1ClientSession } from "../http1/client-session.ts";
import { DnsCache } from "./dns/dns-cache.ts";
import { HttpConnector } from "./http-connector.ts";
import { HttpPeer } from "./http-peer.ts";
import type { PeerOptions } from "./peer-options.ts";

/** Sockets and timers that keep this process alive. */
function resources(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of process.getActiveResourcesInfo()) counts[name] = (counts[name] ?? 0) + 1;
  const { TCPSocketWrap = 0, TCPConnectWrap = 0, Timeout = 0 } = counts;
  return { TCPSocketWrap, TCPConnectWrap, Timeout };
}

it("no socket, timer or place in line is left behind, however connecting ends (P10)", async () => {
  const silent = await SilentListener.start();
  const before = resources();
  {
    await using test = await TestOrigin.start();
    await using careless = await tlsOrigin(await selfSigned({ names: ["a.example"] }));
    const port = Number(test.address.split(":")[1]);
    const dns = new DnsCache({
      resolver: {
        resolve: async (name) => {
          if (name === "nowhere.example") throw Object.assign(new Error("no such name"), { code: "ENOTFOUND" });
          return { addresses: ["127.0.0.9", "127.0.0.8", "127.0.0.1"].map(fourOf), ttlMs: 1_000 };
        },
      },
    });
    const connector = new HttpConnector({ dns });
    const refused = "127.0.0.9:9";
    const ways: [string, PeerOptions, number?][] = [
      [test.address, {}],
      [`a.example:${port}`, {}],
      [`nowhere.example:${port}`, {}],
      [refused, {}],
      [silent.address, {}, 5],
      [silent.address, { connectionTimeoutMs: 5 }],
      [careless.address, { sni: "a.example" }],
      [test.address, { tls: true, connectionTimeoutMs: 5 }],
      [test.address, { maxConnections: 2, pendingTimeoutMs: 20 }],
      [test.address, { nextHop: { protocol: "connect", peer: test.address }, connectionTimeoutMs: 5 }],
      [test.address, { nextHop: { protocol: "socks5", peer: refused } }],
      [test.address, { nextHop: { protocol: "socks5", peer: careless.address } }, 5],
    ];
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, () => ways)
        .flat()
        .map(async ([address, options, patienceMs]) => {
          const leaver = new AbortController();
          if (patienceMs !== undefined) void setTimeout(patienceMs).then(() => leaver.abort());
          // Nobody answers: the exchange ends by its time-out.
          const peer = new HttpPeer(address, { readTimeoutMs: 20, ...options });
          const session = (await connector.session(peer, false, leaver.signal)) as Http1ClientSession;
          await ask(session).catch(() => {});
          connector.release(session, peer);
        }),
    );
    // Both kinds of ends have been seen.
    expect(new Set(outcomes.map(({ status }) => status))).toEqual(new Set(["fulfilled", "rejected"]));
    await vi.waitFor(() => expect(connector.pendingRequests).toBe(0));
    connector.close();
  }
  // Not by `vi.waitFor`, which has timers of its own.
  for (let turn = 0; turn < 300 && more(resources(), before).length > 0; turn++) await setTimeout(10);
  expect(more(resources(), before)).toEqual([]);
  await silent.stop();
});

/** Of what there is more than before. */
function more(now: Record<string, number>, before: Record<string, number>): string[] {
  return Object.keys(now).filter((name) => (now[name] ?? 0) > (before[name] ?? 0));
}

function fourOf(address: string): { address: string; family: 4 } {
  return { address, family: 4 };
}
