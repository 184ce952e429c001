import type { Socket } from "node:net";
import { CirqueError } from "../errors/cirque-error.ts";
import { type ConnectOptions, connect, connectSince } from "./connect.ts";
import { connectFactsOf } from "./connect-facts.ts";
import { ConnectionLimiter, type LimitObserver } from "./connection-limiter.ts";
import { ConnectionPool, type Poolable, type PoolObserver, type UnusableReason } from "./connection-pool.ts";
import { type DnsCache, sharedDnsCache } from "./dns/dns-cache.ts";
import type { Peer } from "./peer.ts";

/** How many connections a connector keeps, and who is told. */
export interface PoolOptions<T> {
  /** Idle connections kept for each peer (CFG-17). Default 128. */
  readonly poolSize?: number;
  /** Idle connections kept in all. Default eight times `poolSize`. */
  readonly totalPoolSize?: number;
  /** Told of each kept connection that is used again, or dropped, and how long it was idle (V9-14). */
  readonly poolObserver?: PoolObserver<T>;
}

/** What a connector makes of a socket. */
export interface PooledConnection extends Poolable {
  /** Where its name led, for a peer that has one. */
  readonly resolved: ResolvedEnd | undefined;
}

/** The name of the other end, in lower case, and which of its addresses the connection is with. */
export interface ResolvedEnd {
  readonly name: string;
  readonly address: string;
}

/** A connection for a caller, and whether it was kept before. */
export interface Obtained<T> {
  readonly connection: T;
  readonly kept: boolean;
}

/**
 * Where connectors get their connections: from the pool, from those who give one back, or new ones, within the limits of
 * each peer.
 */
export class ConnectionSource<T extends PooledConnection> {
  readonly #connectOptions: ConnectOptions;
  readonly #make: (socket: Socket, peer: Peer) => T | Promise<T>;
  readonly #pool: ConnectionPool<T>;
  readonly #perKey: number;
  readonly #limiter: ConnectionLimiter<T>;
  #dns: DnsCache | undefined;
  #closed = false;

