import { createServer } from "node:http";

/**
 * The two ports every proxy here is started with: `node NAME.js LISTEN_PORT ORIGIN_PORT`.
 *
 * @returns {{ listenPort: number, origin: string }}
 */
export function ports() {
  const [listenPort, originPort] = process.argv.slice(2).map(Number);
  if (!listenPort || !originPort) {
    throw new Error("start this with two ports: that to listen on, and that of the origin");
  }
  return { listenPort, origin: `http://127.0.0.1:${originPort}` };
}

/** Keep-alive time of client connections, as nginx has it. Node's own 5 s would close idle ones. */
export const keepAliveTimeoutMs = 75_000;

/**
 * A `node:http` server in front of a proxy library, with the same settings for all of them.
 *
 * @param {import("node:http").RequestListener} onRequest
 * @param {(request: import("node:http").IncomingMessage, socket: import("node:net").Socket, head: Buffer) => void} [onUpgrade]
 */
export function listen(onRequest, onUpgrade) {
  const server = createServer({ keepAliveTimeout: keepAliveTimeoutMs }, onRequest);
  if (onUpgrade) server.on("upgrade", onUpgrade);
  server.listen(ports().listenPort, "127.0.0.1", 4096);
}
