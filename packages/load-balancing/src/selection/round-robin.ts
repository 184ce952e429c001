import type { Backend } from "../backend.ts";
import type { BackendSelection, SelectionKey } from "./backend-selection.ts";
import { DueQueue } from "./due-queue.ts";

/**
 * Takes turns, in proportion to the weights (`LB-16`); the key plays no part.
 *
 * Each backend is due again 1/weight after its last turn, and the one that is due first gets the request. So a heavy
 * backend's turns are spread evenly among those of the others and never come in a burst. When a backend is ill its turn
 * goes to the one that is due next, and that one waits for its next turn as after any other: the others go on sharing
 * in proportion to their weights, where a plain "next in the list" would give one of them double. A pick is O(log n).
 */
export class RoundRobin implements BackendSelection {
  /** A rotation through `backends` that carries on where `previous` was, so that frequent updates favour nobody. */
  static build(backends: readonly Backend[], previous?: BackendSelection): RoundRobin {
    return new RoundRobin(backends, previous instanceof RoundRobin ? previous : undefined);
  }

  readonly #backends: readonly Backend[];
  /** Time between two turns of a backend, by position. */
  readonly #interval: Float64Array;
  readonly #due: Float64Array;
  readonly #queue: DueQueue;
  /** The time at which the last turn was due. */
  #now = 0;

  constructor(backends: readonly Backend[], previous?: RoundRobin) {
    this.#backends = backends;
    this.#interval = Float64Array.from(backends, ({ weight }) => 1 / weight);
    const waits = previous ? previous.#waits() : undefined;
    this.#due = Float64Array.from(backends, ({ address }, position) => {
      // Without the spread, backends of equal weight would all be due at once.
      const share = waits?.get(address) ?? position / backends.length;
      return share * (this.#interval[position] as number);
    });
    const taking = backends.flatMap(({ weight }, position) => (weight > 0 ? [position] : []));
    this.#queue = new DueQueue(taking, this.#due);
  }

  first(_key?: SelectionKey): number {
    const position = this.#queue.earliest;
    if (position < 0) return -1;
    this.#now = this.#due[position] as number;
    this.#queue.postponeEarliest(this.#now + (this.#interval[position] as number));
    if (this.#now >= longestTime) this.#startTimeAnew();
    return position;
  }

  *others(_key: SelectionKey | undefined, first: number): Generator<number, void, void> {
    const queue = this.#queue;
    let setAside = 0;
    let taken = -1;
    try {
      while (queue.earliest >= 0) {
        const position = queue.setEarliestAside();
        setAside += 1;
        // It had its turn when it was the first candidate, and comes again only because it is heavy.
        if (position === first) continue;
        taken = position;
        yield position;
      }
      taken = -1;
    } finally {
      if (taken >= 0) this.#now = Math.max(this.#now, this.#due[taken] as number);
      const dueAgain = (position: number): number => this.#dueAgain(position, first, taken);
      for (; setAside > 0; setAside -= 1) queue.putBack(dueAgain);
    }
  }

  /** How much of its interval each backend still has to wait for, by address. */
  #waits(): Map<string, number> {
    const entries = this.#backends.flatMap(({ address }, position): [string, number][] => {
      const wait = ((this.#due[position] as number) - this.#now) / (this.#interval[position] as number);
      return Number.isFinite(wait) ? [[address, Math.min(Math.max(wait, 0), 1)]] : [];
    });
    return new Map(entries);
  }

  /** When a candidate is due next, after `taken` took the request, or -1 when nobody did. */
  #dueAgain(position: number, first: number, taken: number): number {
    const due = this.#due[position] as number;
    if (taken < 0) return due;
    const next = position === first ? due : due + (this.#interval[position] as number);
    // A backend that is passed over does not save up turns for the time when it is well again.
    return Math.max(next, this.#now);
  }

  /** Times are doubles: if they grew for ever, they would in the end not tell the turns of heavy backends apart. */
  #startTimeAnew(): void {
    for (let position = 0; position < this.#due.length; position += 1) {
      this.#due[position] = (this.#due[position] as number) - this.#now;
    }
    this.#now = 0;
  }
}

const longestTime = 1_024;
