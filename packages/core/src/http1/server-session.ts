import {
  type HeaderMap,
  MalformedMessage,
  ParseEvent,
  type RequestHead,
  type ResponseHead,
  serializeResponseHead,
} from "@cirque/http";
import { CirqueError } from "../errors/cirque-error.ts";
import type { AcceptedConnection } from "../listeners/accepted-connection.ts";
import type { BodySink } from "../session/body.ts";
import type { ServerSession, ServerSessionObserver } from "../session/server-session.ts";
import { BodyWriter } from "./body-writer.ts";
import { keepsAlive, namesOption } from "./connection-options.ts";
import { DrainingSink } from "./draining-sink.ts";
import { frameInterim, frameResponse, removeFraming } from "./outgoing-framing.ts";
import type { Http1ServerConnection } from "./server-connection.ts";

/** One request on an HTTP/1.1 connection, and its response. */
export class Http1ServerSession implements ServerSession {
  readonly request: RequestHead;
  readonly method: string;
  readonly hasRequestBody: boolean;
  readonly upgradeRequested: boolean;
  readonly #owner: Http1ServerConnection;
  observer: ServerSessionObserver | undefined;
  keepAlive: boolean;
  requestEnded = false;
  responseEnded = false;
  bodyBytesRead = 0;
  tunnelling = false;
  #writer: BodyWriter | undefined;
  #sink: BodySink | undefined;
  #paused = false;
  #pumping = false;
  #over = false;
  #continued = false;
  /** What ended the exchange before its time. */
  #failure: CirqueError | undefined;
  #bodyStartedAt = 0;
  #pausedAt = 0;

  constructor(owner: Http1ServerConnection, request: RequestHead, mayKeepAlive: boolean) {
    this.#owner = owner;
    this.request = request;
    this.method = request.method;
    const connectionOptions = request.headers.find("connection") && request.headers.get("connection");
    this.upgradeRequested =
      connectionOptions !== undefined &&
      request.version === "1.1" &&
      namesOption(connectionOptions, "upgrade") &&
      asksForProtocol(request);
    // What comes behind such a request is meant for the other protocol: when that is not granted, for nobody.
    const otherProtocol = this.upgradeRequested || request.method === "CONNECT";
    this.keepAlive = mayKeepAlive && !otherProtocol && keepsAlive(request.version, connectionOptions);
    this.hasRequestBody = !owner.parser.atEnd;
    if (!this.hasRequestBody) {
      owner.parser.next();
      this.requestEnded = true;
    }
  }

  get responseStarted(): boolean {
    return this.#writer !== undefined;
  }

