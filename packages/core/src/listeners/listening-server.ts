import type { AddressInfo, ListenOptions, Server } from "node:net";
import { formatSocketAddress } from "../address/socket-address.ts";

/** The server, once it listens. Rejects with what hindered it. */
export function listening(server: Server, options: ListenOptions): Promise<Server> {
  const { promise, resolve, reject } = Promise.withResolvers<Server>();
  server.once("error", reject);
  server.listen(options, () => {
    server.off("error", reject);
    resolve(server);
  });
  return promise;
}

/** The address and port of a server that listens on TCP. */
export function boundAddressOf(server: Server): string {
  // It listens on TCP, so this is no path and not null.
  const { address, port } = server.address() as AddressInfo;
  return formatSocketAddress({ host: address, port });
}

/**
 * The descriptor of a server that listens: what the next process inherits. Not documented by Node, and not there on
 * Windows, where nothing can be inherited.
 */
export function descriptorOf(server: Server): number | undefined {
  const { _handle: handle } = server as unknown as { readonly _handle?: { readonly fd?: number } | null };
  const descriptor = handle?.fd;
  return descriptor !== undefined && descriptor >= 0 ? descriptor : undefined;
}
