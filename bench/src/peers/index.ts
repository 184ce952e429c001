import type { Peer } from "../peer.ts";
import { cirque, cirqueWithTwoThreads } from "./cirque.ts";
import { haproxy, haproxyWithTwoThreads } from "./haproxy.ts";
import { nginx, nginxWithTwoWorkers } from "./nginx.ts";
import { nodePeer } from "./node-peer.ts";
import { pingora } from "./pingora.ts";

/** Our own row, which every benchmark has. */
export const own: Peer = cirque;

/** All proxies that Cirque can be compared with, itself with more threads among them. */
export const peers: readonly Peer[] = [
  nginx,
  haproxy,
  pingora,
  nodePeer("fast-proxy", "fast-proxy.js", []),
  nodePeer("@fastify/http-proxy", "fastify-http-proxy.js", ["websocket"]),
  nodePeer("http-proxy-3", "http-proxy-3.js", ["websocket"]),
  nodePeer("httpxy", "httpxy.js", ["websocket"]),
  cirqueWithTwoThreads,
  nginxWithTwoWorkers,
  haproxyWithTwoThreads,
];
