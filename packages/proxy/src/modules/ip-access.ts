import { CirqueError } from "@cirque/core";
import type { Session } from "../session.ts";
import { AddressList, ipAddressOf } from "./address-list.ts";
import type { HttpModule, HttpModuleFactory, ModuleOptions } from "./http-module.ts";

/** Settings of {@link ipAccess}. */
export interface IpAccessOptions extends ModuleOptions {
  /** Addresses and networks that may ask; all others may not. Default: everybody. */
  readonly allow?: readonly string[];
  /** Addresses and networks that may not ask, also where `allow` has them. Default: nobody. */
  readonly deny?: readonly string[];
  /** Whether clients without an IP address may ask, as through a Unix socket. Default: only where nothing is in `allow`. */
  readonly allowLocal?: boolean;
  /** What others are answered with. Default 403. */
  readonly status?: number;
  /**
   * The address to judge by, without port; undefined for none. Default: that of `session.clientAddress`. Behind proxies,
   * see `forwardedClientAddress`.
   */
  readonly addressOf?: (session: Session) => string | undefined;
}

/**
 * Lets clients in by their address.
 *
 * @throws CirqueError `InvalidArgument` for what is neither an address nor a network, and for a status that is no error.
 * @example
 * const modules = [ipAccess({ allow: ["10.0.0.0/8", "::1"], deny: ["10.6.6.6"] })];
 */
export function ipAccess(options: IpAccessOptions): HttpModuleFactory<HttpModule> {
  const { name = "IP access", order = 1000, status = 403, addressOf = addressOfClient } = options;
  const allow = options.allow && new AddressList(options.allow);
  const deny = new AddressList(options.deny ?? []);
  const allowLocal = options.allowLocal ?? allow === undefined;
  if (!Number.isInteger(status) || status < 400 || status > 599) {
    throw CirqueError.internal(
      "InvalidArgument",
      `${status} is no status for a request that is not allowed: 400 to 599`,
    );
  }
  const module: HttpModule = {
    requestFilter(session) {
      const address = addressOf(session);
      const allowed =
        address === undefined ? allowLocal : !deny.has(address) && (allow === undefined || allow.has(address));
      return allowed ? undefined : new Response(null, { status });
    },
  };
  return { name, order, create: () => module };
}

function addressOfClient(session: Session): string | undefined {
  return ipAddressOf(session.clientAddress);
}
