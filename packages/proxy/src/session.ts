import {
  type AcceptedConnection,
  CirqueError,
  type ClientSession,
  type HttpPeer,
  type ServerSession,
  type TlsDigest,
  turnTime,
} from "@cirque/core";
import type { RequestHead, ResponseHead } from "@cirque/http";
import { ResponseHead as Head } from "@cirque/http";
import type { MemoryServerSession } from "./memory/memory-server-session.ts";
import type { HttpModule, HttpModuleFactory } from "./modules/http-module.ts";
import type { ModuleChain } from "./modules/module-chain.ts";
import type { ParentRequest, SubrequestOptions } from "./subrequests/subrequest.ts";
import type { Subrequests } from "./subrequests/subrequests.ts";

/** Facts on the origin's side of a request: of the last attempt. */
export interface UpstreamFacts {
  readonly peer: HttpPeer;
  /** Whether a kept connection was used. */
  readonly reused: boolean;
  /** Addresses with port. */
  readonly remoteAddress: string;
  readonly localAddress: string;
  /** Payload bytes of the response body received (PRX-08). */
  readonly bodyBytesReceived: number;
}

/** One request and what became of it: what every callback is given (PRX-06). */
export class Session {
  readonly #downstream: ServerSession;
  readonly #isShuttingDown: () => boolean;
  /** What this request is for, if it is a subrequest; undefined for a client's own (SUB-06). */
  readonly parent: ParentRequest | undefined;
  /** Internal: set by the exchange, where subrequests are allowed. */
  subrequests: Subrequests | undefined;
  /** Internal: set by the exchange of a request that has a body. */
  bodyOwner: { takeBody(): ReadableStream<Uint8Array> } | undefined;
  /** Subrequests that end with this request. */
  #attached: Set<MemoryServerSession> | undefined;
  #over = false;
  #abort: AbortController | undefined;
  #aborted: unknown;
  /** Internal: set by the exchange; the count of bytes when it is over, for the connection then serves others. */
  upstreamSession:
    | { session: ClientSession; peer: HttpPeer; reused: boolean; bodyBytes: number | undefined }
    | undefined;
  /** Internal: set by the exchange, for a proxy that has any. */
  modules: ModuleChain | undefined;
  /** Internal: those of the last attempt. */
  upstreamModules: ModuleChain | undefined;
  /** The head that the client was sent, once it was. */
  response: ResponseHead | undefined;
  /** How many attempts to ask an origin were made. */
  attempts = 0;
  /** When the request came, in milliseconds of `performance.now()`. */
  readonly startedAt: number = turnTime();

  constructor(downstream: ServerSession, isShuttingDown: () => boolean, parent?: ParentRequest) {
    this.#downstream = downstream;
    this.#isShuttingDown = isShuttingDown;
    this.parent = parent;
  }

  /** The client's request. Change it before the origin is asked, and the origin gets the change. */
  get request(): RequestHead {
    return this.#downstream.request;
  }

  /**
   * Addresses with port: `127.0.0.1:1234`, `[::1]:1234`, or `unix:`. Behind a trusted proxy that speaks the PROXY
   * protocol, they are those that it says.
   */
  get clientAddress(): string {
    return this.#downstream.clientAddress;
  }

  get serverAddress(): string {
    return this.#downstream.serverAddress;
  }

  /** What is known of the client's connection besides: its listener, and what a proxy in front said. */
  get accepted(): AcceptedConnection | undefined {
    return this.#downstream.accepted;
  }

  /** What was agreed on in TLS with the client; undefined for a plain connection. */
  get tls(): TlsDigest | undefined {
    return this.#downstream.accepted?.tls;
  }

  /** The origin's side; undefined before a connection was made. */
  get upstream(): UpstreamFacts | undefined {
    const upstream = this.upstreamSession;
    if (upstream === undefined) return undefined;
    const { session, peer, reused, bodyBytes } = upstream;
    return {
      peer,
      reused,
      remoteAddress: session.remoteAddress,
      localAddress: session.localAddress,
      bodyBytesReceived: bodyBytes ?? session.bodyBytesRead,
    };
  }

  /** Whether the request has, or had, a body. */
  get hasRequestBody(): boolean {
    return this.#downstream.hasRequestBody;
  }

  /** Payload bytes of the request body read from the client (H1S-34). */
  get bodyBytesReceived(): number {
    return this.#downstream.bodyBytesRead;
  }

  /** Payload bytes of the response body sent to the client (H1S-34). */
  get bodyBytesSent(): number {
    return this.#downstream.bodyBytesSent;
  }

  /** Milliseconds since the request came. */
  get elapsedMs(): number {
    return turnTime() - this.startedAt;
  }

  /** Whether the client's connection may carry another request. Set false to close it after this one (H1S-05). */
  get keepAlive(): boolean {
    return this.#downstream.keepAlive;
  }

  set keepAlive(keepAlive: boolean) {
    this.#downstream.keepAlive = keepAlive;
  }

