import type { HeaderMap } from "@cirque/http";
import type { CirqueError } from "../errors/cirque-error.ts";

/**
 * Takes a body, piece by piece. Called synchronously from the reader of the connection; back-pressure goes the other
 * way, through the source's `pauseBody` and `resumeBody`.
 */
export interface BodySink {
  /** The bytes belong to the sink from here on. */
  onData(chunk: Buffer): void;
  /** The body is complete, with the trailer fields behind it, if any. The last call. */
  onEnd(trailers: HeaderMap | undefined): void;
  /** The body will never be complete. The last call. */
  onError(error: CirqueError): void;
}

/** Where a body comes from. */
export interface BodySource {
  /** Starts the flow into `sink`, or hands it over to another one. What is already there flows before this returns. */
  readBody(sink: BodySink): void;
  /** No more `onData` until `resumeBody`; the sender is slowed down. */
  pauseBody(): void;
  resumeBody(): void;
}
