import { constants, type ServerHttp2Stream } from "node:http2";
import { type HeaderMap, MalformedMessage, type RequestHead, type ResponseHead } from "@cirque/http";
import { turnTime } from "../connection/turn-time.ts";
import { CirqueError } from "../errors/cirque-error.ts";
import { frameInterim, frameResponse } from "../http1/outgoing-framing.ts";
import type { AcceptedConnection } from "../listeners/accepted-connection.ts";
import type { BodySink } from "../session/body.ts";
import type { ServerSession, ServerSessionObserver } from "../session/server-session.ts";
import { isForgotten, leaveUnread, resetStream } from "./close-stream.ts";
import { interimFields, type ReceivedRequest, responseFields, trailerFields, trailersOf } from "./fields.ts";
import { clientGone, resetCodeOf } from "./reset-codes.ts";
import type { Http2ServerConnection } from "./server-connection.ts";
import { asConnectResponse, asUpgradeRequest } from "./web-socket-request.ts";

/** One request on an HTTP/2 connection, and its response: a stream (RFC 9113, 8.1). */
export class Http2ServerSession implements ServerSession {
  readonly request: RequestHead;
  readonly method: string;
  readonly hasRequestBody: boolean;
  readonly upgradeRequested: boolean;
  readonly #owner: Http2ServerConnection;
  readonly #stream: ServerHttp2Stream;
  readonly #contentLength: number | undefined;
  observer: ServerSessionObserver | undefined;
  requestEnded: boolean;
  responseEnded = false;
  bodyBytesRead = 0;
  bodyBytesSent = 0;
  #keepAlive = true;
  #tunnelling = false;
  /** The response, until its fields leave. */
  #held: ResponseHead | undefined;
  /** Its first piece, likewise: when the response ends with it, they leave together. */
  #heldChunk: Buffer | undefined;
  #responseStarted = false;
  /** What the declared length leaves to be sent; negative without one. */
  #remaining = -1;
  #mayHaveBody = true;
  #sendsTrailers = false;
  #trailersToSend: HeaderMap | undefined;
  #trailers: HeaderMap | undefined;
  #sink: BodySink | undefined;
  #reading = false;
  #paused = false;
  #over = false;
  #resetByUs = false;
  #failure: CirqueError | undefined;
  #bodyStartedAt = 0;
  #lastBytesAt = 0;
  #pausedAt = 0;
  #unsentBytes = 0;
  #unsentSince = 0;

  constructor(owner: Http2ServerConnection, stream: ServerHttp2Stream, received: ReceivedRequest) {
    const { head, protocol } = received;
    this.#owner = owner;
    this.#stream = stream;
    this.request = head;
    this.#contentLength = received.contentLength;
    this.upgradeRequested = protocol !== undefined;
    if (protocol !== undefined) asUpgradeRequest(head, protocol);
    this.method = head.method;
    // The bytes of an extended CONNECT are the other protocol's: before that is granted, they are nobody's.
    this.hasRequestBody = !stream.endAfterHeaders && !this.upgradeRequested;
    this.requestEnded = !this.hasRequestBody;
    (stream as Bound)[SESSION] = this;
    stream.on("close", onClose);
    stream.on("drain", onDrain);
    if (this.hasRequestBody) stream.on("trailers", onTrailers);
  }

  get responseStarted(): boolean {
    return this.#responseStarted;
  }

  get clientAddress(): string {
    return this.#owner.clientAddress;
  }

  get serverAddress(): string {
    return this.#owner.serverAddress;
  }

  get accepted(): AcceptedConnection | undefined {
    return this.#owner.accepted;
  }

  /** Whether the connection takes more requests. Set false to let it go away, behind what is under way on it. */
  get keepAlive(): boolean {
    return this.#keepAlive && !this.#owner.draining;
  }

  set keepAlive(keepAlive: boolean) {
    this.#keepAlive = keepAlive;
  }

  /** Bytes of the body that wait to be read. */
  get unreadBytes(): number {
    return this.#stream.readableLength;
  }

