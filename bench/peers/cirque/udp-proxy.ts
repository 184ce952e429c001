/**
 * Cirque as a UDP proxy for one origin, as the benchmarks measure it: `node udp-proxy.ts LISTEN_PORT ORIGIN_PORT`.
 * One thread, metrics on, no access log, defaults for all else.
 */
import { Peer, Server } from "@cirque/core";
import { udpProxyService } from "@cirque/l4";

const [listenPort, originPort] = process.argv.slice(2).map(Number);
if (!listenPort || !originPort) {
  throw new Error("start this with two ports: that to listen on, and that of the origin");
}

const server = new Server({ configuration: {} });
const peer = new Peer(`127.0.0.1:${originPort}`);
const proxy = udpProxyService(server.configuration, { upstreamPeer: () => peer });
proxy.addUdp(`127.0.0.1:${listenPort}`);
server.addService(proxy);
await server.runForever();
