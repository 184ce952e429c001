import { type ClientHttp2Stream, constants } from "node:http2";
import { CHUNKED, type HeaderMap, MalformedMessage, type RequestHead, type ResponseHead } from "@cirque/http";
import { Deadline } from "../connection/deadline.ts";
import type { ConnectFacts } from "../connectors/connect-facts.ts";
import type { HttpPeer } from "../connectors/http-peer.ts";
import { CirqueError } from "../errors/cirque-error.ts";
import { frameRequest } from "../http1/outgoing-framing.ts";
import type { BodySink } from "../session/body.ts";
import type { ClientSession, ClientSessionObserver } from "../session/client-session.ts";
import type { Http2ClientConnection } from "./client-connection.ts";
import { connectionFailure, type StreamFailure, streamFailure } from "./client-errors.ts";
import { bindStream, cancelSoon, endBody } from "./client-stream.ts";
import { isWebSocketUpgrade, switchedProtocols, type WebSocketUpgrade, webSocketUpgrade } from "./client-web-socket.ts";
import { requestFields, responseHeadOf, trailersOf } from "./fields.ts";

/** Interim responses taken before a final one; an origin that goes on beyond is broken. */
const MAX_INTERIM_RESPONSES = 16;

/** How long a reset may take to leave. */
const RESET_TIMEOUT_MS = 5_000;

/** One request and its response on a stream of an HTTP/2 connection (RFC 9113, 8.1). */
export class Http2ClientSession implements ClientSession {
  readonly connection: Http2ClientConnection;
  readonly reused: boolean;
  observer: ClientSessionObserver | undefined;
  requestEnded = false;
  responseEnded = false;
  bodyBytesRead = 0;
  readonly #peer: HttpPeer;
  readonly #deadline = new Deadline(() => this.#onDeadline());
  #stream: ClientHttp2Stream | undefined;
  #webSocket: WebSocketUpgrade | undefined;
  #tunnelling = false;
  #unprocessed = false;
  /** Bytes that the declared length still asks for; `CHUNKED` when none was declared. */
  #remaining = CHUNKED;
  #full = false;
  #unsentBytes = 0;
  readonly #heads: ResponseHead[] = [];
  #interim = 0;
  #answered = false;
  /** Whether the peer has said that nothing more comes. */
  #peerEnded = false;
  #endedWithHead = false;
  #trailers: HeaderMap | undefined;
  #sink: BodySink | undefined;
  #paused = false;
  /** What had come of a whole response when its connection was lost. */
  #rescued: Buffer[] | undefined;
  #error: CirqueError | undefined;
  #streamError: Error | undefined;
  #resolveHead: ((head: ResponseHead) => void) | undefined;
  #rejectHead: ((error: CirqueError) => void) | undefined;

  constructor(connection: Http2ClientConnection, peer: HttpPeer, reused: boolean) {
    this.connection = connection;
    this.#peer = peer;
    this.reused = reused;
  }

  /** Whether the peer may have acted on the request: false again when it said that it has not. */
  get requestStarted(): boolean {
    return this.#stream !== undefined && !this.#unprocessed;
  }

  /** Whether nobody works on it any longer. */
  get over(): boolean {
    return this.#error !== undefined || (this.requestEnded && this.responseEnded);
  }

  get remoteAddress(): string {
    return this.connection.remoteAddress;
  }

  get localAddress(): string {
    return this.connection.localAddress;
  }

  get connectFacts(): ConnectFacts | undefined {
    return this.connection.connectFacts;
  }

