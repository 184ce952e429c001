import type { BodySink } from "../session/body.ts";

/** Drops the rest of a body, up to a bound. */
export class DrainingSink implements BodySink {
  #left: number;
  readonly #onTooMuch: () => void;

  /** @param onTooMuch Called when the body goes on beyond `bytes`. */
  constructor(bytes: number, onTooMuch: () => void) {
    this.#left = bytes;
    this.#onTooMuch = onTooMuch;
  }

  onData(chunk: Buffer): void {
    const before = this.#left;
    this.#left -= chunk.length;
    if (before >= 0 && this.#left < 0) this.#onTooMuch();
  }

  onEnd(): void {}

  onError(): void {}
}
