import { setTimeout as delay } from "node:timers/promises";
import type { ProxyUnderTest } from "../proxy-under-test.ts";
import { runWrk } from "../wrk.ts";

const bytes = 1024;
const restMs = 1_000;

/**
 * Lets a proxy answer ordinary requests, and rest: what it allocates once, and what its compiler needs, is
 * then no part of the growth that is measured.
 */
export async function warmUp(proxy: ProxyUnderTest): Promise<void> {
  await runWrk(
    {
      port: proxy.port,
      path: `/bytes/${bytes}`,
      connections: 64,
      seconds: proxy.warmUpSeconds,
      check: false,
      method: "GET",
      uploadBytes: 0,
      expectedBytes: bytes,
      fields: {},
    },
    proxy.signal,
  );
  await delay(restMs, undefined, { signal: proxy.signal });
}
