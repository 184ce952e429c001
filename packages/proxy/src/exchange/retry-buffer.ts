/** The beginning of a request body, for another attempt (H1S-31): all of it, or, when it is too long, nothing. */
export class RetryBuffer {
  readonly #limit: number;
  #chunks: Buffer[] = [];
  #bytes = 0;
  #truncated = false;

  /** @param limit Bytes kept at most. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Whether the body was too long to be kept: no other attempt is possible. */
  get truncated(): boolean {
    return this.#truncated;
  }

  get chunks(): readonly Buffer[] {
    return this.#chunks;
  }

  keep(chunk: Buffer): void {
    if (this.#truncated) return;
    this.#bytes += chunk.length;
    if (this.#bytes <= this.#limit) {
      this.#chunks.push(chunk);
      return;
    }
    this.#truncated = true;
    this.#chunks = [];
  }
}
