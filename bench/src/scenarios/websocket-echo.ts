import { setTimeout as delay } from "node:timers/promises";
import { LoadProgram } from "../load-program.ts";
import type { ProxyUnderTest } from "../proxy-under-test.ts";
import type { Sample } from "../sample.ts";
import type { Scenario } from "../scenario.ts";

const connections = 64;

/** WebSocket messages and their echoes; a "request" is one message and its echo. */
export const websocketEcho: Scenario = {
  name: "websocket-echo",
  summary: `WebSocket messages of 64 bytes and their echoes, over ${connections} connections`,
  mode: "http",
  needs: ["websocket"],
  origin: "http1",
  figure: "cpuMicrosPerRequest",
  measure,
};

async function measure(proxy: ProxyUnderTest): Promise<Sample> {
  await using load = await LoadProgram.start("websocket-echo", proxy.port, connections);
  await delay(proxy.warmUpSeconds * 1_000, undefined, { signal: proxy.signal });
  const before = await load.figures("errors");
  const window = proxy.openWindow();
  await delay(proxy.seconds * 1_000, undefined, { signal: proxy.signal });
  const { messages, errors, p50Ms, p99Ms } = await load.figures("messages", "errors", "p50Ms", "p99Ms");
  const figures = window.close();
  return {
    cpuMicrosPerRequest: figures.cpuMicros / messages,
    requestsPerSecond: messages / figures.seconds,
    p50Ms,
    p99Ms,
    errors: before.errors + errors,
    rssBytes: proxy.rssBytes(),
    upstreamConnections: null,
    proxyUtilization: figures.proxyUtilization,
    loadUtilization: figures.loadUtilization,
  };
}
