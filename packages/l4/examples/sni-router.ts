import { Peer, Server } from "@cirque/core";
import { type ProxyTcp, tcpProxyService } from "@cirque/l4";

/** Servers by the name that clients ask for. They have the certificates; this program has none. */
const sites = new Map([
  ["shop.example", process.env.SHOP ?? "127.0.0.1:8443"],
  ["mail.example", process.env.MAIL ?? "127.0.0.1:9443"],
]);

const router: ProxyTcp = {
  upstreamPeer({ clientHello }) {
    const address = sites.get(clientHello?.serverName ?? "");
    return address === undefined ? undefined : new Peer(address);
  },
  logging({ clientAddress, clientHello, uploadBytes, downloadBytes }, error) {
    console.log(clientAddress, clientHello?.serverName, uploadBytes, downloadBytes, error?.code ?? "ok");
  },
};

const server = new Server();
const service = tcpProxyService(server.configuration, router, { readClientHello: true });
service.addTcp(process.env.LISTEN ?? "127.0.0.1:6443");
server.addService(service);
server.watchExecutionPhase((phase) => {
  if (phase === "Running") console.log("listening on", ...service.addresses());
});
await server.runForever();
