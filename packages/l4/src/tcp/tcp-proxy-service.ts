import { ListeningService, readTrustRoots, type ServerConfiguration } from "@cirque/core";
import type { ProxyTcp } from "./proxy-tcp.ts";
import { DEFAULT_TCP_PROXY_OPTIONS, TcpProxy, type TcpProxyOptions } from "./tcp-proxy.ts";

/**
 * A service that proxies TCP: add addresses to it, and add it to a server. A reload of the configuration applies to the
 * next connection.
 *
 * @param configuration The server's: how many attempts, trust roots, source addresses.
 * @param callbacks Where connections go. One object serves all of them.
 * @param options What the configuration does not say, or says otherwise for this service.
 * @throws CirqueError `InvalidArgument` for an option that is not of its kind, `FileReadError` when the file of trust
 * roots cannot be read, `InvalidCert` when it holds none.
 *
 * @example
 * const databases = tcpProxyService(server.configuration, { upstreamPeer: () => new Peer("10.0.0.7:5432") });
 * databases.addTcp("0.0.0.0:5432");
 * server.addService(databases);
 */
export function tcpProxyService<Ctx = void>(
  configuration: ServerConfiguration,
  callbacks: ProxyTcp<Ctx>,
  options: TcpProxyOptions = {},
): ListeningService<TcpProxy<Ctx>> {
  const proxy = new TcpProxy(callbacks, optionsFrom(configuration, options));
  proxy.onReload = (settings) => optionsFrom(settings, options);
  return new ListeningService(options.name ?? DEFAULT_TCP_PROXY_OPTIONS.name, proxy);
}

function optionsFrom(configuration: ServerConfiguration, options: TcpProxyOptions): TcpProxyOptions {
  const { caFile, clientBindToIpv4, clientBindToIpv6, maxRetries, upstreamDebugSslKeylog } = configuration;
  return {
    maxAttempts: maxRetries,
    keylog: upstreamDebugSslKeylog,
    ...options,
    connect: {
      ca: caFile === undefined ? undefined : readTrustRoots(caFile),
      bindToIpv4: clientBindToIpv4,
      bindToIpv6: clientBindToIpv6,
      ...options.connect,
    },
  };
}