  get bodyBytesSent(): number {
    return this.#writer?.bytesSent ?? 0;
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

  readBody(sink: BodySink): void {
    this.#sink = sink;
    this.#paused = false;
    if (this.tunnelling) {
      this.#owner.connection.resume();
      const early = this.#owner.parser.takeRemainder();
      if (early.length > 0) this.onTunnelBytes(early);
      if (this.#owner.clientEnded) this.onTunnelEnd();
      return;
    }
    if (this.requestEnded) {
      sink.onEnd(undefined);
      return;
    }
    if (this.#failure !== undefined) {
      sink.onError(this.#failure);
      return;
    }
    if (this.#bodyStartedAt === 0) this.#bodyStartedAt = performance.now();
    this.#owner.connection.resume();
    this.#pump();
  }

  pauseBody(): void {
    if (this.#paused || (this.requestEnded && !this.tunnelling)) return;
    this.#paused = true;
    this.#pausedAt = performance.now();
    this.#owner.connection.pause();
    this.#owner.expectNothing();
  }

  resumeBody(): void {
    if (!this.#paused) return;
    this.#paused = false;
    // What we held the client back for is not held against it.
    this.#bodyStartedAt += performance.now() - this.#pausedAt;
    this.#owner.connection.resume();
    if (!this.tunnelling) this.#pump();
  }

  writeInterim(head: ResponseHead): void {
    frameInterim(head);
    if (this.request.version === "1.0" || this.#writer !== undefined || this.#over) return;
    if (head.status === 100) this.#continued = true;
    this.#owner.connection.write(serializeResponseHead(head));
  }

  writeHead(head: ResponseHead, end: boolean): void {
    if (this.#writer !== undefined) throw CirqueError.internal("InternalError", "a response head was written twice");
    const toHttp10 = this.request.version === "1.0";
    const framing = frameResponse(head, this.method, end, toHttp10);
    const writer = new BodyWriter(this.#owner.connection, framing.bodyLength);
    if (framing.close || writer.untilClose || this.#owner.draining || this.#awaitsContinue()) this.keepAlive = false;
    if (!this.keepAlive) framing.lines += "Connection: close\r\n";
    else if (toHttp10) framing.lines += "Connection: keep-alive\r\n";
    writer.hold(serializeResponseHead(head, framing.lines));
    this.#writer = writer;
    if (end) this.end();
  }

  write(chunk: Buffer): boolean {
    if (this.#over || this.responseEnded || this.#writer === undefined) return true;
    if (this.#writer.write(chunk)) return true;
    this.#owner.expectDrain();
    return false;
  }

  end(trailers?: HeaderMap): void {
    if (this.#over || this.responseEnded || this.#writer === undefined) return;
    if (!this.#writer.end(trailers)) {
      this.abort();
      return;
    }
    this.responseEnded = true;
    if (this.tunnelling) {
      this.#owner.connection.end();
      return;
    }
    if (this.requestEnded) this.#done();
    else this.#drainRequest();
  }

  flush(): void {
    if (!this.#over) this.#writer?.flush();
  }

  abort(): void {
    if (this.#over) return;
    this.#over = true;
    this.keepAlive = false;
    // A response of which nothing is seen could be taken for none, and some clients would send the request again.
    this.#writer?.flush();
    this.#owner.connection.flush();
    // Where the end of the connection is the end of the body, only a reset tells the client that this is not the end.
    if (this.#writer?.untilClose) this.#owner.connection.reset();
    else this.#owner.connection.destroy();
  }

  upgrade(head: ResponseHead): void {
    if (!this.upgradeRequested || !this.requestEnded || this.#writer !== undefined || head.status !== 101) {
      throw CirqueError.internal(
        "InternalError",
        "the protocol can be changed by a 101, when the client has asked for it, its request was read, and no response has begun",
      );
    }
    removeFraming(head.headers);
    const upgrade = head.headers.get("upgrade") ?? this.request.headers.get("upgrade") ?? "";
    head.headers.set("Upgrade", upgrade);
    const writer = new BodyWriter(this.#owner.connection, 0);
    writer.hold(serializeResponseHead(head, "Connection: Upgrade\r\n"));
    writer.becomeTunnel();
    this.#writer = writer;
    this.keepAlive = false;
    this.tunnelling = true;
    this.requestEnded = false;
  }

  /** The parser was given more: body, or what comes behind this request. */
  onMoreBytes(): void {
    if (!this.requestEnded && this.#sink !== undefined && !this.#paused) this.#pump();
    else this.#owner.connection.pause();
  }

  /** Bytes of the other protocol. */
  onTunnelBytes(chunk: Buffer): void {
    this.bodyBytesRead += chunk.length;
    this.#sink?.onData(chunk);
  }

  /** The client sends nothing more of the other protocol. */
  onTunnelEnd(): void {
    const sink = this.#sink;
    if (sink === undefined || this.requestEnded) return;
    this.requestEnded = true;
    sink.onEnd(undefined);
  }

  /** The client sends nothing more, and waits for the response. */
  onNothingMore(): void {
    if (this.#owner.parser.bufferedBytes === 0) this.keepAlive = false;
    if (!this.requestEnded && this.#sink !== undefined && !this.#paused) this.#pump();
  }

  /** The client sends nothing more, and is taken to have left. */
  onClientGone(): void {
    const error = CirqueError.downstream("ConnectionClosed", "the client ended the connection before the response");
    this.#fail(error);
    this.#owner.connection.destroy();
  }

  onDrain(): void {
    this.observer?.onWritable();
  }

  /** The client takes nothing of the response. */
  onWriteTimeout(): void {
    this.#fail(CirqueError.downstream("WriteTimedout", "the client took nothing of the response in time"));
  }

  onConnectionClose(cause: Error | undefined): void {
    // A tunnel that both sides have ended is complete.
    if (this.tunnelling && this.requestEnded && this.responseEnded) this.#over = true;
    const options = cause === undefined ? {} : { cause };
    this.#fail(CirqueError.downstream("ConnectionClosed", "the client closed the connection", options));
  }

  /** Nothing of the body came in time. */
  onBodyTimeout(): void {
    if (this.tunnelling || this.requestEnded) return;
    if (this.#sink instanceof DrainingSink) {
      this.#leaveUnread();
      return;
    }
    this.#refuseBody("body-timeout", 408, "the request body took too long");
  }

  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    const parser = this.#owner.parser;
    try {
      while (!this.#paused && !this.requestEnded && !this.#over) {
        const event = parser.next();
        if (event === ParseEvent.Data) {
          this.bodyBytesRead += parser.data.length;
          this.#sink?.onData(parser.data);
        } else if (event === ParseEvent.End) {
          this.requestEnded = true;
          this.#owner.expectNothing();
          this.#sink?.onEnd(parser.trailers);
          if (this.responseEnded) this.#done();
        } else {
          this.#expectBody();
          return;
        }
      }
    } catch (error) {
      if (!(error instanceof MalformedMessage)) throw error;
      this.#refuseBody(error.reason, error.status, error.message, error);
    } finally {
      this.#pumping = false;
    }
  }

  #expectBody(): void {
    // What is drained has one deadline in all.
    if (this.responseEnded) return;
    const { bodyTimeoutMs, minimumBodyRate } = this.#owner.options;
    const elapsed = performance.now() - this.#bodyStartedAt;
    if (elapsed > bodyTimeoutMs && this.bodyBytesRead < (minimumBodyRate * elapsed) / 1000) this.onBodyTimeout();
    else this.#owner.expectBody(bodyTimeoutMs);
  }

  #refuseBody(reason: string, status: number, message: string, cause?: Error): void {
    this.keepAlive = false;
    this.#owner.reportRefusal(reason, this.responseStarted ? undefined : status, message);
    const error = CirqueError.downstream("HTTPStatus", message, {
      status,
      context: { reason },
      ...(cause && { cause }),
    });
    const sink = this.#sink;
    this.#sink = undefined;
    this.requestEnded = true;
    this.#owner.expectNothing();
    sink?.onError(error);
    if (this.responseEnded) this.#done();
  }

  /** Reads and drops the rest of the request, so that the connection can be kept (H1S-28); a lot of it is not worth it. */
  #drainRequest(): void {
    const { drainBytes, drainTimeoutMs } = this.#owner.options;
    if (!this.keepAlive) {
      this.#leaveUnread();
      return;
    }
    this.#paused = false;
    this.#sink = new DrainingSink(drainBytes, () => this.#leaveUnread());
    this.#owner.expectBody(drainTimeoutMs);
    this.#owner.connection.resume();
    this.#pump();
  }

  /** The exchange is over, and the connection with it: the rest of the request is not worth reading. */
  #leaveUnread(): void {
    this.#over = true;
    this.#sink = undefined;
    this.#owner.closeGracefully();
  }

  /** Whether the client waits for a 100 that did not come: then it sends the body later, or never (RFC 9110, 10.1.1). */
  #awaitsContinue(): boolean {
    return (
      !this.requestEnded &&
      !this.#continued &&
      this.bodyBytesRead === 0 &&
      this.#owner.parser.bufferedBytes === 0 &&
      this.request.headers.find("expect") !== undefined
    );
  }

  #done(): void {
    if (this.#over) return;
    this.#over = true;
    this.#owner.sessionDone(this);
  }

  #fail(error: CirqueError): void {
    if (this.#over) return;
    this.#over = true;
    this.#failure = error;
    this.keepAlive = false;
    const sink = this.#sink;
    this.#sink = undefined;
    if (!this.requestEnded) sink?.onError(error);
    this.observer?.onAbort(error);
  }
}

/**
 * Whether the Upgrade field asks for a protocol that can be tunnelled. HTTP/2 is none: in a tunnel, its requests would go
 * past every filter, and RFC 9113, 3.1 has given this way to it up.
 */
function asksForProtocol(request: RequestHead): boolean {
  const protocols = request.headers.get("upgrade");
  return protocols !== undefined && !/(?:^|,)[ \t]*h2c?[ \t]*(?:,|$)/i.test(protocols);
}
