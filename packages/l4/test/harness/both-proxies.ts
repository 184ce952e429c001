/** Both proxies in one server, with as many threads as THREADS says, in front of TCP and UDP. */
import { Peer, Server } from "@cirque/core";
import { tcpProxyService, udpProxyService } from "../../src/index.ts";

const { TCP = "", UDP = "", THREADS = "1" } = process.env;
const server = new Server({ configuration: { threads: Number(THREADS), pidFile: process.env.PID_FILE } });
const tcp = tcpProxyService(server.configuration, { upstreamPeer: () => new Peer(TCP) });
const udp = udpProxyService(server.configuration, { upstreamPeer: () => ({ address: UDP }) }, { responses: 1 });
server.addService(tcp.addTcp("127.0.0.1:0"));
server.addService(udp.addUdp("127.0.0.1:0"));
await server.runForever();
