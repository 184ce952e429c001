import type { Counter, Gauge, Histogram } from "./metric.ts";

/**
 * A place in memory that other threads can read. One thread alone writes to it, so that neither `Atomics` nor a message
 * is needed: an aligned number of 64 bits is never seen half written.
 */
export interface SlotRange {
  readonly slots: Float64Array;
  /** The position of its first slot. */
  readonly first: number;
}

/** {@link Counter}: nothing but an addition, since it runs several times for each request. */
export class SlotCounter implements Counter, SlotRange {
  readonly slots: Float64Array;
  readonly first: number;

  constructor({ slots, first }: SlotRange) {
    this.slots = slots;
    this.first = first;
  }

  inc(n = 1): void {
    this.slots[this.first] = (this.slots[this.first] as number) + n;
  }

  get value(): number {
    return this.slots[this.first] as number;
  }
}

/** {@link Gauge}: nothing but an assignment. */
export class SlotGauge implements Gauge, SlotRange {
  readonly slots: Float64Array;
  readonly first: number;

  constructor({ slots, first }: SlotRange) {
    this.slots = slots;
    this.first = first;
  }

  set(n: number): void {
    this.slots[this.first] = n;
  }

  add(n: number): void {
    this.slots[this.first] = (this.slots[this.first] as number) + n;
  }

  get value(): number {
    return this.slots[this.first] as number;
  }
}

/** {@link Histogram}: a count for each upper bound, one for what is beyond them, and the sum. */
export class SlotHistogram implements Histogram, SlotRange {
  /** The upper bounds, ascending. */
  readonly bounds: readonly number[];
  readonly slots: Float64Array;
  readonly first: number;

  constructor(bounds: readonly number[], { slots, first }: SlotRange) {
    this.bounds = bounds;
    this.slots = slots;
    this.first = first;
  }

  observe(value: number): void {
    const { bounds, slots } = this;
    let index = 0;
    // From below: most values are small, and a bound that compares false with NaN would end the search as well.
    while (index < bounds.length && !(value <= (bounds[index] as number))) index++;
    const bucket = this.first + index;
    slots[bucket] = (slots[bucket] as number) + 1;
    const sum = this.first + bounds.length + 1;
    slots[sum] = (slots[sum] as number) + value;
  }

  get count(): number {
    let total = 0;
    for (let index = 0; index <= this.bounds.length; index++) total += this.slots[this.first + index] as number;
    return total;
  }

  get sum(): number {
    return this.slots[this.first + this.bounds.length + 1] as number;
  }
}
