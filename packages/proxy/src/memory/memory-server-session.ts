import {
  type AcceptedConnection,
  type BodySink,
  CirqueError,
  frameInterim,
  frameResponse,
  type ServerSession,
  type ServerSessionObserver,
} from "@cirque/core";
import { CHUNKED, HeaderMap, isTrailerField, type RequestHead, type ResponseHead } from "@cirque/http";
import { StreamBody } from "../exchange/stream-body.ts";
import { BodyPipe } from "./body-pipe.ts";

/** A request that comes from this program instead of a connection. */
export interface MemoryRequest {
  readonly head: RequestHead;
  /** Undefined for none. */
  readonly body: ReadableStream<Uint8Array> | undefined;
  readonly trailers?: HeaderMap | undefined;
  readonly clientAddress: string;
  readonly serverAddress: string;
  readonly accepted: AcceptedConnection | undefined;
}

/**
 * A request without a connection, and its response as a `Response`. It keeps to the framing of HTTP/1.1 as sessions over
 * the wire do: what is sent here could be sent there, and what is cut there is cut here. Protocols cannot be changed.
 */
export class MemoryServerSession implements ServerSession {
  readonly request: RequestHead;
  readonly method: string;
  readonly hasRequestBody: boolean;
  readonly upgradeRequested = false;
  readonly clientAddress: string;
  readonly serverAddress: string;
  readonly accepted: AcceptedConnection | undefined;
  /** What the client gets, once its head is written; rejects when there is none. */
  readonly response: Promise<Response>;
  /** The interim responses (1xx) that the client has got. */
  readonly interim: ResponseHead[] = [];
  /** What came behind the response body. */
  trailers: HeaderMap | undefined;
  observer: ServerSessionObserver | undefined;
  keepAlive: boolean;
  requestEnded: boolean;
  responseStarted = false;
  responseEnded = false;
  bodyBytesRead = 0;
  bodyBytesSent = 0;
  readonly #body: ReadableStream<Uint8Array> | undefined;
  readonly #requestTrailers: HeaderMap | undefined;
  readonly #declaredLength: number | undefined;
  readonly #unread = new AbortController();
  readonly #answer = Promise.withResolvers<Response>();
  #source: StreamBody | undefined;
  #sink: BodySink | undefined;
  #pipe: BodyPipe | undefined;
  /** Bytes that a declared length still asks for; `CHUNKED` or another negative number where none is declared. */
  #remaining = 0;
  #chunked = false;
  #over = false;
  #failure: CirqueError | undefined;

  constructor(request: MemoryRequest) {
    this.request = request.head;
    this.method = request.head.method;
    this.clientAddress = request.clientAddress;
    this.serverAddress = request.serverAddress;
    this.accepted = request.accepted;
    this.#body = request.body;
    this.#requestTrailers = request.trailers;
    const length = request.head.headers.get("content-length");
    if (length !== undefined) this.#declaredLength = Number(length);
    this.hasRequestBody = request.body !== undefined;
    this.requestEnded = !this.hasRequestBody;
    this.keepAlive = request.head.version !== "1.0" && !/\bclose\b/i.test(request.head.headers.get("connection") ?? "");
    this.response = this.#answer.promise;
    this.response.catch(ignore); // whoever awaits it is told
  }

  readBody(sink: BodySink): void {
    this.#sink = sink;
    if (this.requestEnded) sink.onEnd(undefined);
    else if (this.#failure !== undefined) sink.onError(this.#failure);
    else if (this.#source !== undefined) this.#source.resumeBody();
    else {
      this.#source = new StreamBody(this.#body ?? null, this.#unread.signal, this.#requestTrailers);
      this.#source.readBody({
        onData: (chunk) => this.#onData(chunk),
        onEnd: (trailers) => this.#onEnd(trailers),
        onError: (error) => this.leave(error),
      });
    }
  }

  pauseBody(): void {
    this.#source?.pauseBody();
  }

  resumeBody(): void {
    this.#source?.resumeBody();
  }

