/** One address that a name has. */
export interface ResolvedAddress {
  readonly address: string;
  readonly family: 4 | 6;
}

/** What a name stands for, and for how long. */
export interface ResolvedName {
  /** In the order in which they should be tried; at least one. */
  readonly addresses: readonly ResolvedAddress[];
  /** How long this may be believed. A cache may clamp it. */
  readonly ttlMs: number;
}

/**
 * Finds the addresses of a name. Write your own for names that live elsewhere than in the DNS (CONN-07).
 *
 * @example
 * const registry: Resolver = {
 *   resolve: async (name) => ({ addresses: [{ address: await lookUp(name), family: 4 }], ttlMs: 5_000 }),
 * };
 * const dns = new DnsCache({ resolver: registry });
 */
export interface Resolver {
  /**
   * @param name In lower case.
   * @throws An error with the code `ENOTFOUND` or `ENODATA` when there is no such name, or it has no address; any other
   * error means that nobody could tell, and what was known before goes on being true.
   */
  resolve(name: string): Promise<ResolvedName>;
}

/** Whether an error of a resolver says for certain that there is no such name, or that it has no address. */
export function saysNoSuchName(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === "ENOTFOUND" || code === "ENODATA";
}
