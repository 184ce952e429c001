import { setTimeout as delay } from "node:timers/promises";
import { LoadProgram } from "../load-program.ts";
import { openFilesLimit } from "../open-files.ts";
import type { ProxyUnderTest } from "../proxy-under-test.ts";
import { memorySample, type Sample } from "../sample.ts";
import type { Scenario } from "../scenario.ts";
import { warmUp } from "./warm-up.ts";

const connections = 9_000;
/** Connections to the origin and files of the program itself come on top of the clients' connections. */
const filesNeeded = connections + 1_000;

/** What a client's connection costs that is kept alive and does nothing. */
export const idleConnections: Scenario = {
  name: "idle-connections",
  summary: `${connections} idle keep-alive connections that made one request each; RSS is the growth for each of them`,
  mode: "http",
  workers: [1, 2],
  origin: "http1",
  figure: "rssBytes",
  measure,
};

async function measure(proxy: ProxyUnderTest): Promise<Sample> {
  const limit = openFilesLimit();
  if (limit < filesNeeded) {
    throw new Error(`needs ${filesNeeded} open files, but the hard limit is ${limit}: raise it with "ulimit -Hn"`);
  }
  await warmUp(proxy);
  const baseBytes = proxy.rssBytes();
  await using load = await LoadProgram.start("idle-connections", proxy.port, connections);
  await delay(proxy.seconds * 1_000, undefined, { signal: proxy.signal });
  const grownBytes = proxy.rssBytes() - baseBytes;
  const { open, errors } = await load.figures("open", "errors");
  return memorySample(grownBytes / connections, errors + connections - open);
}
