import { Agent } from "node:http";
import { createProxyServer } from "http-proxy-3";
import { listen, ports } from "./listen.js";

const agent = new Agent({ keepAlive: true, maxFreeSockets: 128 });
const proxy = createProxyServer({ target: ports().origin, agent });
const upgrades = createProxyServer({ target: ports().origin, ws: true });

proxy.on("error", (_error, _request, response) => response?.destroy());
upgrades.on("error", (_error, _request, socket) => socket?.destroy());

listen(
  (request, response) => proxy.web(request, response),
  (request, socket, head) => upgrades.ws(request, socket, head),
);
