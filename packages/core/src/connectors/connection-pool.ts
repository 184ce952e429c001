/** Why an idle connection cannot be used any more. */
export type UnusableReason = "closed" | "idle-timeout" | "unexpected-data";

/** What a pool keeps: a connection that can say when it ends. */
export interface Poolable {
  /** Watches the idle connection. `onUnusable` is called when it must not be used any more; it is closed by then. */
  startIdle(idleTimeoutMs: number, onUnusable: (reason: UnusableReason) => void): void;
  /** Ends the watch: the connection is taken. @returns whether it can be used. */
  stopIdle(): boolean;
  close(): void;
}

/** How many idle connections a pool keeps. */
export interface PoolLimits {
  /** For one key. */
  readonly perKey: number;
  /** In all. Beyond it, the one that has been idle for longest goes (POOL-06). */
  readonly total: number;
  /** Told when an idle connection is dropped for a reason of its own. */
  readonly onUnusable?: (reason: UnusableReason) => void;
}

/**
 * Idle connections by key (POOL-01, POOL-16). The one that came last is taken first (POOL-07): it is the likeliest to be
 * open, and the others get a chance to run out.
 */
export class ConnectionPool<T extends Poolable> {
  readonly #limits: PoolLimits;
  readonly #idle = new Map<string, Idle<T>[]>();
  #size = 0;
  #clock = 0;

  /** @throws RangeError for a limit that is no number, or negative: it would bound nothing. */
  constructor(limits: PoolLimits) {
    if (!(limits.perKey >= 0 && limits.total >= 0)) {
      throw new RangeError(`A pool cannot keep ${limits.perKey} connections of a key and ${limits.total} in all`);
    }
    this.#limits = limits;
  }

  /** How many idle connections there are. */
  get size(): number {
    return this.#size;
  }

  /** How many keys have idle connections. */
  get keys(): number {
    return this.#idle.size;
  }

  /** Takes an idle connection, or undefined. */
  take(key: string): T | undefined {
    const stack = this.#idle.get(key);
    if (stack === undefined) return undefined;
    for (;;) {
      const idle = stack.pop();
      // Keys come from requests, perhaps: an empty one must not stay (POOL-09).
      if (stack.length === 0) this.#idle.delete(key);
      if (idle === undefined) return undefined;
      this.#size--;
      if (idle.connection.stopIdle()) return idle.connection;
      idle.connection.close();
    }
  }

  /** Keeps a connection. With an idle time-out of 0 it is closed instead. */
  put(key: string, connection: T, idleTimeoutMs: number): void {
    if (idleTimeoutMs <= 0 || this.#limits.perKey === 0) {
      connection.close();
      return;
    }
    let stack = this.#idle.get(key);
    if (stack === undefined) {
      stack = [];
      this.#idle.set(key, stack);
    }
    const idle: Idle<T> = { connection, since: this.#clock++ };
    stack.push(idle);
    this.#size++;
    connection.startIdle(idleTimeoutMs, (reason) => {
      this.#remove(key, idle);
      this.#limits.onUnusable?.(reason);
    });
    if (stack.length > this.#limits.perKey) this.#evict(key, stack);
    else if (this.#size > this.#limits.total) this.#evictOldest();
  }

  /** Closes every idle connection. */
  clear(): void {
    for (const stack of this.#idle.values()) {
      for (const { connection } of stack) {
        connection.stopIdle();
        connection.close();
      }
    }
    this.#idle.clear();
    this.#size = 0;
  }

  #remove(key: string, idle: Idle<T>): void {
    const stack = this.#idle.get(key);
    const index = stack?.indexOf(idle) ?? -1;
    if (stack === undefined || index === -1) return;
    stack.splice(index, 1);
    this.#size--;
    if (stack.length === 0) this.#idle.delete(key);
  }

  /** The oldest of a key lies at the bottom of its stack. */
  #evict(key: string, stack: Idle<T>[]): void {
    const oldest = stack[0];
    if (oldest === undefined) return;
    this.#remove(key, oldest);
    oldest.connection.stopIdle();
    oldest.connection.close();
  }

  #evictOldest(): void {
    let oldestKey: string | undefined;
    let oldest = Number.POSITIVE_INFINITY;
    for (const [key, stack] of this.#idle) {
      const since = stack[0]?.since ?? Number.POSITIVE_INFINITY;
      if (since >= oldest) continue;
      oldest = since;
      oldestKey = key;
    }
    const stack = oldestKey === undefined ? undefined : this.#idle.get(oldestKey);
    if (oldestKey !== undefined && stack !== undefined) this.#evict(oldestKey, stack);
  }
}

interface Idle<T> {
  readonly connection: T;
  readonly since: number;
}
