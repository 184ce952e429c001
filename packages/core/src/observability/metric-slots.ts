/** A place in shared memory for the numbers of one series. */
export interface SlotRange {
  readonly numbers: Float64Array;
  /** Where they begin. */
  readonly first: number;
  /** Which of the chunks `numbers` is. */
  readonly chunk: number;
}

const chunkLength = 1_024;

/**
 * Numbers in memory that other threads can read, in chunks that never move. Only the thread that they belong to writes,
 * so an addition is all it takes; who reads sees each number as it was a moment ago.
 */
export class MetricSlots {
  readonly #chunks: SharedArrayBuffer[] = [];
  #current: Float64Array = new Float64Array(0);
  #used = 0;
  /** Told of each chunk. */
  onChunk: ((chunk: SharedArrayBuffer, index: number) => void) | undefined;

  get chunks(): readonly SharedArrayBuffer[] {
    return this.#chunks;
  }

  allocate(length: number): SlotRange {
    if (this.#used + length > this.#current.length) this.#addChunk(Math.max(chunkLength, length));
    const first = this.#used;
    this.#used += length;
    return { numbers: this.#current, first, chunk: this.#chunks.length - 1 };
  }

  #addChunk(length: number): void {
    const chunk = new SharedArrayBuffer(length * Float64Array.BYTES_PER_ELEMENT);
    this.#current = new Float64Array(chunk);
    this.#used = 0;
    this.#chunks.push(chunk);
    this.onChunk?.(chunk, this.#chunks.length - 1);
  }
}
