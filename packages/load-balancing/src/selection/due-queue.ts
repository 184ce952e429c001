/**
 * Positions in the order of the times at which they are due; equal times in the order of the positions. A binary heap
 * over typed arrays: `earliest` costs nothing, each change O(log n), and nothing is allocated.
 */
export class DueQueue {
  readonly #due: Float64Array;
  /** The heap, and behind its end what was set aside. */
  readonly #heap: Int32Array;
  #size: number;

  /**
   * @param positions What to queue, each once.
   * @param due When each position is due, by position.
   */
  constructor(positions: readonly number[], due: Float64Array) {
    this.#due = due;
    this.#heap = Int32Array.from(positions);
    this.#size = positions.length;
    for (let slot = (this.#size >> 1) - 1; slot >= 0; slot -= 1) this.#sink(slot);
  }

  /** The position that is due first, or -1 when the queue is empty. */
  get earliest(): number {
    return this.#size > 0 ? (this.#heap[0] as number) : -1;
  }

  /** Moves the earliest position to a later time. */
  postponeEarliest(due: number): void {
    this.#due[this.earliest] = due;
    this.#sink(0);
  }

  /** Takes the earliest position out until it is put back, and returns it. */
  setEarliestAside(): number {
    const heap = this.#heap;
    const position = heap[0] as number;
    this.#size -= 1;
    heap[0] = heap[this.#size] as number;
    heap[this.#size] = position;
    this.#sink(0);
    return position;
  }

  /**
   * Puts back the position that was set aside last of those that still are.
   *
   * @param dueOf When it is due.
   */
  putBack(dueOf: (position: number) => number): void {
    const position = this.#heap[this.#size] as number;
    this.#due[position] = dueOf(position);
    this.#size += 1;
    this.#rise(this.#size - 1);
  }

  #sink(from: number): void {
    const heap = this.#heap;
    const size = this.#size;
    const position = heap[from] as number;
    let slot = from;
    for (;;) {
      let child = 2 * slot + 1;
      if (child >= size) break;
      if (child + 1 < size && this.#isBefore(heap[child + 1] as number, heap[child] as number)) child += 1;
      if (!this.#isBefore(heap[child] as number, position)) break;
      heap[slot] = heap[child] as number;
      slot = child;
    }
    heap[slot] = position;
  }

  #rise(from: number): void {
    const heap = this.#heap;
    const position = heap[from] as number;
    let slot = from;
    while (slot > 0) {
      const parent = (slot - 1) >> 1;
      if (!this.#isBefore(position, heap[parent] as number)) break;
      heap[slot] = heap[parent] as number;
      slot = parent;
    }
    heap[slot] = position;
  }

  #isBefore(a: number, b: number): boolean {
    const dueA = this.#due[a] as number;
    const dueB = this.#due[b] as number;
    return dueA < dueB || (dueA === dueB && a < b);
  }
}
