/** Bytes that are held before the writer is told to wait. */
const HIGH_WATER_BYTES = 64 * 1024;

/** A body on its way in memory: pieces go in at one end, and come out as a stream, no faster than that is read. */
export class BodyPipe {
  readonly stream: ReadableStream<Uint8Array>;
  readonly #onWritable: () => void;
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  #full = false;
  /** Whether nothing more comes. */
  #over = false;
  #cancelled = false;
  #failure: { readonly error: unknown } | undefined;
  /** Goes on with a read that waits for a piece. */
  #wake: (() => void) | undefined;

  /**
   * @param onWritable There is room again, after a `write` that returned false.
   * @param onCancel The reader wants no more.
   */
  constructor(onWritable: () => void, onCancel: (reason: unknown) => void) {
    this.#onWritable = onWritable;
    this.stream = new ReadableStream<Uint8Array>(
      {
        pull: (controller) => this.#pull(controller),
        cancel: (reason) => {
          this.#over = this.#cancelled = true;
          this.#chunks.length = 0;
          this.#wake?.();
          onCancel(reason);
        },
      },
      { highWaterMark: 0 },
    );
  }

  /** Takes a piece, which belongs to the pipe from here on. @returns false when enough is waiting. */
  write(chunk: Buffer): boolean {
    if (this.#over || chunk.length === 0) return !this.#full;
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes >= HIGH_WATER_BYTES) this.#full = true;
    this.#wake?.();
    return !this.#full;
  }

  /** Nothing is held back. */
  flush(): void {}

  /** The body is complete. */
  end(): void {
    this.#over = true;
    this.#wake?.();
  }

  /** The body will never be complete: the reader gets what has come, and then the error. */
  fail(error: unknown): void {
    if (this.#over) return;
    this.#failure = { error };
    this.end();
  }

  async #pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    if (this.#chunks.length === 0 && !this.#over) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
    const chunk = this.#chunks.shift();
    if (chunk !== undefined) {
      this.#bytes -= chunk.length;
      controller.enqueue(chunk);
      if (!this.#full || this.#bytes > HIGH_WATER_BYTES / 2) return;
      this.#full = false;
      if (!this.#over) this.#onWritable();
    } else if (this.#failure !== undefined) controller.error(this.#failure.error);
    else if (!this.#cancelled) controller.close();
  }
}
