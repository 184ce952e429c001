import {
  type BodySink,
  CirqueError,
  type ClientSession,
  type ClientSessionObserver,
  frameRequest,
  type HttpPeer,
  isCirqueError,
} from "@cirque/core";
import {
  CHUNKED,
  HeaderMap,
  isTrailerField,
  MalformedMessage,
  type RequestHead,
  ResponseHead,
  responseBodyLength,
  stripHopByHop,
} from "@cirque/http";
import { StreamBody } from "../exchange/stream-body.ts";
import { BodyPipe } from "../memory/body-pipe.ts";
import { OriginResponse, type TestOrigin } from "./test-origin.ts";

/** What an origin saw of a request. */
export interface OriginRequest {
  /** With what has come of its body. */
  readonly request: Request;
  /** Whether it came whole. */
  readonly complete: boolean;
  readonly peer: HttpPeer;
  /** Whether it came on a kept connection. */
  readonly reused: boolean;
  /** What came behind the body. */
  readonly trailers: HeaderMap | undefined;
}

/** One request to an origin that is a function, framed as over HTTP/1.1. */
export class MemoryClientSession implements ClientSession {
  readonly reused: boolean;
  readonly remoteAddress: string;
  readonly localAddress = "203.0.113.1:40000";
  observer: ClientSessionObserver | undefined;
  requestStarted = false;
  requestEnded = false;
  responseEnded = false;
  bodyBytesRead = 0;
  /** What the origin threw that no origin could have failed with: a mistake in the test. */
  mistake: { readonly error: unknown } | undefined;
  readonly #peer: HttpPeer;
  readonly #origin: TestOrigin;
  readonly #over = new AbortController();
  readonly #heads: ResponseHead[] = [];
  readonly #sent: Buffer[] = [];
  #head: RequestHead | undefined;
  #trailers: HeaderMap | undefined;
  #pipe: BodyPipe | undefined;
  /** Bytes of the request that a declared length still asks for; negative where none is declared. */
  #remaining = 0;
  #chunked = false;
  #asked = false;
  #keepAlive = true;
  #failure: CirqueError | undefined;
  #body: StreamBody | undefined;
  /** As {@link #remaining}, of the response. */
  #expected = 0;
  #answered = false;
  #sink: BodySink | undefined;
  #waiting: PromiseWithResolvers<ResponseHead> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(origin: TestOrigin, peer: HttpPeer, reused: boolean) {
    this.#origin = origin;
    this.#peer = peer;
    this.reused = reused;
    this.remoteAddress = peer.address;
  }

  /** Whether the connection could carry another request. */
  get reusable(): boolean {
    return this.requestEnded && this.responseEnded && this.#keepAlive && this.#failure === undefined;
  }

  /** What the origin has seen; undefined when nothing of the request was sent. */
  get seen(): OriginRequest | undefined {
    if (this.#head === undefined || !this.#asked) return undefined;
    const body = this.#sent.length > 0 ? Buffer.concat(this.#sent) : null;
    const request = this.#requestWith(body);
    if (request === undefined) return undefined;
    const { requestEnded: complete, reused } = this;
    return { request, complete, peer: this.#peer, reused, trailers: this.#trailers };
  }

  writeHead(head: RequestHead, hasBody: boolean): void {
    const { bodyLength, close } = frameRequest(head, hasBody);
    if (close) this.#keepAlive = false;
    this.#head = head.clone();
    this.#remaining = hasBody ? bodyLength : 0;
    this.#chunked = bodyLength === CHUNKED;
    if (hasBody) {
      this.#pipe = new BodyPipe(
        () => this.observer?.onWritable(),
        () => {},
      );
    } else this.end();
  }

  write(chunk: Buffer): boolean {
    if (this.#failure !== undefined || this.requestEnded || this.#pipe === undefined) return true;
    let data = chunk;
    if (this.#remaining >= 0) {
      if (data.length > this.#remaining) data = data.subarray(0, this.#remaining);
      this.#remaining -= data.length;
    }
    this.#ask();
    if (data.length === 0) return true;
    this.#sent.push(data);
    return this.#pipe.write(data);
  }

  end(trailers?: HeaderMap): void {
    if (this.#failure !== undefined || this.requestEnded || this.#head === undefined) return;
    if (this.#remaining > 0) {
      const message = "the request body is shorter than its Content-Length: a filter cut it";
      this.#fail(CirqueError.internal("WriteError", message));
      return;
    }
    this.requestEnded = true;
    if (this.#chunked && trailers !== undefined) {
      const sent = trailers.fields().filter(isTrailerField);
      if (sent.length > 0) this.#trailers = HeaderMap.adopt(sent);
    }
    this.#ask();
    this.#pipe?.end();
  }

  flush(): void {
    this.#ask();
  }

  readHead(): Promise<ResponseHead> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const head = this.#heads.shift();
    if (head !== undefined) return Promise.resolve(head);
    this.#waiting = Promise.withResolvers<ResponseHead>();
    const ms = this.#peer.options.readTimeoutMs;
    if (ms <= 2 ** 31 - 1) this.#timer = setTimeout(() => this.#fail(tooLate(this.#peer, ms)), ms);
    return this.#waiting.promise;
  }

  readBody(sink: BodySink): void {
    this.#sink = sink;
    if (this.#failure !== undefined) sink.onError(this.#failure);
    else if (this.responseEnded) sink.onEnd(undefined);
    else {
      this.#body?.readBody({
        onData: (chunk) => this.#onData(chunk),
        onEnd: (trailers) => this.#onEnd(trailers),
        onError: (error) => this.#fail(error.source === "upstream" ? error : cutShort(error)),
      });
    }
  }

  pauseBody(): void {
    this.#body?.pauseBody();
  }

  resumeBody(): void {
    this.#body?.resumeBody();
  }

  upgrade(): void {
    throw CirqueError.internal("InternalError", "the protocol cannot be changed in memory");
  }

  abort(error: CirqueError): void {
    this.#fail(error);
  }

  /** Hands the request to the origin, once its head leaves. */
  #ask(): void {
    if (this.#asked || this.#failure !== undefined || this.#head === undefined) return;
    this.#asked = this.requestStarted = true;
    void this.#answer();
  }

  async #answer(): Promise<void> {
    try {
      // An origin never answers in the turn in which it is asked.
      await Promise.resolve();
      const request = this.#requestWith(this.#pipe?.stream ?? null);
      if (request === undefined) {
        throw new TypeError(`the fetch standard has no room for ${this.#head?.method}: this origin cannot be asked`);
      }
      const response = await this.#origin(request, this.#peer);
      const trailers = response instanceof OriginResponse ? response.trailers : undefined;
      if (response instanceof OriginResponse) for (const head of response.interim) this.#deliver(head.clone());
      const head = await this.#headOf(response, trailers);
      this.#answered = true;
      this.#deliver(head);
    } catch (error) {
      if (this.#failure !== undefined) return;
      if (isCirqueError(error)) this.#fail(error);
      else {
        this.mistake = { error };
        this.#fail(cutShort(error));
      }
    }
  }

  async #headOf(response: Response, trailers: HeaderMap | undefined): Promise<ResponseHead> {
    if (response.status === 0) throw cutShort(undefined);
    const method = this.#head?.method ?? "GET";
    const head = new ResponseHead(response.status, new HeaderMap(response.headers));
    if (response.statusText !== "") head.reason = response.statusText;
    const close = head.headers.get("connection")?.toLowerCase() === "close";
    if (close) this.#keepAlive = false;
    stripHopByHop(head.headers);
    this.#body = new StreamBody(method === "HEAD" ? null : response.body, this.#over.signal, trailers);
    if (method !== "HEAD" && !head.headers.has("content-length") && !NO_BODY.has(head.status)) {
      const length = await this.#body.open();
      if (length !== undefined && trailers === undefined) head.headers.append("Content-Length", String(length));
    }
    try {
      this.#expected = responseBodyLength(head, method);
    } catch (cause) {
      if (!(cause instanceof MalformedMessage)) throw cause;
      const message = `the origin sent a malformed response: ${cause.message}`;
      throw CirqueError.upstream("InvalidHTTPHeader", message, { cause, context: { reason: cause.reason } });
    }
    return head;
  }

  #deliver(head: ResponseHead): void {
    if (this.#failure !== undefined) return;
    if (this.#waiting === undefined) {
      this.#heads.push(head);
      return;
    }
    clearTimeout(this.#timer);
    this.#waiting.resolve(head);
    this.#waiting = undefined;
  }

  #onData(chunk: Buffer): void {
    let data = chunk;
    if (this.#expected >= 0) {
      // More than was declared is no part of this response, and spoils the connection for another one.
      if (data.length > this.#expected) this.#keepAlive = false;
      data = data.subarray(0, this.#expected);
      this.#expected -= data.length;
    }
    if (data.length === 0 || this.#failure !== undefined) return;
    this.bodyBytesRead += data.length;
    this.#sink?.onData(data);
  }

  #onEnd(trailers: HeaderMap | undefined): void {
    if (this.#failure !== undefined || this.responseEnded) return;
    if (this.#expected > 0) {
      this.#fail(cutShort(undefined));
      return;
    }
    this.responseEnded = true;
    this.#sink?.onEnd(trailers);
  }

  #fail(error: CirqueError): void {
    if (this.#failure !== undefined || (this.responseEnded && this.requestEnded)) return;
    // In the middle of a response there is nothing to try again.
    if (this.#answered && error.retry === "reused-only") error.retry = false;
    this.#failure = error;
    clearTimeout(this.#timer);
    this.#waiting?.reject(error);
    this.#waiting = undefined;
    this.#pipe?.fail(error);
    const sink = this.#sink;
    this.#sink = undefined;
    if (!this.responseEnded) sink?.onError(error);
    this.#over.abort(error);
  }

  #requestWith(body: ReadableStream<Uint8Array> | Buffer | null): Request | undefined {
    const head = this.#head as RequestHead; // whoever calls this has sent it
    const host = head.headers.get("host") ?? this.#peer.address;
    const target = head.target.startsWith("/") ? head.target : "/";
    const mayHaveBody = head.method !== "GET" && head.method !== "HEAD";
    try {
      return new Request(`${this.#peer.options.tls ? "https" : "http"}://${host}${target}`, {
        method: head.method,
        headers: head.headers.toHeaders(),
        signal: this.#over.signal,
        // Both are asked for by the standard; the type of the body is not in all declarations.
        ...(body && mayHaveBody && { body, duplex: "half" }),
      } as RequestInit);
    } catch {
      return undefined;
    }
  }
}

function tooLate(peer: HttpPeer, ms: number): CirqueError {
  return CirqueError.upstream("ReadTimedout", `${peer} sent nothing for ${ms} ms`);
}

function cutShort(cause: unknown): CirqueError {
  const message = "the origin closed the connection in the middle of its response, or before it";
  const options = { retry: "reused-only" as const, ...(cause !== undefined && { cause }) };
  return CirqueError.upstream("ConnectionClosed", message, options);
}

const NO_BODY: ReadonlySet<number> = new Set([204, 304]);
