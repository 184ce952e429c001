import {
  type BodySource,
  CirqueError,
  type ClientSession,
  type HttpPeer,
  isCirqueError,
  isResponse,
  type ServerSession,
  type ServerSessionObserver,
} from "@cirque/core";
import { type RequestHead, type ResponseHead, stripHopByHop } from "@cirque/http";
import { isPromise, type MaybePromise } from "../maybe-promise.ts";
import type { HttpModuleFactory } from "../modules/http-module.ts";
import { ModuleChain } from "../modules/module-chain.ts";
import { Session } from "../session.ts";
import type { ParentRequest } from "../subrequests/subrequest.ts";
import { settledInTime } from "./callback-deadline.ts";
import { Download } from "./download.ts";
import { type DownloadStage, downloadStages } from "./download-stage.ts";
import { endWithError } from "./end-with-error.ts";
import type { ExchangeEnvironment } from "./environment.ts";
import { finalHead, firstToAnswer } from "./hedge.ts";
import { isIdempotent, mayTryAgain } from "./retry.ts";
import { RetryBuffer } from "./retry-buffer.ts";
import { sendAnswer } from "./send-answer.ts";
import { TakenBody } from "./taken-body.ts";
import { runTunnel } from "./tunnel.ts";
import { Upload } from "./upload.ts";
import { upstreamRequest } from "./upstream-request.ts";

/**
 * One exchange: a request, the attempts to have an origin answer it, and the response.
 *
 * `run` is the phase chart as code: read it from top to bottom. It awaits only what is really pending, a handful of
 * times; the bodies flow beside it, by callbacks, in `Upload` and `Download`.
 */
export class Exchange<Ctx> implements ServerSessionObserver {
  readonly environment: ExchangeEnvironment<Ctx>;
  readonly downstream: ServerSession;
  readonly session: Session;
  /** The user's state of this request; a proxy without `newCtx` has none. */
  ctx: Ctx = undefined as Ctx;
  readonly #upload: Upload | undefined;
  readonly #kept: RetryBuffer | undefined;
  #upstream: ClientSession | undefined;
  #peer: HttpPeer | undefined;
  #download: Download | undefined;
  #failure: CirqueError | undefined;
  /** Rejects what the spine waits for; made when it waits for a callback. */
  #interrupt: PromiseWithResolvers<never> | undefined;
  /** Ends the wait for a connection; made when there is one. */
  #connecting: AbortController | undefined;
  /** Whether a kept connection has failed this request: others that are as old will not do any better. */
  #wantsFresh = false;
  /** Whether the origin has changed the protocol, as it was asked to. */
  #switching = false;
  /** The method that the last attempt sent: a filter may have changed it. */
  #method = "";
  #tryTimer: NodeJS.Timeout | undefined;
  #totalTimer: NodeJS.Timeout | undefined;
  /** Ends a second attempt beside the first, while there is one. */
  hedge: AbortController | undefined;
  /** A failure that another attempt was granted for already. */
  #granted: CirqueError | undefined;

  /** The request body, where a callback has asked for it. */
  #taken: TakenBody | undefined;