  writeInterim(head: ResponseHead): void {
    frameInterim(head);
    if (this.request.version === "1.0" || this.responseStarted || this.#over) return;
    this.interim.push(head.clone());
  }

  writeHead(head: ResponseHead, end: boolean): void {
    if (this.responseStarted) throw CirqueError.internal("InternalError", "a response head was written twice");
    const { bodyLength, close } = frameResponse(head, this.method, end, this.request.version === "1.0");
    if (head.status > 599) {
      throw CirqueError.internal("InvalidHTTPHeader", `status ${head.status} is not one of a Response: 200 to 599`);
    }
    if (head.status === 205) head.headers.delete("content-length");
    if (close) this.keepAlive = false;
    const hasBody = !end && bodyLength !== 0 && head.status !== 205;
    this.#remaining = hasBody ? bodyLength : 0;
    this.#chunked = hasBody && bodyLength === CHUNKED;
    if (hasBody && !this.#over) {
      this.#pipe = new BodyPipe(
        () => this.observer?.onWritable(),
        (reason) => this.leave(reason),
      );
    }
    const init = { status: head.status, statusText: head.reason, headers: head.headers.toHeaders() };
    const response = new Response(this.#pipe?.stream ?? null, init);
    this.responseStarted = true;
    this.#answer.resolve(response);
    if (end) this.end();
  }

  write(chunk: Buffer): boolean {
    if (this.#over || this.responseEnded || this.#pipe === undefined) return true;
    let data = chunk;
    if (this.#remaining >= 0) {
      if (data.length > this.#remaining) data = data.subarray(0, this.#remaining);
      this.#remaining -= data.length;
    }
    this.bodyBytesSent += data.length;
    return this.#pipe.write(data);
  }

  end(trailers?: HeaderMap): void {
    if (this.#over || this.responseEnded || !this.responseStarted) return;
    if (this.#remaining > 0) {
      this.abort();
      return;
    }
    this.responseEnded = true;
    if (this.#chunked && trailers !== undefined) {
      const sent = trailers.fields().filter(isTrailerField);
      if (sent.length > 0) this.trailers = HeaderMap.adopt(sent);
    }
    this.#over = true;
    this.#pipe?.end();
    // Nobody reads the rest of the request.
    if (!this.requestEnded) this.#unread.abort();
  }

  flush(): void {}

  abort(error?: CirqueError): void {
    if (this.#over) return;
    this.#over = true;
    this.keepAlive = false;
    this.#cut(error ?? CirqueError.internal("ConnectionClosed", "the response was cut"));
  }

  upgrade(): void {
    throw CirqueError.internal("InternalError", "the protocol cannot be changed in memory");
  }

  /** The client goes away, before it has the whole response. */
  leave(reason: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.keepAlive = false;
    const error = CirqueError.downstream("ConnectionClosed", "the client closed the connection", { cause: reason });
    this.#failure = error;
    const sink = this.#sink;
    this.#sink = undefined;
    if (!this.requestEnded) sink?.onError(error);
    this.observer?.onAbort(error);
    this.#cut(error);
  }

  #cut(error: CirqueError): void {
    this.#pipe?.fail(error);
    this.#answer.reject(error);
    this.#unread.abort(error);
  }

  #onData(chunk: Buffer): void {
    this.bodyBytesRead += chunk.length;
    if (this.#declaredLength !== undefined && this.bodyBytesRead > this.#declaredLength) this.#refuseBody();
    else this.#sink?.onData(chunk);
  }

  #onEnd(trailers: HeaderMap | undefined): void {
    if (this.requestEnded || this.#over) return;
    if (this.#declaredLength !== undefined && this.bodyBytesRead < this.#declaredLength) {
      this.#refuseBody();
      return;
    }
    this.requestEnded = true;
    this.#sink?.onEnd(trailers);
  }

  #refuseBody(): void {
    if (this.requestEnded) return;
    this.requestEnded = true;
    this.keepAlive = false;
    const sink = this.#sink;
    this.#sink = undefined;
    this.#unread.abort();
    const message = "the request body is not as long as its Content-Length";
    sink?.onError(CirqueError.downstream("HTTPStatus", message, { status: 400 }));
  }
}

function ignore(): void {}
