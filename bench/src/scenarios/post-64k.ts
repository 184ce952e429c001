import type { Scenario } from "../scenario.ts";
import { wrkScenario } from "./wrk-scenario.ts";

const uploadBytes = 64 * 1024;

/** Uploads with a small answer: the number of bytes that the origin got. */
export const post64k: Scenario = wrkScenario({
  name: "post-64k",
  summary: "POST of 64 KiB over 64 keep-alive connections, each with a response of a few bytes",
  path: "/upload",
  uploadBytes,
  expectedBytes: String(uploadBytes).length,
});
