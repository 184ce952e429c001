import { type BodySink, type BodySource, CirqueError, type ServerSession } from "@cirque/core";
import { HeaderMap } from "@cirque/http";
import type { BodyChunk } from "../body-chunk.ts";
import { isPromise } from "../maybe-promise.ts";
import type { DownloadStage } from "./download-stage.ts";

/**
 * Carries the response body from the origin to the client, piece by piece, no faster than the client takes it. Without
 * stages, a piece goes from the reader of one connection to the writer of the other in one call.
 */
export class Download implements BodySink {
  readonly #from: BodySource;
  readonly #to: ServerSession;
  readonly #stages: readonly DownloadStage[];
  /** Stages that have more to give of a piece, and whether that was the last one. Those behind come last, and go first. */
  #unfinished: { readonly stage: number; readonly end: boolean }[] | undefined;
  #trailers: HeaderMap | undefined;
  /** Whether the source has ended. */
  #ended = false;
  #filtering = false;
  #full = false;
  #settled = false;
  #error: unknown;
  #resolve: (() => void) | undefined;
  #reject: ((error: unknown) => void) | undefined;

  constructor(from: BodySource, to: ServerSession, stages: readonly DownloadStage[]) {
    this.#from = from;
    this.#to = to;
    this.#stages = stages;
  }

  /** Whether the body has been carried whole. */
  get complete(): boolean {
    return this.#settled && this.#error === undefined;
  }

  /** Resolves when the body has been carried whole; rejects when it cannot be. */
  completion(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (!this.#settled) {
        this.#resolve = resolve;
        this.#reject = reject;
      } else if (this.#error === undefined) resolve();
      else reject(this.#error);
    });
  }

  onData(chunk: Buffer): void {
    if (this.#settled) return;
    if (this.#stages.length > 0) this.#filter({ data: chunk, end: false });
    else this.#write(chunk);
  }

  onEnd(trailers: HeaderMap | undefined): void {
    if (this.#settled) return;
    this.#trailers = trailers;
    this.#ended = true;
    if (this.#stages.length > 0) this.#filter({ data: undefined, end: true });
    else this.#finish();
  }

  onError(error: CirqueError): void {
    this.fail(error);
  }

  /** The client takes more. */
  onWritable(): void {
    this.#full = false;
    this.#maybeResume();
  }

  /** Gives up: the client, the origin or a filter failed. */
  fail(error: unknown): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#error = error;
    this.#reject?.(error);
  }

  #write(data: Buffer): void {
    if (this.#to.write(data)) return;
    this.#full = true;
    this.#pauseSource();
  }

  #finish(): void {
    if (this.#settled) return;
    const trailers = this.#trailers;
    this.#to.end(trailers !== undefined && trailers.size > 0 ? trailers : undefined);
    if (!this.#to.responseEnded) {
      this.fail(
        CirqueError.internal("WriteError", "the response body is shorter than its Content-Length: a filter cut it"),
      );
      return;
    }
    this.#settled = true;
    this.#resolve?.();
  }

  /** @param again Whether a stage, `from`, is asked for more: then the source waits. */
  #filter(chunk: BodyChunk, from = 0, again = false): void {
    try {
      const wait = this.#applyStages(chunk, from);
      if (wait === undefined) {
        this.#forward(chunk);
        if (again) this.#maybeResume();
        return;
      }
      this.#filtering = true;
      this.#pauseSource();
      wait
        .then(() => {
          this.#filtering = false;
          this.#forward(chunk);
          this.#maybeResume();
        })
        .catch((error: unknown) => this.fail(error));
    } catch (error) {
      this.fail(error);
    }
  }

  /** Runs the stages from `index` on; a promise when one of them is async or wants a pause. */
  #applyStages(chunk: BodyChunk, index: number): Promise<void> | undefined {
    for (let i = index; i < this.#stages.length; i++) {
      const stage = this.#stages[i] as DownloadStage;
      const wait = stage.body?.(chunk);
      if (isPromise(wait) || (typeof wait === "number" && wait > 0) || chunk.more) {
        return Promise.resolve(wait)
          .then(pause)
          .then(() => this.#noteMore(chunk, i))
          .then(() => (chunk.end ? this.#applyToTrailers(stage, chunk) : undefined))
          .then(() => this.#applyStages(chunk, i + 1));
      }
      if (!chunk.end) continue;
      const trailers = this.#applyToTrailers(stage, chunk);
      if (trailers !== undefined) return trailers.then(() => this.#applyStages(chunk, i + 1));
    }
    return undefined;
  }

  /** A stage that has more to give of this piece is asked for it later: for those behind it, this is not the end. */
  #noteMore(chunk: BodyChunk, stage: number): void {
    if (!chunk.more) return;
    this.#unfinished ??= [];
    this.#unfinished.push({ stage, end: chunk.end });
    chunk.more = false;
    chunk.end = false;
  }

  /** What a stage makes of the trailers. Bytes become the end of the body, which the stages behind it see as such. */
  #applyToTrailers(stage: DownloadStage, chunk: BodyChunk): Promise<void> | undefined {
    if (stage.trailers === undefined) return undefined;
    this.#trailers ??= new HeaderMap();
    const bytes = stage.trailers(this.#trailers);
    if (isPromise(bytes)) return bytes.then((settled) => this.#takeTrailers(settled, chunk));
    this.#takeTrailers(bytes, chunk);
    return undefined;
  }

  // biome-ignore lint/suspicious/noConfusingVoidType: what a trailer filter returned
  #takeTrailers(bytes: Buffer | void, chunk: BodyChunk): void {
    if (bytes === undefined) return;
    this.#trailers = undefined;
    chunk.data = chunk.data === undefined ? bytes : Buffer.concat([chunk.data, bytes]);
  }

  #forward(chunk: BodyChunk): void {
    if (this.#settled) return;
    if (chunk.data !== undefined && chunk.data.length > 0) this.#write(chunk.data);
    if (chunk.end) this.#finish();
    else this.#to.flush();
  }

  #maybeResume(): void {
    if (this.#full || this.#filtering || this.#settled) return;
    const unfinished = this.#unfinished?.pop();
    if (unfinished !== undefined) this.#filter({ data: undefined, end: unfinished.end }, unfinished.stage, true);
    else if (!this.#ended) this.#from.resumeBody();
  }

  #pauseSource(): void {
    if (!this.#ended) this.#from.pauseBody();
  }
}

function pause(ms: unknown): Promise<void> | undefined {
  if (typeof ms !== "number" || !(ms > 0)) return undefined;
  return new Promise((resolve) => setTimeout(resolve, Math.min(ms, 2 ** 31 - 1)));
}
