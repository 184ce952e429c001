import { LoadProgram } from "../load-program.ts";
import type { ProxyUnderTest } from "../proxy-under-test.ts";
import { memorySample, type Sample } from "../sample.ts";
import type { Scenario } from "../scenario.ts";

const clients = 64;
const requests = 100_000;
/** As nginx and many others end a kept connection, so that clients come back, and to other workers than before. */
const requestsPerConnection = 1_000;

/** How well a proxy reuses its connections to the origin, from its start on: each worker has its own, or all share them. */
export const upstreamConnections: Scenario = {
  name: "upstream-connections",
  summary:
    `connections to the origin opened for ${requests} requests of ${clients} keep-alive clients, ` +
    `which open a new connection after ${requestsPerConnection} requests`,
  mode: "http",
  workers: [1, 2],
  origin: "http1",
  figure: "upstreamConnections",
  measure,
};

async function measure(proxy: ProxyUnderTest): Promise<Sample> {
  const scale = proxy.quick ? 10 : 1;
  const sent = requests / scale;
  const before = await proxy.originConnections();
  await using load = await LoadProgram.start(
    "keep-alive-requests",
    proxy.port,
    clients,
    sent,
    requestsPerConnection / scale,
  );
  const opened = (await proxy.originConnections()) - before;
  const { errors } = await load.figures("errors");
  return { ...memorySample(proxy.rssBytes(), errors), upstreamConnections: (opened * 100_000) / sent };
}
