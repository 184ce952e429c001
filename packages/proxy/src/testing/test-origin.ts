import { CirqueError, type HttpPeer } from "@cirque/core";
import { type HeaderInit, HeaderMap, ResponseHead } from "@cirque/http";
import type { MaybePromise } from "../maybe-promise.ts";

/**
 * Stands for all origins: answers what the proxy sends to `peer`. Look at `request.signal` where the answer waits: it
 * aborts when the proxy gives this request up.
 *
 * An origin fails with what it throws: see {@link connectionReset}. Anything but a `CirqueError` is a mistake in the test;
 * `fetch` then rejects with it.
 */
export type TestOrigin = (request: Request, peer: HttpPeer) => MaybePromise<Response>;

/** What an origin answers with, besides what a `Response` has. */
export interface OriginResponseInit extends ResponseInit {
  /** Interim responses (1xx) that come before. */
  readonly interim?: readonly { readonly status: number; readonly headers?: HeaderInit }[];
  /** What comes behind the body. */
  readonly trailers?: HeaderInit;
}

/**
 * A `Response` with interim responses before it, or trailers behind it.
 *
 * @example
 * new OriginResponse("hi\n", { interim: [{ status: 103, headers: { link: "</a.css>" } }], trailers: { "x-sum": "1" } });
 */
export class OriginResponse extends Response {
  readonly interim: readonly ResponseHead[];
  readonly trailers: HeaderMap | undefined;

  constructor(body?: ConstructorParameters<typeof Response>[0], init: OriginResponseInit = {}) {
    const { interim = [], trailers, ...rest } = init;
    super(body, rest);
    this.interim = interim.map(({ status, headers }) => new ResponseHead(status, headers));
    this.trailers = trailers && new HeaderMap(trailers);
  }
}

/** For `connect`: nobody listens there. */
export function connectRefused(peer: HttpPeer): CirqueError {
  return connectFailure("ConnectRefused", peer, "nobody listens there");
}

/** For `connect`: the peer does not react. */
export function connectTimedout(peer: HttpPeer): CirqueError {
  return connectFailure("ConnectTimedout", peer, "it took too long");
}

/** For an origin: the connection breaks instead of an answer, or, as the error of a body's stream, in the middle of it. */
export function connectionReset(): CirqueError {
  return CirqueError.upstream("ConnectionClosed", "the connection to the origin broke", { retry: "reused-only" });
}

function connectFailure(code: "ConnectRefused" | "ConnectTimedout", peer: HttpPeer, why: string): CirqueError {
  const context = { peer: peer.address };
  return CirqueError.upstream(code, `could not connect to ${peer}: ${why}`, { retry: true, context });
}
