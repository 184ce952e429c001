import type { Scenario } from "../scenario.ts";
import { wrkScenario } from "./wrk-scenario.ts";

/** A new client connection for each request; the connections to the origin may be kept. */
export const freshConnection: Scenario = wrkScenario({
  name: "fresh-connection",
  summary: "GET with Connection: close, 64 at a time, each response with a body of 1 KiB",
  path: "/bytes/1024",
  expectedBytes: 1024,
  workers: [1, 2],
  fields: { Connection: "close" },
});