  /** Whether the server is about to stop (PRX-08). */
  get shuttingDown(): boolean {
    return this.#isShuttingDown();
  }

  /** Aborts when the client leaves before the response is complete. For what a callback waits for. */
  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#aborted !== undefined) this.#abort.abort(this.#aborted);
    }
    return this.#abort.signal;
  }

  /**
   * The module that `factory` made for this request (MOD-04): to tell it, from `earlyRequestFilter` on, what this request
   * needs. An upstream module is there from `adjustUpstreamModules` on.
   *
   * @throws CirqueError `InvalidArgument` when the proxy does not have it, or not yet.
   */
  module<M extends HttpModule | undefined>(factory: HttpModuleFactory<M>): M {
    const chain = this.modules?.includes(factory) ? this.modules : this.upstreamModules;
    if (chain === undefined || !chain.includes(factory)) {
      throw CirqueError.internal(
        "InvalidArgument",
        `the module "${factory.name}" is not here: name it in \`modules\` of the proxy's options; one of \`upstreamModules\` can be asked for from \`adjustUpstreamModules\` on`,
      );
    }
    return chain.moduleOf(factory) as M; // made by this factory
  }

  /**
   * Sends a request through this proxy, from its first callback on, and resolves with the response (SUB-03). To send that to the
   * client, return it from `requestFilter` (SUB-05). It ends with this request: what is not read by then is dropped.
   *
   * @param request A path is one of the site that the client asked for.
   * @throws CirqueError `InvalidArgument` where `allowSubrequests` has not said yes, the request is over, or `request` is none;
   * `HTTPStatus` with 508 when subrequests of subrequests go too deep; `ConnectionClosed` when there is no response.
   * @example
   * const permission = await session.subrequest("/auth");
   * if (permission.status !== 200) return new Response(null, { status: 403 });
   */
  subrequest(request: Request | URL | string, options: SubrequestOptions = {}): Promise<Response> {
    if (this.#over) {
      return Promise.reject(refused("the request is over, and its subrequests with it: use `spawnSubrequest`"));
    }
    if (this.subrequests === undefined) return Promise.reject(refused(NOT_ALLOWED));
    return this.subrequests.attached(this, request, options);
  }

  /**
   * Sends a request through this proxy in the background: nobody waits for it, and its response is dropped (SUB-02). It goes on
   * when this request is over.
   *
   * @returns false when as many as may be (`subrequests.maxBackground`) are under way; then it was not sent.
   * @throws as {@link subrequest}, but for `ConnectionClosed`.
   */
  spawnSubrequest(request: Request | URL | string, options: SubrequestOptions = {}): boolean {
    if (this.subrequests === undefined) throw refused(NOT_ALLOWED);
    return this.subrequests.inTheBackground(this, request, options);
  }

  /**
   * The request body, as an origin would be sent it: behind the modules and `requestBodyFilter`. For subrequests, and for
   * callbacks that look at it as a whole. An origin can still be asked when the body fits `retryBufferBytes`, and fails
   * with 500 otherwise. Once for a request, from `requestFilter` on.
   *
   * @throws CirqueError `InvalidArgument` when there is no body, it was read before, or an origin has got it.
   */
  readRequestBody(): ReadableStream<Uint8Array> {
    if (this.bodyOwner === undefined || this.#over) throw refused("there is no request body to be read");
    return this.bodyOwner.takeBody();
  }

  /** Sends 100, so that the client sends its body before an origin says so (H1S-20). */
  writeContinue(): void {
    this.#downstream.writeInterim(new Head(100));
  }

  /** Internal: the head that the client is sent. */
  readonly noteResponse = (head: ResponseHead): void => {
    this.response = head;
  };

  /** Internal: a subrequest that ends with this request. */
  attach(subrequest: MemoryServerSession): void {
    this.#attached ??= new Set();
    this.#attached.add(subrequest);
  }

  /** Internal: a subrequest is over. */
  detach(subrequest: MemoryServerSession): void {
    this.#attached?.delete(subrequest);
  }

  /** Internal: the exchange is over. */
  end(): void {
    this.#over = true;
    if (this.#attached !== undefined) this.#endAttached(refused("the request that this one was for is over"));
  }

  /** Internal: the client has gone. */
  clientGone(reason: unknown): void {
    this.#aborted = reason;
    this.#abort?.abort(reason);
    if (this.#attached !== undefined) this.#endAttached(reason);
  }

  #endAttached(reason: unknown): void {
    for (const subrequest of this.#attached ?? []) subrequest.leave(reason);
    this.#attached = undefined;
  }
}

const NOT_ALLOWED = "subrequests are not allowed for this request: return true from `allowSubrequests`";

function refused(message: string): CirqueError {
  return CirqueError.internal("InvalidArgument", message);
}

/** Method, host and path of a request: how logs name it unless the proxy says otherwise (H1S-37, PH-38). */
export function requestSummary(session: Session): string {
  const { request } = session;
  return `${request.method} ${request.headers.get("host") ?? "-"}${request.path}`;
}
