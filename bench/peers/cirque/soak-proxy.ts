/**
 * Cirque as the soak runs it: `node soak-proxy.ts -c FILE --listen PORT --origin PORT`.
 *
 * It prints a line of JSON for each thing that the soak waits for: `{ pid, thread, event }` with the events `serving` and
 * `reloaded`, and each second from each thread that serves `{ pid, thread, event: "delay", delaysMs }`: a hundred
 * quantiles of the delay of its event loop in that second.
 */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { commandLineOptions, HttpPeer, Server, toCommandLine } from "@cirque/core";
import { httpProxyService } from "@cirque/proxy";

const resolutionMs = 10;

const { values } = parseArgs({
  options: { ...commandLineOptions, listen: { type: "string" }, origin: { type: "string" } },
});
const server = new Server({ commandLine: toCommandLine(values) });
const thread = server.threadIndex;
const peer = new HttpPeer(`127.0.0.1:${values.origin}`);
const proxy = httpProxyService(server.configuration, {
  upstreamPeer: () => peer,
  requestFilter({ request: { target } }) {
    if (!target.startsWith("/soak/end-thread/")) return;
    // As a crash would: at once, with all that is in flight.
    if (thread > 0 && target.endsWith(`/${thread}`)) process.exit(1);
    return new Response("another thread", { status: 404 });
  },
});
proxy.addTcp(`127.0.0.1:${values.listen}`);
server.addService(proxy);
server.onReload(() => () => tell({ event: "reloaded" }));
server.watchExecutionPhase((phase) => {
  if (phase !== "Running") return;
  tell({ event: "serving" });
  if (thread > 0 || server.configuration.threads === 1) tellDelays();
});
await server.runForever();

function tell(what: object): void {
  console.log(JSON.stringify({ pid: process.pid, thread, ...what }));
}

function tellDelays(): void {
  const histogram = monitorEventLoopDelay({ resolution: resolutionMs });
  histogram.enable();
  setInterval(() => {
    const delaysMs = Array.from({ length: 100 }, (_, index) => {
      // What is recorded is the time between two ticks of the timer.
      const delayMs = histogram.percentile(index + 1) / 1_000_000 - resolutionMs;
      return Number(Math.max(0, delayMs).toFixed(2));
    });
    histogram.reset();
    tell({ event: "delay", delaysMs });
  }, 1_000).unref();
}
