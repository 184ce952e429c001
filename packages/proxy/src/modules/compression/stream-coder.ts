import type { Transform } from "node:stream";

/**
 * Drives a stream of `node:zlib` by hand: a piece goes in, and its output is taken out as it is asked for. The stream
 * stops by itself while as much as its high-water mark is waiting, so no input makes it hold more than that.
 */
export class StreamCoder {
  readonly #stream: Transform;
  /** Whether it still works on what it was given. */
  #busy = false;
  #error: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(stream: Transform) {
    this.#stream = stream;
    stream.on("readable", () => this.#notify());
    stream.on("end", () => this.#idle());
    stream.on("error", (error) => this.#fail(error));
    stream.on("close", () => this.#idle());
  }

  /** Whether there may be more output of what was pushed. */
  get more(): boolean {
    return this.#busy || this.#stream.readableLength > 0;
  }

  /** Takes the next piece. Only when there is no more output of the former one. */
  push(data: Buffer | undefined, end: boolean): void {
    this.#busy = true;
    if (end) this.#stream.end(data);
    else if (data === undefined || data.length === 0) this.#busy = false;
    else {
      this.#stream.write(data, (error) => {
        if (error) this.#fail(error);
        else this.#idle();
      });
    }
  }

  /** The next piece of output; undefined when there is none left. */
  async pull(): Promise<Buffer | undefined> {
    for (;;) {
      if (this.#error !== undefined) throw this.#error;
      const data: unknown = this.#stream.read();
      if (data !== null) return data as Buffer; // what such a stream gives, as it has no encoding
      if (!this.#busy) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Gives its memory back, whatever it was at. */
  destroy(): void {
    this.#stream.destroy();
  }

  #idle(): void {
    this.#busy = false;
    this.#notify();
  }

  #fail(error: Error): void {
    this.#error ??= error;
    this.#idle();
  }

  #notify(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}
