import type { Scenario } from "../scenario.ts";
import { wrkScenario } from "./wrk-scenario.ts";

/**
 * TCP passed on as it is: the proxy sees bytes, and neither requests nor responses. What is sent are HTTP requests all the
 * same, because their answers can be checked.
 */
export const tcpProxyScenarios: readonly Scenario[] = [
  tcpProxy("tcp-proxy-1k", 1024, "1 KiB"),
  tcpProxy("tcp-proxy-1m", 1024 * 1024, "1 MiB"),
];

function tcpProxy(name: string, bytes: number, size: string): Scenario {
  return wrkScenario({
    name,
    summary: `TCP proxied as bytes: round trips over 64 connections, each answer with ${size}`,
    mode: "tcp",
    path: `/bytes/${bytes}`,
    expectedBytes: bytes,
  });
}
