import { isIP } from "node:net";
import { withDefaults } from "../../options/with-defaults.ts";
import { AutomaticResolver } from "./automatic-resolver.ts";
import { NameServerResolver } from "./name-server-resolver.ts";
import { type ResolvedAddress, type ResolvedName, type Resolver, saysNoSuchName } from "./resolver.ts";
import { SystemResolver } from "./system-resolver.ts";

/** Settings of a {@link DnsCache}. */
export interface DnsCacheOptions {
  /**
   * Whom to ask: `"automatic"` (see `AutomaticResolver`), `"system"` (`getaddrinfo` for every name), `"name-servers"`
   * (nothing but the DNS), or a resolver of your own. Default `"automatic"`.
   */
  readonly resolver?: "automatic" | "system" | "name-servers" | Resolver;
  /** The shortest time that an answer is believed, whatever its time to live says. Default 1 s. */
  readonly minTtlMs?: number;
  /** The longest time that an answer is believed. Default 1 hour. */
  readonly maxTtlMs?: number;
  /** How long it is remembered that a name could not be resolved. Default 1 s. */
  readonly negativeTtlMs?: number;
  /** How long an answer is still given beyond its time, while a newer one is being asked for. Default 30 s. */
  readonly staleWhileRefreshMs?: number;
  /** How long an answer is still given beyond its time when nobody can tell a newer one (RFC 8767). Default 1 day. */
  readonly staleIfErrorMs?: number;
  /** How long one query may take. Default 5 s. */
  readonly timeoutMs?: number;
  /** How many names are remembered; beyond, the one that was not asked for longest is forgotten. Default 1,000. */
  readonly maxEntries?: number;
}

const DEFAULTS = {
  minTtlMs: 1_000,
  maxTtlMs: 3_600_000,
  negativeTtlMs: 1_000,
  staleWhileRefreshMs: 30_000,
  staleIfErrorMs: 86_400_000,
  timeoutMs: 5_000,
  maxEntries: 1_000,
};

/** Of a name with more addresses than this, the others are not looked at. */
const MAX_ADDRESSES = 64;

/**
 * The addresses of names, for as long as they are good (CONN-07, PEER-01). Of several who ask for a name at once, the
 * first one's query serves all. Connections spread over the addresses of a name: each look-up begins with another one.
 */
export class DnsCache {
  readonly #options: typeof DEFAULTS;
  readonly #resolver: Resolver;
  /** In the order of their last use. */
  readonly #entries = new Map<string, Entry>();

  /** @throws CirqueError `InvalidArgument` for a number that is none, or negative. */
  constructor({ resolver = "automatic", ...options }: DnsCacheOptions = {}) {
    this.#options = withDefaults(DEFAULTS, options);
    this.#resolver = typeof resolver === "string" ? builtInResolver(resolver) : resolver;
  }

  /** How many names are remembered, those that do not exist included. */
  get size(): number {
    return this.#entries.size;
  }

  /**
   * The addresses of a name: at once when they are known.
   * @param signal Ends the wait of this caller. The query goes on, for others.
   * @throws What the resolver threw: an error with a `code`, `ENOTFOUND` for a name that does not exist.
   */
  lookup(name: string, signal?: AbortSignal): readonly ResolvedAddress[] | Promise<readonly ResolvedAddress[]> {
    const entry = this.#entry(name.toLowerCase());
    const now = performance.now();
    const failedLately = now < entry.failedUntil;
    if (entry.addresses !== undefined) {
      if (now < entry.expiresAt) return nextTurn(entry, entry.addresses);
      if (now < entry.expiresAt + this.#options.staleWhileRefreshMs || failedLately) {
        this.#refreshBehind(entry, now);
        return nextTurn(entry, entry.addresses);
      }
    } else if (failedLately) {
      return Promise.reject(entry.error);
    }
    return unlessAborted(
      this.#refresh(entry).then((addresses) => nextTurn(entry, addresses)),
      signal,
    );
  }

  /**
   * Whether a connection to an address of the name may be used again: it may not when a newer answer lacks the address.
   * An answer that is too old is renewed behind the back of who asks. A name that cannot be resolved any more has lost
   * nothing.
   * @param name In lower case.
   */
  holds(name: string, address: string): boolean {
    const entry = this.#entries.get(name);
    if (entry?.addresses === undefined) return true;
    const now = performance.now();
    if (now >= entry.expiresAt) this.#refreshBehind(entry, now);
    return entry.known.has(address);
  }

  /** Forgets everything. */
  clear(): void {
    this.#entries.clear();
  }

