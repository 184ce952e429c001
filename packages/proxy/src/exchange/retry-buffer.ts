/** So many pieces are kept as they come; beyond, those that are smaller than `SMALL_BYTES` are put together. */
const SEPARATE_PIECES = 16;
const SMALL_BYTES = 1024;
const JOINED_BYTES = 8 * 1024;

/** The beginning of a request body, for another attempt (H1S-31): all of it, or, when it is too long, nothing. */
export class RetryBuffer {
  readonly #limit: number;
  #chunks: Buffer[] = [];
  #bytes = 0;
  /** Where small pieces are put together, and how much of it is in use. */
  #joined: Buffer | undefined;
  #used = 0;
  #truncated = false;

  /** @param limit Bytes kept at most. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Whether the body was too long to be kept: no other attempt is possible. */
  get truncated(): boolean {
    return this.#truncated;
  }

  /** What was kept, in order. */
  get chunks(): readonly Buffer[] {
    this.#seal();
    return this.#chunks;
  }

  keep(chunk: Buffer): void {
    if (this.#truncated) return;
    this.#bytes += chunk.length;
    if (this.#bytes > this.#limit) {
      this.#truncated = true;
      this.#chunks = [];
      this.#joined = undefined;
    } else if (chunk.length >= SMALL_BYTES || this.#chunks.length < SEPARATE_PIECES) {
      this.#seal();
      this.#chunks.push(chunk);
    } else {
      this.#join(chunk);
    }
  }

  /** A piece of a byte costs a hundred as an object of its own: a client could have a lot of them kept. */
  #join(chunk: Buffer): void {
    if (this.#joined === undefined || this.#used + chunk.length > JOINED_BYTES) {
      this.#seal();
      this.#joined = Buffer.allocUnsafe(JOINED_BYTES);
      this.#used = 0;
    }
    this.#used += chunk.copy(this.#joined, this.#used);
  }

  #seal(): void {
    if (this.#joined === undefined) return;
    this.#chunks.push(this.#joined.subarray(0, this.#used));
    this.#joined = undefined;
  }
}
