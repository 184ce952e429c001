import { promises as dns, type LookupAddress } from "node:dns";
import type { ResolvedName, Resolver } from "./resolver.ts";

/** Settings of a {@link SystemResolver}. */
export interface SystemResolverOptions {
  /** How long its answers are believed: the system does not tell a time to live. Default 10 s. */
  readonly ttlMs?: number;
}

/**
 * Asks the operating system (`getaddrinfo`), as most programs do: `/etc/hosts`, search domains, mDNS and whatever else
 * `/etc/nsswitch.conf` names, in the order of RFC 6724. It runs on a thread of Node's pool, of which there are four.
 */
export class SystemResolver implements Resolver {
  readonly #ttlMs: number;

  constructor({ ttlMs = 10_000 }: SystemResolverOptions = {}) {
    this.#ttlMs = ttlMs;
  }

  async resolve(name: string): Promise<ResolvedName> {
    const found: readonly LookupAddress[] = await dns.lookup(name, { all: true, order: "verbatim" });
    const addresses = found.map(({ address, family }) => ({ address, family: family === 6 ? 6 : 4 }) as const);
    return { addresses, ttlMs: this.#ttlMs };
  }
}
