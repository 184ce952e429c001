import { turnTime } from "../connection/turn-time.ts";

/** Why an idle connection cannot be used any more. */
export type UnusableReason = "closed" | "idle-timeout" | "unexpected-data";

/** Why an idle connection left its pool without being used again. */
export type DropReason = UnusableReason | "evicted" | "unfit" | "cleared";

/** What a pool keeps: a connection that can say when it ends. */
export interface Poolable {
  /** Watches the idle connection. `onUnusable` is called when it must not be used any more; it is closed by then. */
  startIdle(idleTimeoutMs: number, onUnusable: (reason: UnusableReason) => void): void;
  /** Ends the watch: the connection is taken. @returns whether it can be used. */
  stopIdle(): boolean;
  close(): void;
}

/** Follows kept connections: how long they were idle, and what became of them (V9-14). What it throws is a warning. */
export interface PoolObserver<T> {
  /** An idle connection is used again. */
  onTaken?(connection: T, idleMs: number): void;
  /** An idle connection is gone. */
  onDropped?(connection: T, idleMs: number, reason: DropReason): void;
}

/** How many idle connections a pool keeps. */
export interface PoolLimits<T = unknown> {
  /** For one key. */
  readonly perKey: number;
  /** In all. Beyond it, the one that has been idle for longest goes (POOL-06). */
  readonly total: number;
  /** Told when an idle connection is dropped for a reason of its own. */
  readonly onUnusable?: (reason: UnusableReason) => void;
  readonly observer?: PoolObserver<T> | undefined;
}

/**
 * Idle connections by key (POOL-01, POOL-16). The one that came last is taken first (POOL-07): it is the likeliest to be
 * open, and the others get a chance to run out. Every operation takes the same time, however many there are (V9-20).
 */
export class ConnectionPool<T extends Poolable> {
  readonly #limits: PoolLimits<T>;
  readonly #stacks = new Map<string, Stack<T>>();
  readonly #all = new ByAge<T>();
  #size = 0;

  /** @throws RangeError for a limit that is no number, or negative: it would bound nothing. */
  constructor(limits: PoolLimits<T>) {
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
    return this.#stacks.size;
  }

  /** Whether the key has idle connections. */
  has(key: string): boolean {
    return this.#stacks.has(key);
  }

  /**
   * Takes an idle connection, or undefined.
   * @param fits Whether a connection will do; one that will not is closed.
   */
  take(key: string, fits?: (connection: T) => boolean): T | undefined {
    const stack = this.#stacks.get(key);
    if (stack === undefined) return undefined;
    for (let idle = stack.top; idle !== undefined; idle = stack.top) {
      this.#unlink(idle);
      const { connection } = idle;
      const { observer } = this.#limits;
      if (connection.stopIdle() && (fits === undefined || fits(connection))) {
        if (observer?.onTaken !== undefined) {
          try {
            observer.onTaken(connection, turnTime() - idle.since);
          } catch (error) {
            warn(error);
          }
        }
        return connection;
      }
      connection.close();
      this.#dropped(idle, "unfit");
    }
    return undefined;
  }

  /** Keeps a connection. With an idle time-out of 0 it is closed instead. */
  put(key: string, connection: T, idleTimeoutMs: number): void {
    if (!(idleTimeoutMs > 0) || this.#limits.perKey === 0) {
      connection.close();
      return;
    }
    let stack = this.#stacks.get(key);
    if (stack === undefined) {
      stack = { key, top: undefined, bottom: undefined, size: 0 };
      this.#stacks.set(key, stack);
    }
    const idle = new Idle(connection, stack);
    this.#link(idle);
    connection.startIdle(idleTimeoutMs, (reason) => {
      if (!idle.linked) return;
      this.#unlink(idle);
      this.#limits.onUnusable?.(reason);
      this.#dropped(idle, reason);
    });
    if (stack.size > this.#limits.perKey) this.#evict(stack.bottom);
    else if (this.#size > this.#limits.total) this.#evict(this.#all.oldest);
  }

  /** Closes the connection of the key that has been idle for longest. @returns whether there was one. */
  evict(key: string): boolean {
    const oldest = this.#stacks.get(key)?.bottom;
    this.#evict(oldest);
    return oldest !== undefined;
  }

  /** Closes every idle connection. */
  clear(): void {
    for (let idle = this.#all.oldest; idle !== undefined; idle = this.#all.oldest) this.#close(idle, "cleared");
  }

  #evict(idle: Idle<T> | undefined): void {
    if (idle !== undefined) this.#close(idle, "evicted");
  }

  #close(idle: Idle<T>, reason: DropReason): void {
    this.#unlink(idle);
    idle.connection.stopIdle();
    idle.connection.close();
    this.#dropped(idle, reason);
  }

  #dropped(idle: Idle<T>, reason: DropReason): void {
    const { observer } = this.#limits;
    try {
      observer?.onDropped?.(idle.connection, turnTime() - idle.since, reason);
    } catch (error) {
      warn(error);
    }
  }

  #link(idle: Idle<T>): void {
    const { stack } = idle;
    idle.below = stack.top;
    if (stack.top === undefined) stack.bottom = idle;
    else stack.top.above = idle;
    stack.top = idle;
    stack.size++;
    this.#all.add(idle);
    this.#size++;
  }

  #unlink(idle: Idle<T>): void {
    const { stack, above, below } = idle;
    if (above === undefined) stack.top = below;
    else above.below = below;
    if (below === undefined) stack.bottom = above;
    else below.above = above;
    idle.linked = false;
    // Keys come from requests, perhaps: an empty one must not stay (POOL-09).
    if (--stack.size === 0) this.#stacks.delete(stack.key);
    this.#all.remove(idle);
    this.#size--;
  }
}

/** No request is there that a mistake of an observer could fail. */
function warn(error: unknown): void {
  process.emitWarning(`an observer of a connection pool failed: ${String(error)}`);
}

/** The idle connections of one key, from the one that came last down to the oldest. */
interface Stack<T extends Poolable> {
  readonly key: string;
  top: Idle<T> | undefined;
  bottom: Idle<T> | undefined;
  size: number;
}

/** An idle connection: its place in the stack of its key, and among all. */
class Idle<T extends Poolable> {
  readonly connection: T;
  readonly stack: Stack<T>;
  readonly since: number = turnTime();
  linked = true;
  above: Idle<T> | undefined;
  below: Idle<T> | undefined;
  older: Idle<T> | undefined;
  younger: Idle<T> | undefined;

  constructor(connection: T, stack: Stack<T>) {
    this.connection = connection;
    this.stack = stack;
  }
}

/** Idle connections of all keys in the order in which they came. */
class ByAge<T extends Poolable> {
  oldest: Idle<T> | undefined;
  #youngest: Idle<T> | undefined;

  add(idle: Idle<T>): void {
    idle.older = this.#youngest;
    if (this.#youngest === undefined) this.oldest = idle;
    else this.#youngest.younger = idle;
    this.#youngest = idle;
  }

  remove(idle: Idle<T>): void {
    if (idle.older === undefined) this.oldest = idle.younger;
    else idle.older.younger = idle.younger;
    if (idle.younger === undefined) this.#youngest = idle.older;
    else idle.younger.older = idle.older;
  }
}
