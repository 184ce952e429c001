import { Agent } from "node:http";
import { createProxyServer } from "httpxy";
import { listen, ports } from "./listen.js";

const agent = new Agent({ keepAlive: true, maxFreeSockets: 128 });
const proxy = createProxyServer({ target: ports().origin, agent });
const upgrades = createProxyServer({ target: ports().origin, ws: true });

listen(
  (request, response) => proxy.web(request, response).catch(() => response.destroy()),
  (request, socket, head) => upgrades.ws(request, socket, {}, head).catch(() => socket.destroy()),
);
