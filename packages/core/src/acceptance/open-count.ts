import { getEnvironmentData, isMainThread, setEnvironmentData } from "node:worker_threads";
import type { ThreadContext } from "../threads/thread-context.ts";

/** How many connections are open, in all threads together. */
export interface OpenCount {
  /** Counts one, if there are fewer than `max`, and says whether. */
  add(max: number): boolean;
  remove(): void;
  readonly total: number;
}

/**
 * Makes room for a count that threads share. Called in the main thread, before it starts others: they get it with their
 * environment. In them it does nothing.
 */
export function declareSharedCount(name: string): void {
  if (!isMainThread || getEnvironmentData(keyOf(name)) !== undefined) return;
  setEnvironmentData(keyOf(name), new SharedArrayBuffer(SLOTS * Int32Array.BYTES_PER_ELEMENT));
}

/** The count of that name; one of this thread alone when it is the only one, or came without its environment. */
export function openCount(
  name: string,
  { index, dataThreads }: Pick<ThreadContext, "index" | "dataThreads">,
): OpenCount {
  const shared: unknown = dataThreads > 1 && index < SLOTS ? getEnvironmentData(keyOf(name)) : undefined;
  return shared instanceof SharedArrayBuffer ? new SharedCount(new Int32Array(shared), index) : new ThreadCount();
}

class ThreadCount implements OpenCount {
  total = 0;

  add(max: number): boolean {
    if (this.total >= max) return false;
    this.total++;
    return true;
  }

  remove(): void {
    this.total--;
  }
}

/** A slot for each thread, so that the one that takes the place of a dead thread can begin at zero. */
class SharedCount implements OpenCount {
  readonly #slots: Int32Array;
  readonly #own: number;

  constructor(slots: Int32Array, own: number) {
    this.#slots = slots;
    this.#own = own;
    Atomics.store(slots, own, 0);
  }

  get total(): number {
    let total = 0;
    for (let slot = 0; slot < SLOTS; slot++) total += Atomics.load(this.#slots, slot);
    return total;
  }

  add(max: number): boolean {
    // First counted, then compared: two threads at the same moment may both refuse, and never both take the last place.
    Atomics.add(this.#slots, this.#own, 1);
    if (this.total <= max) return true;
    this.remove();
    return false;
  }

  remove(): void {
    Atomics.sub(this.#slots, this.#own, 1);
  }
}

/** More threads than any machine has use for. */
const SLOTS = 256;

function keyOf(name: string): string {
  return `cirque.connections ${name}`;
}
