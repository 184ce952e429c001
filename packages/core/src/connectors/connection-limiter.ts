import { CirqueError, isCirqueError } from "../errors/cirque-error.ts";
import type { Peer } from "./peer.ts";

/** What a wait ends with: a connection that somebody gave back, or the right to make one. */
export type Turn<T> = { readonly connection: T } | { readonly connection: undefined };

/** Told of those who wait, for metrics. */
export interface LimitObserver {
  /** One more waits, or one less. */
  onPending(change: 1 | -1): void;
  /** One was turned away, or waited for too long. */
  onFailure(): void;
}

/**
 * Keeps the number of connections to an address within `maxConnections` (POOL-12). Who comes when all are in use waits in
 * line, first come, first served; what is given back goes to the first in line, if it is of the same kind.
 *
 * Connections are counted by address, whatever else their peers differ in: it is the origin that is spared. Only those
 * made for peers with a limit count.
 */
export class ConnectionLimiter<T> {
  readonly #addresses = new Map<string, Line<T>>();
  readonly #observer: LimitObserver | undefined;

  constructor(observer?: LimitObserver) {
    this.#observer = observer;
  }

  /** How many wait, for whatever address. */
  get waiting(): number {
    let waiting = 0;
    for (const line of this.#addresses.values()) waiting += line.waiters.size;
    return waiting;
  }

  /** How many addresses have connections or waiters. */
  get addresses(): number {
    return this.#addresses.size;
  }

  /**
   * Waits for a turn. With `connection` undefined, the caller makes one, and says `freed` when it could not, or when the
   * connection is closed.
   * @param fresh Whether a connection that was used before will not do.
   * @param makeRoom Called when there are as many as may be: closes an idle one of these keys, which the caller cannot use,
   * and says whether there was one; then the turn comes in a moment.
   * @throws CirqueError `ConnectionLimitReached` when too many wait, `ConnectionLimitTimedout` when nothing became free.
   */
  enter(
    peer: Peer,
    fresh: boolean,
    makeRoom: (keys: ReadonlySet<string>) => boolean,
    signal: AbortSignal | undefined,
  ): Turn<T> | Promise<Turn<T>> {
    let line = this.#addresses.get(peer.address);
    if (line === undefined) {
      line = { open: 0, keys: new Set(), waiters: new Set() };
      this.#addresses.set(peer.address, line);
    }
    const { maxConnections, maxPendingRequests } = peer.options;
    if (line.open < maxConnections) {
      line.open++;
      return NEW_CONNECTION;
    }
    if (!makeRoom(line.keys) && line.waiters.size >= maxPendingRequests) {
      this.#observer?.onFailure();
      throw limitError("ConnectionLimitReached", peer, `${line.waiters.size} requests wait for one`, true);
    }
    return wait(line, peer, fresh, signal, this.#observer);
  }

  /** Whether a connection could be made without waiting. */
  hasRoom(peer: Peer): boolean {
    return (this.#addresses.get(peer.address)?.open ?? 0) < peer.options.maxConnections;
  }

  /** Offers a connection that was given back to those who wait. @returns whether one took it. */
  offer(peer: Peer, connection: T): boolean {
    const line = this.#addresses.get(peer.address);
    if (line === undefined) return false;
    const [first] = line.waiters;
    // Who is first but cannot use it gets the room that it leaves when it is closed.
    if (first === undefined || first.fresh || first.key !== peer.reuseKey) return false;
    line.waiters.delete(first);
    first.resolve({ connection });
    return true;
  }

  /** Whether somebody waits for a connection to the address of the peer. */
  hasWaiters(peer: Peer): boolean {
    return (this.#addresses.get(peer.address)?.waiters.size ?? 0) > 0;
  }

  /** Notes that idle connections are kept under the key of the peer. */
  kept(peer: Peer, has: (key: string) => boolean): void {
    const line = this.#addresses.get(peer.address);
    if (line === undefined) return;
    line.keys.add(peer.reuseKey);
    // Keys without connections: there are never more of the others than there are connections.
    if (line.keys.size > line.open) for (const key of line.keys) if (!has(key)) line.keys.delete(key);
  }

  /** A connection is closed, or could not be made: the first in line makes another. */
  freed(address: string): void {
    const line = this.#addresses.get(address);
    if (line === undefined) return;
    line.open--;
    const [first] = line.waiters;
    // The limit may have become lower since: then more of them have to go first.
    if (first !== undefined && line.open < first.maxConnections) {
      line.open++;
      line.waiters.delete(first);
      first.resolve(NEW_CONNECTION);
    } else if (line.open === 0) this.#addresses.delete(address);
  }
}

/** Connections to one address, and who waits for one. */
interface Line<T> {
  open: number;
  /** Keys under which idle connections may be kept. */
  readonly keys: Set<string>;
  readonly waiters: Set<Waiter<T>>;
}

interface Waiter<T> {
  readonly key: string;
  readonly fresh: boolean;
  readonly maxConnections: number;
  resolve(turn: Turn<T>): void;
  reject(error: unknown): void;
}

const NEW_CONNECTION = { connection: undefined };

function wait<T>(
  line: Line<T>,
  peer: Peer,
  fresh: boolean,
  signal: AbortSignal | undefined,
  observer: LimitObserver | undefined,
): Promise<Turn<T>> {
  const { pendingTimeoutMs, totalConnectionTimeoutMs } = peer.options;
  const ms = Math.min(pendingTimeoutMs, totalConnectionTimeoutMs);
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      line.waiters.delete(waiter);
      observer?.onPending(-1);
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    };
    const waiter: Waiter<T> = {
      key: peer.reuseKey,
      fresh,
      maxConnections: peer.options.maxConnections,
      resolve(turn) {
        stop();
        resolve(turn);
      },
      reject(error) {
        stop();
        reject(error);
      },
    };
    const onAbort = (): void => {
      const reason: unknown = signal?.reason;
      const message = `waiting for a connection to ${peer} was given up`;
      waiter.reject(isCirqueError(reason) ? reason : CirqueError.internal("ConnectError", message, { cause: reason }));
    };
    const onLate = (): void => {
      observer?.onFailure();
      waiter.reject(limitError("ConnectionLimitTimedout", peer, `none became free in ${ms} ms`, false));
    };
    const timer = ms < 2 ** 31 ? setTimeout(onLate, ms) : undefined;
    line.waiters.add(waiter);
    observer?.onPending(1);
    signal?.addEventListener("abort", onAbort);
    if (signal?.aborted) onAbort();
  });
}

function limitError(
  code: "ConnectionLimitReached" | "ConnectionLimitTimedout",
  peer: Peer,
  what: string,
  retry: boolean,
): CirqueError {
  const { maxConnections, maxPendingRequests } = peer.options;
  return CirqueError.upstream(code, `${peer} has ${maxConnections} connections, as many as it may have; ${what}`, {
    retry,
    context: { peer: peer.address, maxConnections, maxPendingRequests },
  });
}
