import { ListeningService, readTrustRoots, type ServerConfiguration } from "@cirque/core";
import { HttpProxy, type HttpProxyOptions } from "./http-proxy.ts";
import type { ProxyHttp } from "./proxy-http.ts";

/**
 * A service that proxies HTTP (PRX-01): add addresses to it, and add it to a server. A reload of the configuration
 * applies to the next request.
 *
 * @param configuration The server's: how many attempts, how many idle connections, trust roots, source addresses.
 * @param callbacks What to do with requests. One object serves all requests.
 * @param options What the configuration does not say, or says otherwise for this service.
 * @throws CirqueError `FileReadError` when the file of trust roots cannot be read, `InvalidCert` when it holds none.
 *
 * @example
 * const proxy = httpProxyService(server.configuration, { upstreamPeer: () => new HttpPeer("127.0.0.1:3000") });
 * proxy.addTcp("0.0.0.0:8080");
 * server.addService(proxy);
 */
export function httpProxyService<Ctx>(
  configuration: ServerConfiguration,
  callbacks: ProxyHttp<Ctx>,
  options: HttpProxyOptions = {},
): ListeningService<HttpProxy<Ctx>> {
  const name = options.name ?? "HTTP proxy";
  const proxy = new HttpProxy(callbacks, optionsFrom(configuration, options, name));
  proxy.onReload = (settings) => optionsFrom(settings, options, name);
  return new ListeningService(name, proxy);
}

function optionsFrom(configuration: ServerConfiguration, options: HttpProxyOptions, name: string): HttpProxyOptions {
  return {
    maxAttempts: configuration.maxRetries,
    keylog: configuration.upstreamDebugSslKeylog,
    ...options,
    name,
    connector: {
      poolSize: configuration.upstreamKeepalivePoolSize,
      ca: configuration.caFile === undefined ? undefined : readTrustRoots(configuration.caFile),
      bindToIpv4: configuration.clientBindToIpv4,
      bindToIpv6: configuration.clientBindToIpv6,
      ...options.connector,
    },
  };
}
