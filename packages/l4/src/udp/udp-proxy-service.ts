import type { ServerConfiguration } from "@cirque/core";
import type { ProxyUdp } from "./proxy-udp.ts";
import { UdpProxy, type UdpProxyOptions } from "./udp-proxy.ts";

/**
 * A service that proxies UDP: add addresses to it, and add it to a server. A reload of the configuration applies to the
 * next session.
 *
 * @param configuration The server's: source addresses.
 * @param callbacks Where sessions go. One object serves all of them.
 * @param options What the configuration does not say, or says otherwise for this service.
 * @throws CirqueError `InvalidArgument` for an option that is not of its kind.
 *
 * @example
 * const names = udpProxyService(server.configuration, { upstreamPeer: () => resolvers.select() }, { responses: 1 });
 * names.addUdp("127.0.0.1:53");
 * server.addService(names);
 */
export function udpProxyService<Ctx = void>(
  configuration: ServerConfiguration,
  callbacks: ProxyUdp<Ctx>,
  options: UdpProxyOptions = {},
): UdpProxy<Ctx> {
  const proxy = new UdpProxy(callbacks, optionsFrom(configuration, options));
  proxy.onReload = (settings) => optionsFrom(settings, options);
  return proxy;
}

function optionsFrom(configuration: ServerConfiguration, options: UdpProxyOptions): UdpProxyOptions {
  const { clientBindToIpv4: bindToIpv4, clientBindToIpv6: bindToIpv6 } = configuration;
  return { bindToIpv4, bindToIpv6, ...options };
}
