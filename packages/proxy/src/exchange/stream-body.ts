import { type BodySink, type BodySource, CirqueError } from "@cirque/core";
import type { HeaderMap } from "@cirque/http";

/** A stream as the body of a message: read no faster than the other side takes it. */
export class StreamBody implements BodySource {
  readonly #reader: ReadableStreamDefaultReader<unknown> | undefined;
  readonly #signal: AbortSignal;
  readonly #trailers: HeaderMap | undefined;
  /** What was read ahead, to see whether it is all. */
  readonly #ahead: ReturnType<ReadableStreamDefaultReader<unknown>["read"]>[] = [];
  #sink: BodySink | undefined;
  #paused = false;
  #pumping = false;
  #ended = false;

  /**
   * @param body A stream of `Uint8Array`; null for no bytes.
   * @param signal Ends the reading; the sink is told the reason.
   * @param trailers What follows the bytes.
   */
  constructor(body: ReadableStream<unknown> | null, signal: AbortSignal, trailers?: HeaderMap) {
    this.#reader = body?.getReader();
    this.#signal = signal;
    this.#trailers = trailers;
    // A read that is pending ends with it.
    signal.addEventListener("abort", () => this.cancel(), { once: true });
    if (signal.aborted) this.cancel();
  }

  /**
   * Waits for the first piece, so that it leaves with the head. Says how long the body is, if all of it is there.
   * @throws what the body failed with, or why the client left.
   */
  async open(): Promise<number | undefined> {
    if (this.#reader === undefined) return 0;
    const first = this.#read(this.#reader);
    this.#ahead.push(first);
    const { done, value } = await first;
    this.#signal.throwIfAborted();
    if (done) return 0;
    const second = this.#read(this.#reader);
    this.#ahead.push(second);
    return (await isDoneAtOnce(second)) ? bytesOf(value).length : undefined;
  }

  readBody(sink: BodySink): void {
    this.#sink = sink;
    this.#paused = false;
    void this.#pump(sink);
  }

  pauseBody(): void {
    this.#paused = true;
  }

  resumeBody(): void {
    if (!this.#paused || this.#sink === undefined) return;
    this.#paused = false;
    void this.#pump(this.#sink);
  }

  /** Lets go of the body. */
  cancel(): void {
    this.#ended = true;
    this.#reader?.cancel(this.#signal.reason).catch(ignore);
  }

  async #pump(sink: BodySink): Promise<void> {
    if (this.#pumping) return;
    this.#pumping = true;
    try {
      while (!this.#paused && !this.#ended) {
        const next = this.#reader && (await (this.#ahead.shift() ?? this.#read(this.#reader)));
        this.#signal.throwIfAborted();
        if (next === undefined || next.done) {
          this.#ended = true;
          sink.onEnd(this.#trailers);
        } else sink.onData(bytesOf(next.value));
      }
    } catch (error) {
      this.#ended = true;
      sink.onError(error instanceof CirqueError ? error : bodyFailed(error));
    } finally {
      this.#pumping = false;
    }
  }

  #read(reader: ReadableStreamDefaultReader<unknown>): ReturnType<typeof reader.read> {
    const result = reader.read();
    // Whoever awaits it later is told of a failure.
    result.catch(ignore);
    return result;
  }
}

/** Whether a read finds the end without waiting for anything but the turn of the event loop. */
async function isDoneAtOnce(read: Promise<{ readonly done: boolean }>): Promise<boolean> {
  let done = false;
  read.then((result) => {
    done = result.done;
  }, ignore);
  await new Promise<void>((resolve) => setImmediate(resolve));
  return done;
}

function bytesOf(piece: unknown): Buffer {
  if (piece instanceof Uint8Array) return Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
  throw CirqueError.internal("InvalidArgument", "the body of a Response must be a stream of Uint8Array");
}

function bodyFailed(cause: unknown): CirqueError {
  const message = cause instanceof Error ? cause.message : String(cause);
  return CirqueError.internal("InternalError", `the body of a Response failed: ${message}`, { cause });
}

function ignore(): void {}