  readBody(sink: BodySink): void {
    this.#sink = sink;
    this.#paused = false;
    if (this.requestEnded) {
      sink.onEnd(undefined);
      return;
    }
    if (this.#failure !== undefined) {
      sink.onError(this.#failure);
      return;
    }
    const stream = this.#stream;
    if (this.#reading) {
      stream.resume();
      return;
    }
    this.#reading = true;
    this.#bodyStartedAt = this.#lastBytesAt = turnTime();
    stream.on("data", onData);
    stream.on("end", onEnd);
  }

  pauseBody(): void {
    if (this.#paused || this.requestEnded) return;
    this.#paused = true;
    this.#pausedAt = turnTime();
    this.#stream.pause();
  }

  resumeBody(): void {
    if (!this.#paused) return;
    this.#paused = false;
    // What we held the client back for is not held against it.
    this.#bodyStartedAt += turnTime() - this.#pausedAt;
    this.#lastBytesAt = turnTime();
    this.#stream.resume();
  }

  writeInterim(head: ResponseHead): void {
    frameInterim(head);
    if (this.#responseStarted || this.#over || this.#stream.destroyed || this.#stream.closed) return;
    try {
      this.#stream.additionalHeaders(interimFields(head));
    } catch (cause) {
      throw CirqueError.internal("InvalidHTTPHeader", "the interim response cannot be sent over HTTP/2", { cause });
    }
  }

  writeHead(head: ResponseHead, end: boolean): void {
    if (this.#responseStarted) throw CirqueError.internal("InternalError", "a response head was written twice");
    if (head.status > 599) {
      throw CirqueError.internal("InvalidHTTPHeader", `status ${head.status} cannot be sent over HTTP/2`);
    }
    let declined = false;
    if (this.upgradeRequested && head.status < 300) {
      // To a client that asked for a tunnel, each 2xx says that it has one.
      head.status = 502;
      declined = true;
    }
    const { bodyLength, close } = frameResponse(head, this.method, end, false);
    if (close) this.#keepAlive = false;
    const { status } = head;
    this.#mayHaveBody = !declined && this.method !== "HEAD" && status !== 204 && status !== 205 && status !== 304;
    if (declined || status === 205) head.headers.delete("content-length");
    this.#remaining = this.#mayHaveBody ? bodyLength : 0;
    this.#held = head;
    this.#responseStarted = true;
    if (end) this.end();
    else flushAtEndOfTurn(this);
  }

  write(chunk: Buffer): boolean {
    if (this.#over || this.responseEnded || !this.#responseStarted || !this.#mayHaveBody) return true;
    let data = chunk;
    if (this.#remaining >= 0) {
      if (data.length > this.#remaining) data = data.subarray(0, this.#remaining);
      this.#remaining -= data.length;
    }
    if (data.length === 0) return true;
    this.bodyBytesSent += data.length;
    if (this.#held !== undefined && this.#heldChunk === undefined) {
      this.#heldChunk = data;
      return true;
    }
    this.flush();
    return this.#send(data);
  }

  end(trailers?: HeaderMap): void {
    if (this.#over || this.responseEnded || !this.#responseStarted) return;
    if (this.#remaining > 0) {
      this.abort();
      return;
    }
    this.responseEnded = true;
    if (trailers !== undefined && trailers.size > 0 && this.#mayHaveBody) this.#trailersToSend = trailers;
    const chunk = this.#heldChunk;
    if (this.#held !== undefined) {
      const withTrailers = this.#trailersToSend !== undefined;
      this.#respond(chunk === undefined && !withTrailers, withTrailers);
    }
    this.#heldChunk = undefined;
    if (chunk !== undefined) this.#stream.end(chunk);
    else this.#stream.end();
    this.#afterResponse();
  }

  flush(): void {
    if (this.#held === undefined || this.#over) return;
    this.#respond(!this.#mayHaveBody, this.#mayHaveBody);
    const chunk = this.#heldChunk;
    this.#heldChunk = undefined;
    if (chunk !== undefined) this.#send(chunk);
  }

  abort(error?: CirqueError): void {
    if (this.#over) return;
    this.#over = true;
    this.#sendHeadBeforeCut();
    this.#reset(resetCodeOf(error));
  }

  upgrade(head: ResponseHead): void {
    if (!this.upgradeRequested || !this.requestEnded || this.#responseStarted || head.status !== 101) {
      throw CirqueError.internal(
        "InternalError",
        "the protocol can be changed by a 101, when the client has asked for it, and no response has begun",
      );
    }
    asConnectResponse(head);
    this.#responseStarted = true;
    this.#held = head;
    this.#tunnelling = true;
    this.requestEnded = false;
    this.#respond(false, true);
  }

  /** Whether nobody works on it any more: what is left is the stream's. */
  get over(): boolean {
    return this.#over;
  }

  /** Whether its stream was reset, and that has not left yet. */
  get resetIsWaiting(): boolean {
    return this.#stream.closed && this.#stream.rstCode !== constants.NGHTTP2_NO_ERROR;
  }

  /** What has to be looked at from time to time: bodies and responses that do not move on. */
  check(now: number): void {
    this.#checkBody(now);
    this.#checkUnsent(now);
    if (isForgotten(this.#stream)) this.#stream.destroy();
  }

  #send(data: Buffer): boolean {
    this.#owner.piecesSent++;
    return this.#stream.write(data);
  }

  /**
   * Sends the fields. What cannot be sent is an error of whoever made the head: the client sees a cut, and not half.
   * @param waitForTrailers Whether the end is told in a step of its own. Node ends a stream before it resets it, with all
   * that a client needs to take half a response for the whole: but for this step, which is left out then.
   */
  #respond(endStream: boolean, waitForTrailers: boolean): void {
    const head = this.#held as ResponseHead; // whoever calls this has looked
    this.#held = undefined;
    const stream = this.#stream;
    if (stream.destroyed || stream.closed) return;
    if (waitForTrailers) {
      this.#sendsTrailers = true;
      stream.on("wantTrailers", onWantTrailers);
    }
    this.#owner.piecesSent++;
    try {
      stream.respond(responseFields(head), { endStream, waitForTrailers });
    } catch (error) {
      this.#owner.reportFailure(error);
      this.#over = true;
      this.#reset(constants.NGHTTP2_INTERNAL_ERROR);
    }
  }

  /** A response of which nothing is seen could be taken for none. */
  #sendHeadBeforeCut(): void {
    if (this.#held === undefined) return;
    this.#heldChunk = undefined;
    if (this.#mayHaveBody) this.#respond(false, true);
    else this.#held = undefined;
  }

  /** The response is written. A request that is still coming is not worth reading: RFC 9113, 8.1 has a code for that. */
  #afterResponse(): void {
    if (this.#tunnelling) return;
    if (!this.#keepAlive) this.#owner.drain();
    this.#over = true;
    this.#sink = undefined;
    if (this.#clientMaySend && !this.#sendsTrailers) leaveUnread(this.#stream);
  }

  get #clientMaySend(): boolean {
    return !this.#stream.endAfterHeaders && !this.#stream.readableEnded;
  }

  #reset(code: number): void {
    this.#resetByUs = true;
    resetStream(this.#stream, code);
  }

  #checkBody(now: number): void {
    if (!this.#reading || this.#paused || this.requestEnded || this.#tunnelling || this.#over) return;
    const { bodyTimeoutMs, minimumBodyRate } = this.#owner.options;
    const elapsed = now - this.#bodyStartedAt;
    const tooSlow = elapsed > bodyTimeoutMs && this.bodyBytesRead < (minimumBodyRate * elapsed) / 1000;
    if (tooSlow || now - this.#lastBytesAt > bodyTimeoutMs) {
      this.#refuseBody("body-timeout", 408, "the request body took too long");
    }
  }

  #checkUnsent(now: number): void {
    const unsent = this.#stream.destroyed ? 0 : this.#stream.bufferSize;
    if (unsent === 0 || unsent < this.#unsentBytes || this.#unsentBytes === 0) this.#unsentSince = now;
    this.#unsentBytes = unsent;
    if (now - this.#unsentSince <= this.#owner.options.writeTimeoutMs) return;
    const message = "the client took nothing of the response in time";
    this.#owner.reportRefusal("write-timeout", undefined, message);
    this.#fail(CirqueError.downstream("WriteTimedout", message));
    this.#reset(constants.NGHTTP2_CANCEL);
  }

  /** The sink is told, and whoever works on the request answers; nothing more of the body is read. */
  #refuseBody(reason: string, status: number, message: string, cause?: Error): void {
    this.#owner.reportRefusal(reason, this.#responseStarted ? undefined : status, message);
    const sink = this.#sink;
    this.#sink = undefined;
    this.requestEnded = true;
    this.#stream.pause();
    const options = { status, context: { reason }, ...(cause && { cause }) };
    sink?.onError(CirqueError.downstream("HTTPStatus", message, options));
  }

  #fail(error: CirqueError): void {
    if (this.#over) return;
    this.#over = true;
    this.#failure = error;
    this.#held = undefined;
    this.#heldChunk = undefined;
    const sink = this.#sink;
    this.#sink = undefined;
    if (!this.requestEnded) sink?.onError(error);
    this.observer?.onAbort(error);
  }

  /** @internal */
  onData(chunk: Buffer): void {
    this.bodyBytesRead += chunk.length;
    this.#owner.usefulBytes += chunk.length;
    this.#lastBytesAt = turnTime();
    this.#sink?.onData(chunk);
  }

  /** @internal */
  onEnd(): void {
    if (this.requestEnded || this.#over || wasResetByPeer(this.#stream)) return;
    if (this.#contentLength !== undefined && this.#contentLength !== this.bodyBytesRead && !this.#tunnelling) {
      this.#refuseBody("premature-end", 400, "the request body is not as long as its Content-Length");
      this.#reset(constants.NGHTTP2_PROTOCOL_ERROR);
      return;
    }
    const sink = this.#sink;
    this.requestEnded = true;
    sink?.onEnd(this.#trailers);
  }

  /** @internal */
  onTrailers(raw: readonly string[]): void {
    this.#owner.usefulBytes += bytesOf(raw);
    try {
      const trailers = trailersOf(raw, this.#owner.options.limits);
      if (trailers.size > 0) this.#trailers = trailers;
    } catch (error) {
      if (!(error instanceof MalformedMessage)) throw error;
      this.#owner.countMalformed();
      this.#refuseBody(error.reason, error.status, error.message, error);
      if (!this.#responseStarted) return;
      this.#over = true;
      this.#reset(constants.NGHTTP2_PROTOCOL_ERROR);
    }
  }

  /** @internal */
  onDrain(): void {
    if (!this.#over) this.observer?.onWritable();
  }

  /** @internal */
  onWantTrailers(): void {
    const stream = this.#stream;
    try {
      stream.sendTrailers(this.#trailersToSend === undefined ? {} : trailerFields(this.#trailersToSend));
    } catch (error) {
      this.#owner.reportFailure(error);
      this.#reset(constants.NGHTTP2_INTERNAL_ERROR);
      return;
    }
    // They leave at the end of the turn; the request that nobody reads any more ends behind them.
    if (this.#clientMaySend) setImmediate(leaveUnread, stream);
  }

  /** @internal */
  onClose(): void {
    const isWhole = this.#tunnelling && this.requestEnded && this.responseEnded;
    if (!isWhole) this.#fail(clientGone(this.#stream.rstCode, this.#owner.failure));
    this.#over = true;
    this.#owner.sessionClosed(this, !this.responseEnded && !this.#resetByUs);
  }
}

/** Responses whose first part waits for the end of this turn: what ends until then leaves whole. */
let unflushed: Http2ServerSession[] = [];

function flushAtEndOfTurn(session: Http2ServerSession): void {
  if (unflushed.push(session) === 1) setImmediate(flushAll);
}

function flushAll(): void {
  const sessions = unflushed;
  unflushed = [];
  for (let i = 0; i < sessions.length; i++) sessions[i]?.flush();
}

const SESSION = Symbol("session");

/** The listeners of streams are shared by all of them, and find their session here: no closures for each request. */
interface Bound extends ServerHttp2Stream {
  [SESSION]?: Http2ServerSession;
}

function sessionOf(stream: ServerHttp2Stream): Http2ServerSession {
  return (stream as Bound)[SESSION] as Http2ServerSession; // set by the constructor, before the listeners are added
}

function onData(this: ServerHttp2Stream, chunk: Buffer): void {
  sessionOf(this).onData(chunk);
}

function onEnd(this: ServerHttp2Stream): void {
  sessionOf(this).onEnd();
}

function onTrailers(this: ServerHttp2Stream, _trailers: unknown, _flags: number, raw?: readonly string[]): void {
  sessionOf(this).onTrailers(raw ?? []);
}

function onDrain(this: ServerHttp2Stream): void {
  sessionOf(this).onDrain();
}

function onWantTrailers(this: ServerHttp2Stream): void {
  sessionOf(this).onWantTrailers();
}

function onClose(this: ServerHttp2Stream): void {
  sessionOf(this).onClose();
}

/**
 * Whether the end of the body is none: Node ends a stream that was reset as well, and where the reset says NO_ERROR, as
 * if it were whole. It then destroys the stream behind the end, which is how the two can be told apart.
 */
function wasResetByPeer(stream: ServerHttp2Stream): boolean {
  return stream.aborted || (stream.closed && stream.listeners("end").includes(stream.destroy));
}

function bytesOf(raw: readonly string[]): number {
  let bytes = 0;
  for (let i = 0; i < raw.length; i++) bytes += (raw[i] as string).length;
  return bytes;
}
