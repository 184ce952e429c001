import { promises as dns, type RecordWithTtl } from "node:dns";
import { type ResolvedAddress, type ResolvedName, type Resolver, saysNoSuchName } from "./resolver.ts";

/** Settings of a {@link NameServerResolver}. */
export interface NameServerResolverOptions {
  /** Name servers as `10.0.0.2`, `10.0.0.2:5353` or `[2001:db8::2]:53`. Default: those of `/etc/resolv.conf`. */
  readonly servers?: readonly string[];
  /** How long one try waits for an answer. Default 2 s. */
  readonly timeoutMs?: number;
  /** How often each server is asked. Default twice. */
  readonly tries?: number;
}

/**
 * Asks name servers for A and AAAA records, which come with their time to live (RFC 1035). Both are asked for at once. An
 * AAAA record that is missing, refused or late by more than 50 ms holds nobody up (RFC 8305, 3). No search domains are
 * added to a name, and `/etc/hosts` is not looked at.
 */
export class NameServerResolver implements Resolver {
  readonly #options: NameServerResolverOptions;
  #resolver: dns.Resolver | undefined;

  /** @throws TypeError for a server that is no address. */
  constructor(options: NameServerResolverOptions = {}) {
    this.#options = options;
    this.#resolver = newResolver(options);
  }

  async resolve(name: string): Promise<ResolvedName> {
    this.#resolver ??= newResolver(this.#options);
    const resolver = this.#resolver;
    const six = recordsOf(resolver.resolve6(name, { ttl: true }), 6);
    const four = recordsOf(resolver.resolve4(name, { ttl: true }), 4);
    const first = await Promise.race([six, four]);
    const otherIsSix = first.family === 4;
    const other = await (otherIsSix && first.addresses.length > 0 ? soon(six) : otherIsSix ? six : four);
    const answers = otherIsSix ? [other, first] : [first, other];
    const addresses = answers.flatMap((answer) => answer?.addresses ?? []);
    if (addresses.length === 0) throw this.#failure(name, answers);
    // What came without its other half is asked for again as soon as may be.
    const ttls = answers.map((answer) => (answer === undefined ? 0 : answer.ttlMs));
    return { addresses, ttlMs: Math.min(...ttls) };
  }

  /** Why there is no address. That one kind of record cannot be had weighs more than that there is none of the other. */
  #failure(name: string, answers: readonly (Records | undefined)[]): Error {
    const errors = answers.flatMap((answer) => answer?.error ?? []);
    const unsure = errors.find((error) => !saysNoSuchName(error));
    // The servers of the machine may have changed since.
    if (unsure !== undefined && this.#options.servers === undefined) this.#resolver = undefined;
    return unsure ?? errors[0] ?? Object.assign(new Error(`${name} has no address`), { code: "ENODATA" });
  }
}

/** The answer for one kind of record; it never rejects. */
interface Records {
  readonly family: 4 | 6;
  readonly addresses: readonly ResolvedAddress[];
  /** Infinite where it has no say: there are none. */
  readonly ttlMs: number;
  readonly error?: Error;
}

async function recordsOf(query: Promise<readonly RecordWithTtl[]>, family: 4 | 6): Promise<Records> {
  try {
    const records = await query;
    return {
      family,
      addresses: records.map(({ address }) => ({ address, family })),
      ttlMs: Math.min(...records.map(({ ttl }) => ttl)) * 1000,
    };
  } catch (error) {
    return { family, addresses: [], ttlMs: Number.POSITIVE_INFINITY, error: error as Error };
  }
}

const RESOLUTION_DELAY_MS = 50;

/** What is there in a moment, or nothing. */
function soon(pending: Promise<Records>): Promise<Records | undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, RESOLUTION_DELAY_MS, undefined);
    void pending.then((records) => {
      clearTimeout(timer);
      resolve(records);
    });
  });
}

function newResolver({ servers, timeoutMs = 2_000, tries = 2 }: NameServerResolverOptions): dns.Resolver {
  const resolver = new dns.Resolver({ timeout: timeoutMs, tries });
  if (servers !== undefined) resolver.setServers(servers);
  return resolver;
}
