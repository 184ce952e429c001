import httpProxy from "@fastify/http-proxy";
import Fastify from "fastify";
import { keepAliveTimeoutMs, ports } from "./listen.js";

const { listenPort, origin } = ports();
const fastify = Fastify({
  logger: false,
  keepAliveTimeout: keepAliveTimeoutMs,
  bodyLimit: Number.MAX_SAFE_INTEGER,
});

await fastify.register(httpProxy, { upstream: origin, websocket: true });
await fastify.listen({ host: "127.0.0.1", port: listenPort, backlog: 4096 });
