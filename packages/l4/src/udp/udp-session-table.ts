import { turnTime } from "@cirque/core";

/** What a table holds. The table writes the fields; nobody else does. */
export abstract class TableEntry {
  /** When something last came from either side, in milliseconds of `performance.now()`. */
  lastActiveAt = 0;
  previous: TableEntry | undefined;
  next: TableEntry | undefined;
}

/**
 * Sessions by client, in the order of their last activity: to look one up, to move it to the end and to find the one that
 * is idle for longest cost the same however many there are. One timer serves all.
 */
export class UdpSessionTable<Entry extends TableEntry> {
  readonly #entries = new Map<string, Entry>();
  readonly #onIdle: (entry: Entry) => void;
  #idleTimeoutMs: number;
  #oldest: TableEntry | undefined;
  #newest: TableEntry | undefined;
  #timer: NodeJS.Timeout | undefined;
  #onEmpty: (() => void) | undefined;

  /** @param onIdle Told of an entry that was idle for too long; it has to remove it. */
  constructor(idleTimeoutMs: number, onIdle: (entry: Entry) => void) {
    this.#idleTimeoutMs = idleTimeoutMs;
    this.#onIdle = onIdle;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** The entry that is idle for longest. */
  get oldest(): Entry | undefined {
    return this.#oldest as Entry | undefined; // only entries are linked
  }

  get(key: string): Entry | undefined {
    return this.#entries.get(key);
  }

  add(key: string, entry: Entry): void {
    this.#entries.set(key, entry);
    entry.lastActiveAt = turnTime();
    this.#append(entry);
    this.#timer ??= setTimeout(() => this.#expire(), this.#idleTimeoutMs);
  }

  /** Something came. */
  touch(entry: Entry): void {
    entry.lastActiveAt = turnTime();
    if (entry === this.#newest) return;
    this.#unlink(entry);
    this.#append(entry);
  }

  remove(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#unlink(entry);
    if (this.#entries.size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#onEmpty?.();
  }

  /** Resolves when there are no entries. */
  async whenEmpty(): Promise<void> {
    if (this.#entries.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
    });
  }

  values(): Iterable<Entry> {
    return this.#entries.values();
  }

  /** Entries may be idle for no longer than this from here on. */
  shorten(idleTimeoutMs: number): void {
    this.#idleTimeoutMs = Math.min(this.#idleTimeoutMs, idleTimeoutMs);
    if (this.#timer !== undefined) this.#expire();
  }

  #expire(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const latest = performance.now() - this.#idleTimeoutMs;
    let { oldest } = this;
    while (oldest !== undefined && oldest.lastActiveAt <= latest) {
      this.#onIdle(oldest);
      ({ oldest } = this);
    }
    if (oldest === undefined) return;
    this.#timer ??= setTimeout(() => this.#expire(), Math.max(1, Math.ceil(oldest.lastActiveAt - latest)));
  }

  #append(entry: TableEntry): void {
    entry.previous = this.#newest;
    entry.next = undefined;
    if (this.#newest === undefined) this.#oldest = entry;
    else this.#newest.next = entry;
    this.#newest = entry;
  }

  #unlink(entry: TableEntry): void {
    if (entry.previous === undefined) this.#oldest = entry.next;
    else entry.previous.next = entry.next;
    if (entry.next === undefined) this.#newest = entry.previous;
    else entry.next.previous = entry.previous;
  }
}
