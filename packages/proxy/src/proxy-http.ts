import type { CirqueError, HttpPeer } from "@cirque/core";
import type { HeaderMap, RequestHead, ResponseHead } from "@cirque/http";
import type { BodyChunk } from "./body-chunk.ts";
import type { FailToProxy } from "./fail-to-proxy.ts";
import type { MaybePromise } from "./maybe-promise.ts";
import type { Session } from "./session.ts";

/**
 * What a proxy does with requests: the one interface a user writes. Each callback but `upstreamPeer` may be left out,
 * and then costs nothing. A callback may be sync or async; a sync one costs no promise. What it throws fails that one
 * request, with status 500 unless the error says another.
 *
 * The callbacks stand in the order in which they are called. `Ctx` is the state of one request: made by `newCtx`, given
 * to every other callback, gone with the request (PRX-09).
 */
export interface ProxyHttp<Ctx = void>
  extends RequestCallbacks<Ctx>,
    PeerCallbacks<Ctx>,
    UpstreamRequestCallbacks<Ctx>,
    ResponseCallbacks<Ctx>,
    EndCallbacks<Ctx> {}

/** A request came. */
export interface RequestCallbacks<Ctx> {
  /** Makes the state of a request (PH-01). */
  newCtx?(): Ctx;
  /**
   * The connection was used before, and the former request left something with `persistConnectionContext` (PH-04).
   */
  onConnectionReuse?(session: Session, ctx: Ctx, previous: unknown): void;
  /** Before everything else (PH-05). */
  earlyRequestFilter?(session: Session, ctx: Ctx): MaybePromise<void>;
  /** Whether callbacks and modules may make subrequests for this request (PH-06). Default: they may not. */
  allowSubrequests?(session: Session, ctx: Ctx): boolean;
  /** Look at the request, change it, or answer it: a `Response` is sent, and no origin is asked (PH-08). */
  // biome-ignore lint/suspicious/noConfusingVoidType: a filter that answers nothing returns nothing
  requestFilter?(session: Session, ctx: Ctx): MaybePromise<Response | void>;
  /** Whether to ask an origin (PH-19). False means 502; to answer otherwise, return a `Response` from `upstreamPeer`. */
  proxyUpstreamFilter?(session: Session, ctx: Ctx): MaybePromise<boolean>;
}

/** Where the request goes. Called again for each attempt. */
export interface PeerCallbacks<Ctx> {
  /**
   * The origin to ask, or a `Response` if there is none (PH-20). An error with `retry: true` asks this callback again, as
   * long as attempts are left.
   */
  upstreamPeer(session: Session, ctx: Ctx): MaybePromise<HttpPeer | Response>;
  /**
   * The connection could not be made; nothing was sent (PH-21). Set `error.retry` to say whether to try again, on what
   * `upstreamPeer` says next; it is true for most failures.
   */
  failToConnect?(session: Session, peer: HttpPeer, ctx: Ctx, error: CirqueError): CirqueError;
  /** A connection is there: new, or kept from an earlier request (PH-22). */
  connectedToUpstream?(session: Session, reused: boolean, peer: HttpPeer, ctx: Ctx): MaybePromise<void>;
}

/** What the origin is sent. Called again for each attempt. */
export interface UpstreamRequestCallbacks<Ctx> {
  /** Change what the origin gets: `request` is a copy, without the fields of the client's connection (PH-23). */
  upstreamRequestFilter?(session: Session, request: RequestHead, ctx: Ctx): MaybePromise<void>;
  /**
   * Change the request body, piece by piece (PH-24). Remove `content-length` in `upstreamRequestFilter` if its length
   * changes.
   */
  requestBodyFilter?(session: Session, chunk: BodyChunk, ctx: Ctx): MaybePromise<void>;
}

/** What comes back. */
export interface ResponseCallbacks<Ctx> {
  /**
   * The origin's response head, as it came, before the upstream modules see it (PH-25): configure them here, with
   * `session.module`. Called again for each attempt.
   */
  adjustUpstreamModules?(session: Session, response: ResponseHead, ctx: Ctx): void;
  /** The origin's response head (PH-27). An error fails the attempt. Called again for each attempt. */
  upstreamResponseFilter?(session: Session, response: ResponseHead, ctx: Ctx): MaybePromise<void>;
  /**
   * The origin's response body, piece by piece (PH-28). A number is a pause in milliseconds before more is read: a way
   * to limit the rate.
   */
  // biome-ignore lint/suspicious/noConfusingVoidType: a filter that wants no pause returns nothing
  upstreamResponseBodyFilter?(session: Session, chunk: BodyChunk, ctx: Ctx): MaybePromise<number | void>;
  /** The origin's trailers (PH-29): once, with an empty map where none came. */
  upstreamResponseTrailerFilter?(session: Session, trailers: HeaderMap, ctx: Ctx): MaybePromise<void>;
  /** The head that the client gets; interim ones (1xx) too (PH-31). */
  responseFilter?(session: Session, response: ResponseHead, ctx: Ctx): MaybePromise<void>;
  /**
   * The body that the client gets, piece by piece (PH-32); a number pauses, as above. Remove `content-length` in
   * `responseFilter` if its length changes.
   */
  // biome-ignore lint/suspicious/noConfusingVoidType: a filter that wants no pause returns nothing
  responseBodyFilter?(session: Session, chunk: BodyChunk, ctx: Ctx): MaybePromise<number | void>;
  /**
   * The trailers that the client gets (PH-33): once, with an empty map where none came; what is added to it is sent, if the
   * framing of the response has a place for trailers. Bytes that are returned are sent as the end of the body instead.
   */
  // biome-ignore lint/suspicious/noConfusingVoidType: a filter that leaves trailers what they are returns nothing
  responseTrailerFilter?(session: Session, trailers: HeaderMap, ctx: Ctx): MaybePromise<Buffer | void>;
}

/** The request failed, or is over. */
export interface EndCallbacks<Ctx> {
  /**
   * An attempt failed after the connection was made (PH-35). Set `error.retry` to say whether to try again. It is only
   * tried again where that is safe: see `docs/guide/errors-and-retries.md`.
   */
  errorWhileProxy?(peer: HttpPeer, session: Session, error: CirqueError, ctx: Ctx, clientReused: boolean): CirqueError;
  /**
   * Nothing more will be tried (PH-36). Answer by a `Response`, or say which status to answer with; the default is
   * `defaultFailToProxy`. Not called for an answer when the response has begun: then it is cut.
   */
  // biome-ignore lint/suspicious/noConfusingVoidType: a callback that leaves it to the default returns nothing
  failToProxy?(session: Session, error: CirqueError, ctx: Ctx): MaybePromise<Response | FailToProxy | void>;
  /** Whether to leave the error out of the log (PH-37). */
  suppressErrorLog?(session: Session, ctx: Ctx, error: CirqueError): boolean;
  /** How log lines name the request (PH-38). Default: method, host and path. */
  requestSummary?(session: Session, ctx: Ctx): string;
  /** The request is over, well or with an error: called exactly once for each request (PH-39). */
  logging?(session: Session, error: CirqueError | undefined, ctx: Ctx): MaybePromise<void>;
  /**
   * What the next request on the same connection is given by `onConnectionReuse` (PH-40). Only called when the connection
   * may carry another one; that waits for `logging` and this.
   */
  persistConnectionContext?(session: Session, ctx: Ctx): unknown;
}
