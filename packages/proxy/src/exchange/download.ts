import { type BodySink, CirqueError, type ClientSession, type ServerSession } from "@cirque/core";
import type { HeaderMap } from "@cirque/http";
import type { BodyChunk } from "../body-chunk.ts";
import { isPromise, type MaybePromise } from "../maybe-promise.ts";

/** Changes a piece of the response body; a number is a pause in milliseconds. */
// biome-ignore lint/suspicious/noConfusingVoidType: a filter that wants no pause returns nothing
export type DownloadFilter = (chunk: BodyChunk) => MaybePromise<number | void>;

/**
 * Carries the response body from the origin to the client, piece by piece, no faster than the client takes it. Without
 * filters, a piece goes from the reader of one connection to the writer of the other in one call.
 */
export class Download implements BodySink {
  readonly #from: ClientSession;
  readonly #to: ServerSession;
  readonly #filters: readonly DownloadFilter[];
  #filtering = false;
  #full = false;
  #settled = false;
  #error: unknown;
  #resolve: (() => void) | undefined;
  #reject: ((error: unknown) => void) | undefined;

  constructor(from: ClientSession, to: ServerSession, filters: readonly DownloadFilter[]) {
    this.#from = from;
    this.#to = to;
    this.#filters = filters;
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
    if (this.#filters.length > 0) this.#filter(chunk, undefined, false);
    else this.#write(chunk);
  }

  onEnd(trailers: HeaderMap | undefined): void {
    if (this.#settled) return;
    if (this.#filters.length > 0) this.#filter(undefined, trailers, true);
    else this.#finish(trailers);
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
    this.#from.pauseBody();
  }

  #finish(trailers: HeaderMap | undefined): void {
    if (this.#settled) return;
    this.#to.end(trailers);
    if (!this.#to.responseEnded) {
      this.fail(
        CirqueError.internal("WriteError", "the response body is shorter than its Content-Length: a filter cut it"),
      );
      return;
    }
    this.#settled = true;
    this.#resolve?.();
  }

  #filter(data: Buffer | undefined, trailers: HeaderMap | undefined, end: boolean): void {
    const chunk: BodyChunk = { data, end };
    try {
      const wait = this.#applyFilters(chunk, 0);
      if (wait === undefined) {
        this.#forward(chunk, trailers);
        return;
      }
      this.#filtering = true;
      if (!end) this.#from.pauseBody();
      wait
        .then(() => {
          this.#filtering = false;
          this.#forward(chunk, trailers);
          this.#maybeResume();
        })
        .catch((error: unknown) => this.fail(error));
    } catch (error) {
      this.fail(error);
    }
  }

  /** Runs the filters from `index` on; a promise when one of them is async or wants a pause. */
  #applyFilters(chunk: BodyChunk, index: number): Promise<void> | undefined {
    for (let i = index; i < this.#filters.length; i++) {
      const result = this.#filters[i]?.(chunk);
      if (isPromise(result))
        return result.then(async (ms) => {
          await pause(ms);
          await this.#applyFilters(chunk, i + 1);
        });
      if (typeof result === "number" && result > 0) {
        return pause(result).then(() => this.#applyFilters(chunk, i + 1));
      }
    }
    return undefined;
  }

  #forward(chunk: BodyChunk, trailers: HeaderMap | undefined): void {
    if (this.#settled) return;
    if (chunk.data !== undefined && chunk.data.length > 0) this.#write(chunk.data);
    if (chunk.end) this.#finish(trailers);
    else this.#to.flush();
  }

  #maybeResume(): void {
    if (!this.#full && !this.#filtering && !this.#settled) this.#from.resumeBody();
  }
}

function pause(ms: unknown): Promise<void> {
  if (typeof ms !== "number" || !(ms > 0)) return Promise.resolve();
  return new Promise((resolve) => setTimeout(resolve, Math.min(ms, 2 ** 31 - 1)));
}