  /** @throws CirqueError when the connection takes no request any longer, or the request cannot be sent. */
  writeHead(head: RequestHead, hasBody: boolean): void {
    if (this.#error !== undefined) throw this.#error;
    const webSocket = !hasBody && isWebSocketUpgrade(head);
    if (webSocket && !this.connection.allowsConnectProtocol) {
      const message = "the origin takes no WebSocket over HTTP/2 (RFC 8441, 3)";
      throw CirqueError.upstream("H2Error", message, { context: { peer: this.#peer.address } });
    }
    const upgrade = webSocket ? webSocketUpgrade(head) : undefined;
    const { bodyLength } = frameRequest(upgrade?.head ?? head, hasBody);
    const open = webSocket || hasBody || bodyLength === CHUNKED;
    const fields = requestFields(upgrade?.head ?? head, this.#peer.scheme, upgrade && "websocket");
    this.#webSocket = upgrade;
    this.#remaining = hasBody ? bodyLength : CHUNKED;
    this.#stream = this.connection.request(fields, { endStream: !open });
    bindStream(this.#stream, this);
    if (webSocket) this.requestEnded = true;
    else if (!hasBody) this.end();
  }

  write(chunk: Buffer): boolean {
    const stream = this.#stream;
    if (this.#error !== undefined || this.requestEnded || stream === undefined || !stream.writable) return true;
    let data = chunk;
    if (this.#remaining >= 0) {
      // What is beyond the declared length would make the request malformed.
      if (data.length > this.#remaining) data = data.subarray(0, this.#remaining);
      this.#remaining -= data.length;
    }
    if (data.length === 0) return !this.#full;
    this.#full = !stream.write(data);
    if (this.#full) this.#expectDrain();
    else this.#expectBytes();
    return !this.#full;
  }

  /**
   * Trailer fields of the request are dropped, as RFC 9110, 6.5.1 allows: a stream that waits for them makes Node abort
   * the process when the origin gives the connection up at the wrong moment (an assertion in `Http2Stream::OnTrailers`).
   */
  end(): void {
    if (this.#error !== undefined || this.requestEnded || this.#stream === undefined) return;
    if (this.#remaining > 0) {
      const message = "the request body is shorter than its Content-Length: a filter cut it";
      this.#fail({ error: CirqueError.internal("WriteError", message), unprocessed: false });
      return;
    }
    this.requestEnded = true;
    endBody(this.#stream);
    this.#expectBytes();
  }

  /** The head leaves at the end of the turn in any case. */
  flush(): void {}

  readHead(): Promise<ResponseHead> {
    return new Promise((resolve, reject) => {
      const head = this.#heads.shift();
      if (head !== undefined) {
        resolve(head);
        return;
      }
      if (this.#error !== undefined) {
        reject(this.#error);
        return;
      }
      this.#resolveHead = resolve;
      this.#rejectHead = reject;
      this.#expectBytes();
    });
  }

  readBody(sink: BodySink): void {
    if (this.#error !== undefined) {
      sink.onError(this.#error);
      return;
    }
    if (this.responseEnded) {
      sink.onEnd(undefined);
      return;
    }
    this.#sink = sink;
    this.#paused = false;
    if (this.#rescued !== undefined) this.#deliverRescued();
    else {
      this.#stream?.resume();
      if (this.#endedWithHead) this.#endResponse();
      else this.#expectBytes();
    }
  }

  pauseBody(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#stream?.pause();
    if (!this.#full) this.#deadline.clear();
  }

  resumeBody(): void {
    if (!this.#paused) return;
    this.#paused = false;
    if (this.#rescued !== undefined) {
      this.#deliverRescued();
      return;
    }
    if (this.#sink !== undefined) this.#stream?.resume();
    this.#expectBytes();
  }

  upgrade(): void {
    this.#tunnelling = true;
    this.requestEnded = false;
    this.#deadline.clear();
  }

  abort(error: CirqueError): void {
    this.#fail({ error, unprocessed: this.#unprocessed });
  }

  /** The exchange is over: what is left of it on the stream is given up. */
  release(): void {
    this.observer = undefined;
    // What the origin did not wait for may still be on its way to it.
    if (this.responseEnded && this.requestEnded && this.#stream?.writableFinished === true) {
      this.#deadline.dispose();
      return;
    }
    this.abort(CirqueError.internal("ConnectionClosed", "the exchange is over"));
  }

  /** The connection is lost. What the peer had sent whole by then is good. */
  connectionLost(cause: CirqueError, lastStreamId: number | undefined): void {
    if (this.responseEnded || this.#error !== undefined) return;
    if (this.#peerEnded && this.#answered && !this.#tunnelling) this.#rescue();
    else this.#fail(connectionFailure(cause, this.#stream?.id, lastStreamId));
  }

  /** An interim head, or the final one. */
  onHead(raw: readonly string[], flags: number): void {
    if (this.#error !== undefined) return;
    this.#endedWithHead = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    let head: ResponseHead;
    try {
      head = responseHeadOf(raw, this.connection.limits);
    } catch (error) {
      this.#failMalformed(error);
      return;
    }
    // RFC 9113, 8.6: HTTP/2 has no 101.
    if (head.status === 101) {
      const message = "the origin sent 101, which HTTP/2 does not have (RFC 9113, 8.6)";
      this.#fail({ error: CirqueError.upstream("H2Error", message), unprocessed: false });
    } else if (head.informational && ++this.#interim > MAX_INTERIM_RESPONSES) {
      const message = `the origin sent more than ${MAX_INTERIM_RESPONSES} interim responses`;
      this.#fail({ error: CirqueError.upstream("H2Error", message), unprocessed: false });
    } else this.#takeHead(head);
  }

  onTrailers(raw: readonly string[]): void {
    try {
      this.#trailers = trailersOf(raw, this.connection.limits);
    } catch (error) {
      this.#failMalformed(error);
    }
  }

  onData(chunk: Buffer): void {
    if (this.#rescued !== undefined) {
      this.#rescued.push(chunk);
      return;
    }
    if (this.#error !== undefined || this.responseEnded) return;
    this.bodyBytesRead += chunk.length;
    this.#expectBytes();
    this.#sink?.onData(chunk);
  }

  /** The peer has ended the stream in good order: END_STREAM has come. */
  onPeerEnded(): void {
    this.#peerEnded = true;
  }

  /** All that had come was read. */
  onEnd(): void {
    if (!this.#peerEnded || this.#rescued !== undefined) return;
    this.#endResponse();
  }

  onDrain(): void {
    this.#full = false;
    this.#deadline.clear();
    this.#expectBytes();
    this.observer?.onWritable();
  }

  onStreamError(error: NodeJS.ErrnoException): void {
    this.#streamError = error;
    // nghttp2 gives up the connection, and each stream hears of it first.
    if (error.code === "ERR_HTTP2_ERROR") this.connection.broken(error);
  }

  onStreamClosed(code: number): void {
    this.#deadline.dispose();
    if (!this.responseEnded && this.#error === undefined && this.#rescued === undefined) {
      const mayUseHttp1 = this.#peer.http === "2-or-1";
      if (code === constants.NGHTTP2_HTTP_1_1_REQUIRED) this.connection.preferHttp1();
      this.#fail(streamFailure(code, mayUseHttp1, this.#streamError));
    }
    this.connection.streamEnded(this);
  }

  #takeHead(head: ResponseHead): void {
    let taken = head;
    if (!head.informational) {
      this.#answered = true;
      if (!this.#full) this.#deadline.clear();
      // RFC 8441, 5: a 200 opens what a 101 opens in HTTP/1.1.
      if (this.#webSocket !== undefined && head.status < 300 && !this.#peerEnded) {
        taken = switchedProtocols(head, this.#webSocket);
      }
    }
    const resolve = this.#resolveHead;
    this.#resolveHead = this.#rejectHead = undefined;
    if (resolve === undefined) this.#heads.push(taken);
    else resolve(taken);
  }

  #failMalformed(error: unknown): void {
    if (!(error instanceof MalformedMessage)) throw error;
    const message = `the origin sent a malformed response: ${error.message}`;
    const context = { reason: error.reason };
    this.#fail({
      error: CirqueError.upstream("InvalidHTTPHeader", message, { cause: error, context }),
      unprocessed: false,
    });
  }

  /** Waits for more of the response, unless it is held back or over. */
  #expectBytes(): void {
    if (this.#tunnelling || this.#paused || this.#full || this.responseEnded) return;
    this.#deadline.set(this.#peer.options.readTimeoutMs);
  }

  /** Waits for the origin to take what was written. */
  #expectDrain(): void {
    this.#unsentBytes = this.#stream?.bufferSize ?? 0;
    this.#deadline.set(this.#peer.options.writeTimeoutMs);
  }

  #onDeadline(): void {
    if (this.#error !== undefined) {
      this.connection.resetIsStuck();
      return;
    }
    const unsent = this.#stream?.bufferSize ?? 0;
    if (this.#full && unsent < this.#unsentBytes) {
      this.#expectDrain();
      return;
    }
    this.connection.suspect();
    const error = this.#full
      ? CirqueError.upstream("WriteTimedout", "the origin took nothing of the request in time")
      : CirqueError.upstream("ReadTimedout", "the origin sent nothing in time");
    this.#fail({ error, unprocessed: false });
  }

  /** Takes what is left from the stream before its connection takes it along. */
  #rescue(): void {
    this.#rescued = [];
    const stream = this.#stream;
    // Each piece comes by `onData`.
    while (stream !== undefined && stream.read() !== null);
    if (this.#sink !== undefined && !this.#paused) this.#deliverRescued();
  }

  #deliverRescued(): void {
    const chunks = this.#rescued;
    while (chunks !== undefined && chunks.length > 0) {
      if (this.#paused) return;
      const chunk = chunks.shift() as Buffer; // it is not empty
      this.bodyBytesRead += chunk.length;
      this.#sink?.onData(chunk);
    }
    if (this.#error === undefined && !this.#paused) this.#endResponse();
  }

  #endResponse(): void {
    if (this.responseEnded || this.#error !== undefined) return;
    this.responseEnded = true;
    this.#deadline.clear();
    const sink = this.#sink;
    this.#sink = undefined;
    sink?.onEnd(this.#trailers);
  }

  #fail({ error, unprocessed }: StreamFailure): void {
    if (this.#error !== undefined) return;
    this.#error = error;
    this.#unprocessed = unprocessed;
    const reject = this.#rejectHead;
    const sink = this.#sink;
    this.#resolveHead = this.#rejectHead = this.#sink = undefined;
    if (this.#stream === undefined || this.#stream.destroyed) {
      this.#deadline.dispose();
      this.connection.streamEnded(this);
    } else {
      this.#deadline.set(RESET_TIMEOUT_MS);
      cancelSoon(this.#stream);
      this.connection.streamGivenUp();
    }
    reject?.(error);
    if (!this.responseEnded) sink?.onError(error);
  }
}
