import type { SlotRange } from "./slot-metrics.ts";

/** How many slots a chunk has: 8 KiB. */
const chunkSlots = 1024;

/**
 * The memory of one thread's metrics: slots for numbers, in chunks that other threads can be given. It grows, and slots
 * never move, so that a handle can keep its place.
 */
export class MetricSlots {
  #chunk: Float64Array = new Float64Array(0);
  #used = 0;

  /** A new range of `count` slots, each 0. */
  take(count: number): SlotRange {
    if (this.#used + count > this.#chunk.length) {
      const length = Math.max(chunkSlots, count);
      this.#chunk = new Float64Array(new SharedArrayBuffer(length * Float64Array.BYTES_PER_ELEMENT));
      this.#used = 0;
    }
    const first = this.#used;
    this.#used += count;
    return { slots: this.#chunk, first };
  }
}
