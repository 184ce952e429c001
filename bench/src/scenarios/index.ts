import type { Scenario } from "../scenario.ts";
import { freshConnection } from "./fresh-connection.ts";
import { idleConnections } from "./idle-connections.ts";
import { plainScenarios } from "./plain.ts";
import { post64k } from "./post-64k.ts";
import { slowOrigin } from "./slow-origin.ts";
import { slowReader } from "./slow-reader.ts";
import { tcpProxyScenarios } from "./tcp-proxy.ts";
import { udpProxy } from "./udp-proxy.ts";
import { upstreamConnections } from "./upstream-connections.ts";
import { websocketEcho } from "./websocket-echo.ts";

/** All scenarios, in the order in which `--list` shows them and `all` runs them. */
export const scenarios: readonly Scenario[] = [
  ...plainScenarios,
  freshConnection,
  post64k,
  websocketEcho,
  idleConnections,
  upstreamConnections,
  slowReader,
  slowOrigin,
  ...tcpProxyScenarios,
  udpProxy,
];
