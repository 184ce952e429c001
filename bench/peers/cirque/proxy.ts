/**
 * Cirque in front of one origin, as the benchmarks measure it: `node proxy.ts LISTEN_PORT ORIGIN_PORT [THREADS]`.
 * Metrics on, no access log, defaults for all else.
 */
import { HttpPeer, Server } from "@cirque/core";
import { httpProxyService } from "@cirque/proxy";

const [listenPort, originPort, threads = 1] = process.argv.slice(2).map(Number);
if (!listenPort || !originPort) {
  throw new Error("start this with two ports: that to listen on, and that of the origin");
}

// Settings given in code: else the server would read the ports as a command line of its own.
const server = new Server({ configuration: { threads } });
const peer = new HttpPeer(`127.0.0.1:${originPort}`);
const proxy = httpProxyService(server.configuration, { upstreamPeer: () => peer });
proxy.addTcp(`127.0.0.1:${listenPort}`);
server.addService(proxy);
await server.runForever();