  /**
   * @param make What a connector makes of a socket, which it closes if it cannot.
   * @throws RangeError for a pool size that is no number.
   */
  constructor(
    options: ConnectOptions & PoolOptions<T>,
    onUnusable: ((reason: UnusableReason) => void) | undefined,
    make: (socket: Socket, peer: Peer) => T | Promise<T>,
    limitObserver?: LimitObserver,
  ) {
    this.#limiter = new ConnectionLimiter(limitObserver);
    this.#connectOptions = options;
    this.#make = make;
    this.#perKey = options.poolSize ?? 128;
    this.#pool = new ConnectionPool<T>({
      perKey: this.#perKey,
      total: options.totalPoolSize ?? this.#perKey * 8,
      observer: options.poolObserver,
      ...(onUnusable && { onUnusable }),
    });
  }

  /** How many idle connections there are. */
  get idle(): number {
    return this.#pool.size;
  }

  /** How many callers wait for a connection. */
  get pending(): number {
    return this.#limiter.waiting;
  }

  /** A kept connection, if there is one that may be used. */
  take(peer: Peer): T | undefined {
    return this.#pool.take(peer.reuseKey, this.mayBeUsed);
  }

  /**
   * A new connection, or one that somebody gives back while the caller waits for room.
   * @param fresh Whether it must be new.
   * @param onMaking Called when the wait, if there is one, is over, and a new one is being made.
   * @throws CirqueError when it cannot be made, or the limits of the peer forbid it.
   */
  async open(peer: Peer, fresh: boolean, signal: AbortSignal | undefined, onMaking?: () => void): Promise<Obtained<T>> {
    if (peer.options.maxConnections === Number.POSITIVE_INFINITY) {
      onMaking?.();
      return { connection: await this.#connect(peer, signal), kept: false };
    }
    const startedAt = performance.now();
    const entered = this.#limiter.enter(peer, fresh, this.#makeRoom, signal);
    const turn = entered instanceof Promise ? await entered : entered;
    if (turn.connection !== undefined) return { connection: turn.connection, kept: true };
    onMaking?.();
    return { connection: await this.#connectCounted(startedAt, peer, signal), kept: false };
  }

  /** Offers a share of a connection to those who wait for one. @returns whether somebody took it. */
  offer(peer: Peer, connection: T): boolean {
    return this.#limiter.addresses > 0 && this.mayBeUsed(connection) && this.#limiter.offer(peer, connection);
  }

  /** Keeps a connection, or gives it to one who waits for it. */
  put(peer: Peer, connection: T, idleTimeoutMs: number): void {
    if (this.#closed || !(idleTimeoutMs > 0)) {
      connection.close();
      return;
    }
    const counting = this.#limiter.addresses > 0;
    if (counting && this.#giveAway(peer, connection)) return;
    this.#pool.put(peer.reuseKey, connection, idleTimeoutMs);
    if (counting) this.#limiter.kept(peer, this.#isKept);
  }

  /**
   * Makes connections ahead of their use (POOL-13), at most as many as may be kept for one peer, and as its limits allow
   * without waiting.
   * @param keep What to do with each.
   * @returns How many were made.
   * @throws CirqueError `InvalidArgument` for a count that is none; the error of the first attempt when all failed.
   */
  async preconnect(
    peer: Peer,
    count: number,
    signal: AbortSignal | undefined,
    keep: (connection: T) => void = (connection) => this.put(peer, connection, peer.options.idleTimeoutMs),
  ): Promise<number> {
    if (!(Number.isSafeInteger(count) && count > 0)) {
      throw CirqueError.internal("InvalidArgument", `${count} connections cannot be made ahead: expected 1 or more`);
    }
    const attempts: Promise<T>[] = [];
    const limited = peer.options.maxConnections !== Number.POSITIVE_INFINITY;
    while (attempts.length < Math.min(count, this.#perKey)) {
      if (!limited) attempts.push(this.#connect(peer, signal));
      else if (this.#limiter.hasRoom(peer)) attempts.push(this.open(peer, true, signal).then((got) => got.connection));
      else break;
    }
    const outcomes = await Promise.allSettled(attempts);
    let made = 0;
    for (const outcome of outcomes) {
      if (outcome.status === "rejected") continue;
      made++;
      keep(outcome.value);
    }
    const failed = outcomes.find((outcome) => outcome.status === "rejected");
    if (made === 0 && failed !== undefined) throw failed.reason;
    return made;
  }

  /** Closes what is idle, and keeps nothing from here on. */
  close(): void {
    this.#closed = true;
    this.#pool.clear();
  }

  /** Where the name of the peer no longer has the address, the connection is with somebody else (POOL-03). */
  readonly mayBeUsed = ({ resolved }: T): boolean => {
    if (resolved === undefined) return true;
    this.#dns ??= this.#connectOptions.dns ?? sharedDnsCache();
    return this.#dns.holds(resolved.name, resolved.address);
  };

  readonly #isKept = (key: string): boolean => this.#pool.has(key);

  readonly #makeRoom = (keys: ReadonlySet<string>): boolean => {
    for (const key of keys) if (this.#pool.evict(key)) return true;
    return false;
  };

  /** Gives a connection to one who waits; or its room, when they need another kind. @returns whether anybody waited. */
  #giveAway(peer: Peer, connection: T): boolean {
    if (!this.#limiter.hasWaiters(peer)) return false;
    if (!(this.mayBeUsed(connection) && this.#limiter.offer(peer, connection))) connection.close();
    return true;
  }

  async #connect(peer: Peer, signal: AbortSignal | undefined): Promise<T> {
    return this.#make(await connect(peer, this.#connectOptions, signal), peer);
  }

  /** For a peer with a limit: the connection counts from now until it is closed. */
  async #connectCounted(startedAt: number, peer: Peer, signal: AbortSignal | undefined): Promise<T> {
    let socket: Socket;
    try {
      socket = await connectSince(startedAt, peer, this.#connectOptions, signal);
    } catch (error) {
      this.#limiter.freed(peer.address);
      throw error;
    }
    if (socket.closed) this.#limiter.freed(peer.address);
    else socket.once("close", () => this.#limiter.freed(peer.address));
    return this.#make(socket, peer);
  }
}

/** Which address of which name a socket that `connect` made is connected to. */
export function resolvedEndOf(socket: Socket): ResolvedEnd | undefined {
  const { resolvedName, remoteAddress } = connectFactsOf(socket) ?? {};
  if (resolvedName === undefined || remoteAddress === undefined) return undefined;
  return { name: resolvedName, address: remoteAddress };
}
