import type { BodySink, CirqueError, ClientSession, ServerSession } from "@cirque/core";
import type { HeaderMap } from "@cirque/http";
import type { BodyChunk } from "../body-chunk.ts";
import { isPromise, type MaybePromise } from "../maybe-promise.ts";
import type { RetryBuffer } from "./retry-buffer.ts";

/** Where a request body goes. */
export type UploadTarget = Pick<ClientSession, "write" | "end" | "flush">;

/** Changes a piece of the request body. */
export type UploadFilter = (chunk: BodyChunk) => MaybePromise<void>;

/**
 * Carries the request body from the client to the origin, piece by piece, no faster than the origin takes it. What went
 * through is kept for another attempt, as long as it fits.
 */
export class Upload implements BodySink {
  readonly #from: ServerSession;
  readonly #filter: UploadFilter | undefined;
  readonly #kept: RetryBuffer | undefined;
  readonly #onError: (error: unknown) => void;
  #to: UploadTarget | undefined;
  /** What comes before all else, and once: the modules' filters. */
  #first: UploadFilter | undefined;
  /** A piece that has passed them while nobody could take it. */
  #waiting: BodyChunk | undefined;
  /** Set when they have more to give of a piece: whether that was the last one. */
  #unfinished: { readonly end: boolean } | undefined;
  /** Counts the attempts: what a filter still has in hand of an earlier one must not reach the next one's origin. */
  #attempt = 0;
  /** Reasons not to read on. */
  #filtering = false;
  #preparing = false;
  #full = false;
  #reading = false;
  /** Whether the source has ended, and whether all of it has come through the modules' filters. */
  #sourceEnded = false;
  #ended = false;
  #trailers: HeaderMap | undefined;

  constructor(
    from: ServerSession,
    filter: UploadFilter | undefined,
    kept: RetryBuffer | undefined,
    onError: (error: unknown) => void,
  ) {
    this.#from = from;
    this.#filter = filter;
    this.#kept = kept;
    this.#onError = onError;
  }

  /** Has each piece pass `filter` when it comes, before it is kept. */
  passFirst(filter: UploadFilter): void {
    this.#first = filter;
  }

  /** Begins to send the body to `to`: first what an earlier attempt has read, through the filter again (ERRP-05). */
  async start(to: UploadTarget): Promise<void> {
    const attempt = ++this.#attempt;
    this.#to = to;
    this.#full = false;
    // Until all of it is sent again nothing new may get between.
    this.#filtering = true;
    for (const chunk of this.#kept?.chunks ?? []) {
      const sent = this.#send(chunk, false);
      if (isPromise(sent)) await sent;
      if (attempt !== this.#attempt) return;
    }
    this.#filtering = false;
    if (this.#ended) {
      const sent = this.#send(undefined, true);
      if (isPromise(sent)) await sent;
    } else if (this.#waiting !== undefined) {
      const chunk = this.#waiting;
      this.#waiting = undefined;
      this.#take(chunk.data, chunk.end);
      this.#maybeResume();
    } else if (this.#reading) this.#maybeResume();
    else {
      this.#reading = true;
      this.#from.readBody(this);
    }
    to.flush();
  }

  /** The attempt failed: nothing is read from the client until `start` is called for another one. */
  stop(): void {
    this.#attempt++;
    this.#to = undefined;
    if (this.#reading) this.#pauseSource();
  }

  onData(chunk: Buffer): void {
    if (this.#first === undefined) this.#take(chunk, false);
    else this.#passFirst(this.#first, { data: chunk, end: false });
  }

  onEnd(trailers: HeaderMap | undefined): void {
    this.#trailers = trailers;
    this.#sourceEnded = true;
    if (this.#first === undefined) this.#take(undefined, true);
    else this.#passFirst(this.#first, { data: undefined, end: true });
  }

  onError(error: CirqueError): void {
    this.#onError(error);
  }

  /** The origin takes more. */
  onWritable(): void {
    this.#full = false;
    this.#maybeResume();
  }

  /** @param again Whether the filter is asked for more: then the source waits. */
  #passFirst(filter: UploadFilter, chunk: BodyChunk, again = false): void {
    const { end } = chunk;
    try {
      const passed = filter(chunk);
      if (!isPromise(passed) && !chunk.more) {
        this.#take(chunk.data, end);
        if (again) this.#maybeResume();
        return;
      }
      this.#preparing = true;
      this.#pauseSource();
      Promise.resolve(passed).then(() => {
        this.#preparing = false;
        if (chunk.more) this.#unfinished = { end };
        const last = end && !chunk.more;
        // Between two attempts, or while what was kept is sent again, nothing may overtake.
        if (this.#to === undefined || this.#filtering) this.#waiting = { data: chunk.data, end: last };
        else {
          this.#take(chunk.data, last);
          this.#to?.flush();
          this.#maybeResume();
        }
      }, this.#onError);
    } catch (error) {
      this.#onError(error);
    }
  }

  /** A piece as it is kept and sent. */
  #take(data: Buffer | undefined, end: boolean): void {
    if (end) this.#ended = true;
    if (data !== undefined) this.#kept?.keep(data);
    this.#pass(data, end);
  }

  #pass(data: Buffer | undefined, end: boolean): void {
    try {
      const sent = this.#send(data, end);
      if (!isPromise(sent)) return;
      this.#filtering = true;
      this.#pauseSource();
      const attempt = this.#attempt;
      sent.then(() => {
        if (attempt !== this.#attempt) return;
        this.#filtering = false;
        this.#maybeResume();
      }, this.#onError);
    } catch (error) {
      this.#onError(error);
    }
  }

  #send(data: Buffer | undefined, end: boolean): MaybePromise<void> {
    if (this.#filter === undefined) return this.#write(data, end);
    // What the filter writes into its piece must not be in the one that is kept for another attempt.
    const chunk: BodyChunk = { data: data && this.#kept && !this.#kept.truncated ? Buffer.from(data) : data, end };
    const filtered = this.#filter(chunk);
    const attempt = this.#attempt;
    if (isPromise(filtered)) {
      return filtered.then(() => {
        if (attempt === this.#attempt) this.#write(chunk.data, end);
      });
    }
    return this.#write(chunk.data, end);
  }

  #write(data: Buffer | undefined, end: boolean): void {
    const to = this.#to;
    if (to === undefined) return;
    if (data !== undefined && data.length > 0 && !to.write(data)) {
      this.#full = true;
      this.#pauseSource();
    }
    if (end) to.end(this.#trailers);
  }

  #maybeResume(): void {
    if (this.#full || this.#filtering || this.#preparing || this.#ended || this.#to === undefined) return;
    const unfinished = this.#unfinished;
    if (unfinished !== undefined && this.#first !== undefined) {
      this.#unfinished = undefined;
      this.#passFirst(this.#first, { data: undefined, end: unfinished.end }, true);
    } else if (!this.#sourceEnded) this.#from.resumeBody();
  }

  #pauseSource(): void {
    if (!this.#sourceEnded) this.#from.pauseBody();
  }
}