  #entry(name: string): Entry {
    let entry = this.#entries.get(name);
    if (entry === undefined) {
      for (const oldest of this.#entries.keys()) {
        if (this.#entries.size < this.#options.maxEntries) break;
        this.#entries.delete(oldest);
      }
      entry = { name, addresses: undefined, known: new Set(), expiresAt: 0, failedUntil: 0, error: undefined, turn: 0 };
    } else this.#entries.delete(name);
    this.#entries.set(name, entry);
    return entry;
  }

  #refreshBehind(entry: Entry, now: number): void {
    if (now < entry.failedUntil) return;
    this.#refresh(entry).catch(() => {
      // It is in the entry, for whoever asks for the name next.
    });
  }

  /** The query for a name, made now or under way. */
  #refresh(entry: Entry): Promise<readonly ResolvedAddress[]> {
    entry.query ??= this.#ask(entry.name)
      .then(
        (resolved) => this.#store(entry, resolved),
        (error: unknown) => this.#fail(entry, error),
      )
      .finally(() => {
        entry.query = undefined;
      });
    return entry.query;
  }

  async #ask(name: string): Promise<ResolvedName> {
    const { timeoutMs } = this.#options;
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      late.reject(failure("ETIMEOUT", `${name} was not resolved within ${timeoutMs} ms`));
    }, timeoutMs);
    try {
      const resolved = await Promise.race([this.#resolver.resolve(name), late.promise]);
      checkAddresses(name, resolved);
      return resolved;
    } finally {
      clearTimeout(timer);
    }
  }

  #store(entry: Entry, { addresses, ttlMs }: ResolvedName): readonly ResolvedAddress[] {
    const { minTtlMs, maxTtlMs } = this.#options;
    const taken = addresses.slice(0, MAX_ADDRESSES);
    entry.addresses = taken;
    entry.known = new Set(taken.map(({ address }) => address));
    entry.expiresAt = performance.now() + Math.max(minTtlMs, Math.min(maxTtlMs, ttlMs));
    entry.failedUntil = 0;
    entry.error = undefined;
    return taken;
  }

  #fail(entry: Entry, error: unknown): readonly ResolvedAddress[] {
    const now = performance.now();
    entry.error = error;
    entry.failedUntil = now + this.#options.negativeTtlMs;
    const stale = now < entry.expiresAt + this.#options.staleIfErrorMs;
    if (saysNoSuchName(error) || !stale) entry.addresses = undefined;
    if (entry.addresses === undefined) throw error;
    return entry.addresses;
  }
}

interface Entry {
  readonly name: string;
  addresses: readonly ResolvedAddress[] | undefined;
  /** The same, to look them up in. */
  known: ReadonlySet<string>;
  expiresAt: number;
  failedUntil: number;
  error: unknown;
  query?: Promise<readonly ResolvedAddress[]> | undefined;
  /** How often it was looked up. */
  turn: number;
}

let shared: DnsCache | undefined;

/** What connectors of this thread share unless they are given their own. */
export function sharedDnsCache(): DnsCache {
  shared ??= new DnsCache();
  return shared;
}

function builtInResolver(name: "automatic" | "system" | "name-servers"): Resolver {
  if (name === "automatic") return new AutomaticResolver();
  return name === "system" ? new SystemResolver() : new NameServerResolver();
}

/**
 * The addresses of each family moved on by one, the first family still in front: one that reaches nobody is not to be
 * tried first.
 */
function nextTurn(entry: Entry, addresses: readonly ResolvedAddress[]): readonly ResolvedAddress[] {
  if (addresses.length === 1) return addresses;
  const turn = entry.turn++;
  const first = addresses[0]?.family;
  return [
    ...rotated(
      addresses.filter(({ family }) => family === first),
      turn,
    ),
    ...rotated(
      addresses.filter(({ family }) => family !== first),
      turn,
    ),
  ];
}

function rotated<T>(list: readonly T[], by: number): readonly T[] {
  const start = list.length === 0 ? 0 : by % list.length;
  return [...list.slice(start), ...list.slice(0, start)];
}

function unlessAborted<T>(pending: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return pending;
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    pending.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

/** A resolver of the user's own is not to make us connect to what is no address, or wait for ever. */
function checkAddresses(name: string, resolved: ResolvedName): void {
  const { addresses, ttlMs } = resolved;
  if (!Array.isArray(addresses) || addresses.length === 0) throw failure("ENODATA", `${name} has no address`);
  const wrong = addresses.find(({ address, family }) => isIP(address) !== family);
  if (wrong !== undefined || Number.isNaN(ttlMs)) {
    throw failure("EBADRESP", `the resolver's answer for ${name} is none: ${JSON.stringify(wrong ?? { ttlMs })}`);
  }
}

function failure(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}
