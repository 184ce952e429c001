import type { Logger, MetricsRegistry } from "@cirque/core";
import type { HeaderMap, RequestHead, ResponseHead } from "@cirque/http";
import type { BodyChunk } from "../body-chunk.ts";
import type { MaybePromise } from "../maybe-promise.ts";
import type { Session } from "../session.ts";

/**
 * What a module does with one request and its response (MOD-01). Each method may be left out, and then costs nothing; each
 * but `done` may be async. What one throws fails that one request, as it would in a callback of the proxy.
 *
 * A module that finds, in `requestFilter` or `responseFilter`, that a message does not concern it can take its own body
 * methods away: they are looked at when the head has passed.
 */
export interface HttpModule {
  /**
   * The request, behind `earlyRequestFilter` and before `requestFilter` (PH-07). A `Response` answers it: no module behind
   * this one, no other filter and no origin is asked.
   */
  // biome-ignore lint/suspicious/noConfusingVoidType: a filter that answers nothing returns nothing
  requestFilter?(session: Session, request: RequestHead): MaybePromise<Response | void>;
  /**
   * The request body, piece by piece, as the client sends it: once, however often an origin is asked. Set `chunk.data` to
   * change it. The last call has `chunk.end`.
   */
  requestBodyFilter?(session: Session, chunk: BodyChunk): MaybePromise<void>;
  /**
   * The head of the response, behind `responseFilter` (PH-34): an origin's, a callback's or module's answer, or that of a
   * failure. Also called for a request that another module answered before. Interim responses (1xx) pass by.
   */
  responseFilter?(session: Session, response: ResponseHead): MaybePromise<void>;
  /** The response body, piece by piece, behind `responseBodyFilter`. A number is a pause in milliseconds. */
  // biome-ignore lint/suspicious/noConfusingVoidType: a filter that wants no pause returns nothing
  responseBodyFilter?(session: Session, chunk: BodyChunk): MaybePromise<number | void>;
  /**
   * What follows the response body: once, with an empty map where no trailers came. Bytes that are returned are sent as
   * the end of the body, through the modules behind this one, instead of the trailers (PH-33).
   */
  // biome-ignore lint/suspicious/noConfusingVoidType: a filter that leaves trailers what they are returns nothing
  responseTrailerFilter?(session: Session, trailers: HeaderMap): MaybePromise<Buffer | void>;
  /** The exchange is over, well or ill: called once, before `logging`. For what has to be let go of. */
  done?(session: Session): void;
}

/**
 * Makes the module of each request (MOD-02). Name it in `modules` or `upstreamModules` of the proxy's options.
 *
 * @example
 * const names: HttpModuleFactory = {
 *   name: "request names",
 *   create: () => ({
 *     requestFilter(_session, request) {
 *       request.headers.set("x-request-id", crypto.randomUUID());
 *     },
 *   }),
 * };
 * const proxy = httpProxyService(server.configuration, callbacks, { modules: [names] });
 */
export interface HttpModuleFactory<M extends HttpModule | undefined = HttpModule | undefined> {
  /** Says what it is, in errors. Two of the same name are refused: one of them would undo what the other does. */
  readonly name: string;
  /** Those of a higher order come first, on the request and on the response; equal ones as they are listed. Default 0. */
  readonly order?: number;
  /**
   * Called when a request comes; for an upstream module, when the head of an origin's response does. May return the same
   * object each time, if that keeps no state, and undefined for a request that it leaves alone.
   */
  create(session: Session): M;
  /** Called before the first request, by a proxy that runs in a server. For what all requests share. */
  start?(context: ModuleContext): void;
  /** Called when the proxy stops, or goes on without this module. For what has to be let go of. */
  close?(): void;
}

/** What a module is told of the server. */
export interface ModuleContext {
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
}

/** What the modules of Cirque can be told besides their own options. */
export interface ModuleOptions {
  /** See {@link HttpModuleFactory.name}. Give another one to have the module twice. */
  readonly name?: string;
  /** See {@link HttpModuleFactory.order}. */
  readonly order?: number;
}
