import type { HeaderMap } from "@cirque/http";
import type { CirqueError } from "../../src/errors/cirque-error.ts";
import type { BodySink } from "../../src/session/body.ts";

/** A body that was read whole. */
export interface CollectedBody {
  readonly text: string;
  readonly trailers: HeaderMap | undefined;
}

/** Collects a body. Fails loudly when the source breaks the protocol of a sink: exactly one last call. */
export class CollectingSink implements BodySink {
  readonly chunks: Buffer[] = [];
  error: CirqueError | undefined;
  /** How often a last call came: `onEnd` or `onError`. */
  lastCalls = 0;
  readonly #body = Promise.withResolvers<CollectedBody>();
  readonly #onChunk: ((chunk: Buffer) => void) | undefined;

  constructor(onChunk?: (chunk: Buffer) => void) {
    this.#onChunk = onChunk;
    // A test may look at `error` alone.
    this.#body.promise.catch(() => {});
  }

  /** What was collected so far, as latin1. */
  get text(): string {
    return Buffer.concat(this.chunks).toString("latin1");
  }

  /** The whole body; rejects with the error that cut it. */
  body(): Promise<CollectedBody> {
    return this.#body.promise;
  }

  onData(chunk: Buffer): void {
    if (this.lastCalls > 0) throw new Error("body bytes came behind the end");
    this.chunks.push(chunk);
    this.#onChunk?.(chunk);
  }

  onEnd(trailers: HeaderMap | undefined): void {
    this.lastCalls++;
    this.#body.resolve({ text: this.text, trailers });
  }

  onError(error: CirqueError): void {
    this.lastCalls++;
    this.error = error;
    this.#body.reject(error);
  }
}
