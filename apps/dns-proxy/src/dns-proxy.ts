import { type ListeningService, Peer, type ServerConfiguration } from "@cirque/core";
import { type TcpProxy, tcpProxyService, type UdpProxy, udpProxyService } from "@cirque/l4";
import type { LoadBalancer } from "@cirque/load-balancing";

/**
 * DNS through a proxy: most questions and answers are a datagram each; what is too long for one goes over TCP, to the same
 * port (RFC 7766). Each session and each connection goes to the next resolver.
 */
export function dnsProxy(
  configuration: ServerConfiguration,
  resolvers: LoadBalancer,
  address: string,
): readonly [UdpProxy, ListeningService<TcpProxy<void>>] {
  const udp = udpProxyService(
    configuration,
    { upstreamPeer: () => resolvers.select() },
    // One answer for each question, then nothing more comes. Resolvers give up after a few seconds themselves.
    { name: "DNS over UDP", responses: 1, sessionIdleTimeoutMs: 10_000 },
  );
  const tcp = tcpProxyService(
    configuration,
    {
      upstreamPeer() {
        const resolver = resolvers.select();
        return resolver && new Peer(resolver.address, { connectionTimeoutMs: 1_000 });
      },
    },
    { name: "DNS over TCP", idleTimeoutMs: 30_000 },
  );
  udp.addUdp(address);
  tcp.addTcp(address);
  return [udp, tcp];
}