  /** @param parent The request that this one is a subrequest of. */
  constructor(environment: ExchangeEnvironment<Ctx>, downstream: ServerSession, parent?: ParentRequest) {
    const { callbacks } = environment;
    this.environment = environment;
    this.downstream = downstream;
    this.session = new Session(downstream, environment.isShuttingDown, parent);
    downstream.observer = this;
    if (environment.modules !== undefined) this.session.modules = new ModuleChain(this.session, environment.modules);
    if (downstream.hasRequestBody) {
      this.#kept = new RetryBuffer(environment.retryBufferBytes);
      const filter = callbacks.requestBodyFilter;
      this.#upload = new Upload(
        downstream,
        filter && ((chunk) => this.inTime(filter.call(callbacks, this.session, chunk, this.ctx))),
        this.#kept,
        (error) => this.#fail(error),
      );
      this.session.bodyOwner = this;
    }
  }

  /**
   * Runs the exchange to its end. Never rejects.
   * @param previous What the former exchange on this connection left.
   */
  async run(previous: unknown): Promise<void> {
    const { callbacks, metrics, retry, upstreamModules } = this.environment;
    const { session, downstream } = this;
    metrics.requestsInFlight.add(1);
    let error: CirqueError | undefined;
    try {
      // The request
      session.modules?.create();
      if (callbacks.newCtx !== undefined) this.ctx = callbacks.newCtx();
      const { ctx } = this;
      if (previous !== undefined) callbacks.onConnectionReuse?.(session, ctx, previous);
      const early = callbacks.earlyRequestFilter?.(session, ctx);
      if (isPromise(early)) await this.#unlessFailed(early);
      if (callbacks.allowSubrequests?.(session, ctx) === true) session.subrequests = this.environment.subrequests;
      let answer = session.modules?.requestFilter();
      if (isPromise(answer)) answer = await this.#unlessFailed(answer);
      answer ??= callbacks.requestFilter?.(session, ctx);
      if (isPromise(answer)) answer = await this.#unlessFailed(answer);
      if (isResponse(answer)) {
        await sendAnswer(this, answer);
        return;
      }
      if (this.#upload !== undefined && this.#taken === undefined) this.#filterBody(this.#upload);
      let goOn = callbacks.proxyUpstreamFilter?.(session, ctx);
      if (isPromise(goOn)) goOn = await this.#unlessFailed(goOn);
      if (goOn === false) throw CirqueError.httpStatus(502, "the proxy decided not to ask an origin");

      // The origin: attempt after attempt, until one of them has a response head
      let response: ResponseHead | undefined;
      retry.onRequest();
      if (retry.policy.totalTimeoutMs !== undefined) this.#limitTotalTime(retry.policy.totalTimeoutMs);
      while (response === undefined) {
        const pauseMs = session.attempts === 0 ? 0 : retry.pauseMs(session.attempts);
        if (pauseMs > 0) await this.#pause(pauseMs);
        session.attempts++;
        let peer: MaybePromise<HttpPeer | Response>;
        try {
          peer = callbacks.upstreamPeer(session, ctx);
          if (isPromise(peer)) peer = await this.#unlessFailed(peer);
        } catch (cause) {
          this.#attemptFailed(undefined, cause);
          continue;
        }
        if (isResponse(peer)) {
          await sendAnswer(this, peer);
          return;
        }
        try {
          this.#throwIfFailed();
          if (!retry.allowsOrigin(peer.address)) throw leftAlone(peer);
          if (retry.policy.perTryTimeoutMs !== undefined) this.#limitTryTime(retry.policy.perTryTimeoutMs, peer);
          const kept = this.#wantsFresh ? undefined : this.environment.connector.keptSession(peer, this.#upgrade);
          const upstream = kept ?? (await this.#connect(peer));
          this.#use(upstream, peer);
          const connected = callbacks.connectedToUpstream?.(session, upstream.reused, peer, ctx);
          if (isPromise(connected)) await this.#unlessFailed(connected);
          const request = upstreamRequest(session.request, peer, downstream.upgradeRequested);
          const filtered = callbacks.upstreamRequestFilter?.(session, request, ctx);
          if (isPromise(filtered)) await this.#unlessFailed(filtered);
          this.#throwIfFailed();
          this.#send(upstream, request);
          if (retry.policy.hedge !== undefined && this.#mayHedge) {
            response = await this.#firstToAnswer(upstream, peer, retry.policy.hedge.afterMs);
          } else {
            response = await upstream.readHead();
            while (response.informational) {
              await this.#forwardInterim(response);
              response = await upstream.readHead();
            }
          }
          clearTimeout(this.#tryTimer);
          this.#judge(response);
          this.#takeHead(this.#upstream as ClientSession, response); // the one that has answered
          const passed = upstreamModules && this.#passUpstreamModules(upstreamModules, response);
          if (isPromise(passed)) await this.#unlessFailed(passed);
          const seen = callbacks.upstreamResponseFilter?.(session, response, ctx);
          if (isPromise(seen)) await this.#unlessFailed(seen);
        } catch (cause) {
          response = undefined;
          this.#attemptFailed(this.#upstream === undefined ? peer : this.#peer, cause);
        }
      }

      clearTimeout(this.#totalTimer);

      // The response
      const filtered = callbacks.responseFilter?.(session, response, ctx);
      if (isPromise(filtered)) await this.#unlessFailed(filtered);
      const passed = session.modules?.responseFilter(response);
      if (isPromise(passed)) await this.#unlessFailed(passed);
      this.#throwIfFailed();
      session.response = response;
      const upstream = this.#upstream as ClientSession; // the attempt that succeeded left it
      const switching = this.#switching && response.status === 101;
      const carried = switching
        ? runTunnel(this, upstream, response)
        : this.carryBody(upstream, response, downloadStages(this));
      if (isPromise(carried)) await carried;
    } catch (cause) {
      error = this.#failure ?? asCirqueError(cause);
      // Those of attempts that failed before have been counted.
      if (this.#upstream !== undefined) this.#countMalformed(error);
      await endWithError(this, error);
    } finally {
      clearTimeout(this.#tryTimer);
      clearTimeout(this.#totalTimer);
      const logged = this.#end(error);
      if (isPromise(logged)) await logged;
    }
  }

  /** The client can take more of the response. */
  onWritable(): void {
    this.#download?.onWritable();
  }

  /** The client has gone. */
  onAbort(error: CirqueError): void {
    this.session.clientGone(error);
    // After another failure it may be the answer to that one.
    this.#download?.fail(error);
    this.#fail(error);
  }

  /** Sends a response. A body that has come whole, as most small ones have, is gone when this returns. */
  carryBody(from: BodySource, response: ResponseHead, stages: readonly DownloadStage[]): MaybePromise<void> {
    const download = new Download(from, this.downstream, stages);
    this.#download = download;
    this.downstream.writeHead(response, false);
    from.readBody(download);
    if (download.complete) return undefined;
    this.downstream.flush();
    return download.completion();
  }

  /** The request body for a callback. */
  takeBody(): ReadableStream<Uint8Array> {
    const upload = this.#upload;
    if (upload === undefined || this.#taken !== undefined || this.session.attempts > 0) {
      throw CirqueError.internal("InvalidArgument", "the request body was read before");
    }
    this.#filterBody(upload);
    this.#taken = new TakenBody(upload, this.#kept, (error) => this.#fail(error));
    return this.#taken.stream;
  }

  /** What a callback or a module returned, unless it promises it for too long. */
  inTime<T>(result: MaybePromise<T>): MaybePromise<T> {
    return settledInTime(result, this.environment.callbackTimeoutMs);
  }

  /** Has the request body pass the modules. */
  #filterBody(upload: Upload): void {
    const filter = this.session.modules?.requestBodyFilter();
    if (filter !== undefined) upload.passFirst((chunk) => this.inTime(filter(chunk)));
  }

  /** The protocol that the client wants to change to: not every connection can. */
  get #upgrade(): string | undefined {
    return this.downstream.upgradeRequested ? this.session.request.headers.get("upgrade") : undefined;
  }

  /** A session on a new connection. A client that leaves is not waited for any longer. */
  async #connect(peer: HttpPeer): Promise<ClientSession> {
    this.#connecting = new AbortController();
    try {
      const { signal } = this.#connecting;
      return await this.environment.connector.newSession(peer, this.#wantsFresh, signal, this.#upgrade);
    } finally {
      this.#connecting = undefined;
    }
  }

  #use(upstream: ClientSession, peer: HttpPeer): void {
    this.#upstream = upstream;
    this.#peer = peer;
    this.session.upstreamSession = { session: upstream, peer, reused: upstream.reused, bodyBytes: undefined };
    if (this.#upload !== undefined) upstream.observer = this.#upload;
    this.#throwIfFailed();
  }

  #send(upstream: ClientSession, request: RequestHead): void {
    this.#method = request.method;
    this.#taken?.giveBack();
    upstream.writeHead(request, this.#upload !== undefined);
    this.#upload?.start(upstream).catch((error: unknown) => this.#fail(error));
  }

  async #forwardInterim(response: ResponseHead): Promise<void> {
    // The client asked for a 100 or does not know what to do with one (RFC 9110, 15.2.1).
    if (response.status === 100 && !this.session.request.headers.has("expect")) return;
    stripHopByHop(response.headers);
    const filtered = this.environment.callbacks.responseFilter?.(this.session, response, this.ctx);
    if (isPromise(filtered)) await this.#unlessFailed(filtered);
    this.downstream.writeInterim(response);
  }

  /** Takes out of the final head what was for the origin's connection only. */
  #takeHead(upstream: ClientSession, response: ResponseHead): void {
    this.#switching = response.status === 101;
    if (!this.#switching) {
      stripHopByHop(response.headers);
      return;
    }
    // RFC 9110, 7.8: the client must have asked for it, and nothing of the request may be outstanding.
    if (!this.downstream.upgradeRequested || !upstream.requestEnded) {
      throw CirqueError.upstream("H1Error", "the origin changed the protocol when it was not to");
    }
    const protocol = response.headers.get("upgrade");
    stripHopByHop(response.headers);
    if (protocol !== undefined) response.headers.append("Upgrade", protocol);
  }

  /** Makes the upstream modules of this attempt, and has them see the head. */
  #passUpstreamModules(factories: readonly HttpModuleFactory[], response: ResponseHead): MaybePromise<void> {
    const { session, ctx } = this;
    session.upstreamModules?.done(this.environment.logger);
    const modules = new ModuleChain(session, factories);
    session.upstreamModules = modules;
    modules.create();
    this.environment.callbacks.adjustUpstreamModules?.(session, response, ctx);
    return modules.responseFilter(response);
  }

  /** Whether a second origin may be asked beside the first: what is asked twice must do no harm, and have no body. */
  get #mayHedge(): boolean {
    return this.#upload === undefined && !this.downstream.upgradeRequested && isIdempotent(this.#method);
  }

  async #firstToAnswer(upstream: ClientSession, peer: HttpPeer, afterMs: number): Promise<ResponseHead> {
    const head = finalHead(upstream);
    const { response, from } = await firstToAnswer(this, { upstream, peer, head }, afterMs);
    if (from.upstream !== this.#upstream) this.#use(from.upstream, from.peer);
    return response;
  }

  /** Keeps account of origins, and asks another one when this one has answered with a status that is a failure. */
  #judge(response: ResponseHead): void {
    const { maxAttempts, retry } = this.environment;
    const { address } = this.#peer as HttpPeer; // it has just answered
    if (!retry.isFailure(response.status)) {
      retry.originSucceeded(address);
      return;
    }
    const message = `the origin answered ${response.status}`;
    const error = CirqueError.upstream("HTTPStatus", message, { status: response.status, retry: true });
    retry.originFailed(address, error);
    if (this.session.attempts >= maxAttempts || !mayTryAgain(error, this.#method, this.#upstream, this.#kept)) return;
    // Without another attempt, this response is what the client gets.
    if (!retry.allowsRetry()) return;
    this.#granted = error;
    throw error;
  }

  #limitTryTime(ms: number, peer: HttpPeer): void {
    clearTimeout(this.#tryTimer);
    this.#tryTimer = setTimeout(() => {
      const message = `${peer} had not answered after ${ms} ms, which is the limit for one attempt`;
      const error = CirqueError.upstream("ReadTimedout", message, { retry: true });
      this.#connecting?.abort(error);
      this.#upstream?.abort(error);
    }, ms);
  }

  #limitTotalTime(ms: number): void {
    this.#totalTimer = setTimeout(() => {
      this.#fail(CirqueError.upstream("ReadTimedout", `no origin had answered after ${ms} ms in all`));
    }, ms);
  }

  /** Waits, unless the exchange fails meanwhile. */
  async #pause(ms: number): Promise<void> {
    this.#interrupt ??= Promise.withResolvers<never>();
    let timer: NodeJS.Timeout | undefined;
    const over = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ms);
    });
    try {
      await Promise.race([over, this.#interrupt.promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Decides whether an attempt that failed is followed by another. Throws the error when it is not. */
  #attemptFailed(peer: HttpPeer | undefined, cause: unknown): void {
    this.#upload?.stop();
    const upstream = this.#upstream;
    this.#upstream = undefined;
    // A failure of the client's side, or of the proxy as a whole, ends the exchange, whatever the attempt thinks of it.
    if (this.#failure !== undefined) {
      upstream?.abort(this.#failure);
      throw this.#failure;
    }
    let error = asCirqueError(cause);
    upstream?.abort(error);
    const { callbacks, logger, metrics, maxAttempts, retry } = this.environment;
    this.#countMalformed(error);
    clearTimeout(this.#tryTimer);
    const { session, ctx } = this;
    const granted = error === this.#granted;
    if (peer !== undefined && error.source === "upstream" && !granted && error.code !== "CircuitOpen") {
      retry.originFailed(peer.address, error);
    }
    if (granted) {
      // The origin is there, and has said what it thinks of the request.
    } else if (peer !== undefined && upstream === undefined) {
      error = callbacks.failToConnect?.(session, peer, ctx, error) ?? error;
    } else if (peer !== undefined && upstream !== undefined) {
      // One that refused this request alone may be asked again.
      if (upstream.reused && error.retry === "reused-only") this.#wantsFresh = true;
      error.decideReuse(upstream.reused);
      error = callbacks.errorWhileProxy?.(peer, session, error, ctx, upstream.reused) ?? error;
    }
    if (session.attempts >= maxAttempts || !mayTryAgain(error, this.#method, upstream, this.#kept)) throw error;
    // An origin that has seen nothing of the request has no load from it.
    if (upstream?.requestStarted === true && !granted && !retry.allowsRetry()) throw error;
    metrics.retries.inc();
    if (callbacks.suppressErrorLog?.(session, ctx, error) !== true) {
      logger.warn(
        { err: error, attempt: session.attempts, peer: peer?.address },
        "an attempt failed and is followed by another",
      );
    }
  }

  #countMalformed(error: CirqueError): void {
    const { reason } = error.context;
    if (error.source === "upstream" && typeof reason === "string") this.environment.metrics.malformed(reason);
  }

  /** What a callback promises, or the failure of the exchange, whichever is first: it may promise for ever. */
  #unlessFailed<T>(pending: Promise<T>): Promise<T> {
    this.#interrupt ??= Promise.withResolvers<never>();
    if (this.#failure !== undefined) this.#interrupt.reject(this.#failure);
    return Promise.race([this.inTime(pending), this.#interrupt.promise]);
  }

  #throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Something failed beside the spine: the client left, or a body filter threw. Whatever the spine awaits rejects. */
  #fail(cause: unknown): void {
    if (this.#failure !== undefined) return;
    const error = asCirqueError(cause);
    this.#failure = error;
    this.#connecting?.abort(error);
    this.#upstream?.abort(error);
    this.hedge?.abort(error);
    this.#taken?.fail(error);
    this.#download?.fail(error);
    this.#interrupt?.reject(error);
  }

  #end(error: CirqueError | undefined): MaybePromise<void> {
    const { callbacks, connector, metrics } = this.environment;
    const { session } = this;
    session.upstreamModules?.done(this.environment.logger);
    session.modules?.done(this.environment.logger);
    session.end();
    this.#taken?.fail(error ?? CirqueError.internal("ConnectionClosed", "the request is over"));
    const facts = session.upstreamSession;
    if (facts !== undefined) facts.bodyBytes = facts.session.bodyBytesRead;
    if (this.#upstream !== undefined && this.#peer !== undefined) connector.release(this.#upstream, this.#peer);
    metrics.requestsInFlight.add(-1);
    metrics.requestEnded(session.response?.status ?? 0, session.elapsedMs / 1000);
    if (!this.downstream.responseEnded) metrics.aborted.inc();
    return callbacks.logging === undefined ? undefined : this.#log(error);
  }

  async #log(error: CirqueError | undefined): Promise<void> {
    const { callbacks, logger } = this.environment;
    try {
      await this.inTime(callbacks.logging?.(this.session, error, this.ctx));
    } catch (cause) {
      logger.error({ err: cause }, "the callback `logging` failed");
    }
  }
}

function leftAlone(peer: HttpPeer): CirqueError {
  const message = `${peer} failed again and again, and is left alone for a while`;
  return CirqueError.upstream("CircuitOpen", message, { retry: true, context: { peer: peer.address } });
}

/** What a user's callback threw, as a fault of this program. */
function asCirqueError(cause: unknown): CirqueError {
  if (isCirqueError(cause)) return cause;
  const message = cause instanceof Error ? cause.message : String(cause);
  return CirqueError.internal("InternalError", `a callback failed: ${message}`, { cause });
}
