import type { Scenario } from "../scenario.ts";
import { wrkScenario } from "./wrk-scenario.ts";

/**
 * GET over keep-alive connections, with bodies of four lengths. Those of 1 and 64 KiB are measured with two workers as
 * well: what a request costs must not grow with the number of threads.
 */
export const plainScenarios: readonly Scenario[] = [
  plain("plain-64", 64, "64 bytes"),
  plain("plain-1k", 1024, "1 KiB", [1, 2]),
  plain("plain-64k", 64 * 1024, "64 KiB", [1, 2]),
  plain("plain-1m", 1024 * 1024, "1 MiB"),
];

function plain(name: string, bytes: number, size: string, workers: readonly number[] = [1]): Scenario {
  return wrkScenario({
    name,
    summary: `GET over 64 keep-alive connections, each response with a body of ${size}`,
    path: `/bytes/${bytes}`,
    expectedBytes: bytes,
    workers,
  });
}
