import type { ClientHttp2Session, ClientHttp2Stream, ClientSessionRequestOptions, Settings } from "node:http2";
import { connect } from "node:http2";
import type { Socket } from "node:net";
import type { ParserLimits } from "@cirque/http";
import { formatSocketEnd } from "../address/socket-address.ts";
import { Deadline } from "../connection/deadline.ts";
import { type ConnectFacts, connectFactsOf } from "../connectors/connect-facts.ts";
import type { UnusableReason } from "../connectors/connection-pool.ts";
import type { PooledConnection, ResolvedEnd } from "../connectors/connection-source.ts";
import type { HttpPeer } from "../connectors/http-peer.ts";
import { CirqueError } from "../errors/cirque-error.ts";
import { goawayError, sessionError } from "./client-errors.ts";
import { Http2ClientSession } from "./client-session.ts";

/** How long a peer may take to answer a PING (PO-16). */
const PING_TIMEOUT_MS = 5_000;
/** How long a connection that closes may take to send what is left. */
const CLOSE_TIMEOUT_MS = 1_000;
/** Stream ids are used up at 2^31; before that, another connection takes over. */
const LAST_STREAM_ID = 2 ** 30;

/** What a connection needs to know beside its socket. */
export interface Http2ClientOptions {
  /** What a response may be at most. */
  readonly limits: ParserLimits;
  /** The peer answered something that is not HTTP/2, or asked for HTTP/1.1: its requests had better go there (H2U-05). */
  readonly onHttp1Preferred: (peer: HttpPeer) => void;
}

/**
 * An HTTP/2 connection with an origin (RFC 9113), and the streams on it: one for each request. Who owns it is told by
 * `onChange` whenever there is more or less room for requests than before.
 */
export class Http2ClientConnection implements PooledConnection {
  readonly socket: Socket;
  readonly limits: ParserLimits;
  readonly remoteAddress: string;
  readonly localAddress: string;
  /** The peer of the request that came last. */
  peer: HttpPeer;
  /** Where the name of the origin led when the connection was made. */
  resolved: ResolvedEnd | undefined;
  /** Called when streams ended, or the connection takes fewer or more of them, or none any longer. */
  onChange: (connection: Http2ClientConnection) => void = () => {};
  readonly #session: ClientHttp2Session;
  readonly #options: Http2ClientOptions;
  readonly #streams = new Set<Http2ClientSession>();
  /** Streams that were promised to somebody. */
  #reserved = 0;
  #remoteMaxStreams = 0;
  #allowsConnectProtocol = false;
  /** Whether it takes no new requests. */
  #draining = false;
  /** Whether it has yet to prove that the peer is alive. */
  #suspect = false;
  #pinging = false;
  #closing = false;
  #closed = false;
  #error: CirqueError | undefined;
  #lastStreamId: number | undefined;
  #ready: PromiseWithResolvers<void> | undefined = Promise.withResolvers<void>();
  readonly #pingDeadline = new Deadline(() => this.#onPingDue());
  readonly #idleDeadline = new Deadline(() => this.#dropIdle("idle-timeout"));
  #onUnusable: ((reason: UnusableReason) => void) | undefined;

  private constructor(socket: Socket, peer: HttpPeer, options: Http2ClientOptions) {
    this.socket = socket;
    this.peer = peer;
    this.limits = options.limits;
    this.#options = options;
    this.remoteAddress = formatSocketEnd(socket.remoteAddress, socket.remotePort);
    this.localAddress = formatSocketEnd(socket.localAddress, socket.localPort);
    // A peer that ends its side ends the connection (RFC 9113 knows no half-closed connections).
    socket.allowHalfOpen = false;
    // Before `node:http2` hears of it: it would tell each stream that it was cancelled.
    socket.on("close", () => this.#onClose());
    socket.on("error", (error) => this.broken(error));
    this.#session = connect(`${peer.scheme}://origin`, {
      createConnection: () => socket,
      settings: settingsFor(peer, options.limits),
      maxHeaderListPairs: options.limits.fields,
      maxSessionMemory: 64,
      ...WITHOUT_SINGLE_VALUE_CHECKS,
    });
    this.#session.setLocalWindowSize(peer.options.connectionWindowBytes);
    this.#session.on("remoteSettings", (settings) => this.#onSettings(settings));
    this.#session.on("goaway", (code: number, lastStreamId: number) => this.#onGoaway(code, lastStreamId));
    this.#session.on("error", (error) => this.broken(error));
  }

  /**
   * Speaks HTTP/2 over a socket. Resolves when the peer has said its settings: it does speak HTTP/2, and its limits hold
   * from the first request on.
   * @throws CirqueError, upstream: `InvalidH2` for a peer that says something else, `ConnectTimedout` for one that says
   * nothing, `ConnectionClosed`. Nothing was asked of the peer.
   */
  static async open(socket: Socket, peer: HttpPeer, options: Http2ClientOptions): Promise<Http2ClientConnection> {
    const connection = new Http2ClientConnection(socket, peer, options);
    const { connectionTimeoutMs } = peer.options;
    const late = setTimeout(
      () => {
        const message = `${peer} said nothing of HTTP/2 in ${connectionTimeoutMs} ms`;
        connection.#breakWith(CirqueError.upstream("ConnectTimedout", message, { retry: true }));
      },
      Math.min(connectionTimeoutMs, 2 ** 31 - 1),
    );
    try {
      await connection.#ready?.promise;
    } finally {
      clearTimeout(late);
    }
    return connection;
  }

  get connectFacts(): ConnectFacts | undefined {
    return connectFactsOf(this.socket);
  }

  /** How many requests are under way. */
  get openStreams(): number {
    return this.#streams.size + this.#reserved;
  }

  /** Whether another request may be sent now (H2U-02): it is checked for each. */
  get hasRoom(): boolean {
    return this.usable && !this.#suspect && this.openStreams < this.maxStreams;
  }

  /** How many requests it may carry at once: what the peer's option says, or the peer itself if that is less. */
  get maxStreams(): number {
    return Math.min(this.peer.options.maxStreams, this.#remoteMaxStreams);
  }

  /** Whether it takes requests at all. */
  get usable(): boolean {
    return !this.#draining && !this.#closed && this.#error === undefined;
  }

  /** Whether the origin takes an extended CONNECT (RFC 8441, 3): a WebSocket. */
  get allowsConnectProtocol(): boolean {
    return this.#allowsConnectProtocol;
  }

  /** Keeps room for one request, which `begin` uses. */
  reserve(): void {
    this.#reserved++;
  }

  /** Gives up what `reserve` kept. */
  cancelReservation(): void {
    this.#reserved--;
  }

  /**
   * A session for one request, on what `reserve` kept.
   * @param kept Whether the connection was there before the request.
   */
  begin(peer: HttpPeer, kept: boolean): Http2ClientSession {
    this.#reserved--;
    this.peer = peer;
    const session = new Http2ClientSession(this, peer, kept);
    this.#streams.add(session);
    return session;
  }

  /**
   * Opens the stream of a session.
   * @throws CirqueError when the connection takes none any longer: nothing of the request has left.
   */
  request(fields: string[], options: ClientSessionRequestOptions): ClientHttp2Stream {
    if (!this.usable) {
      throw CirqueError.upstream("ConnectionClosed", "the origin was about to close the connection", { retry: true });
    }
    let stream: ClientHttp2Stream;
    try {
      stream = this.#session.request(fields, options);
    } catch (cause) {
      const message = `the request cannot be sent over HTTP/2: ${cause instanceof Error ? cause.message : cause}`;
      throw CirqueError.internal("InvalidHTTPHeader", message, { cause });
    }
    if ((stream.id ?? 0) > LAST_STREAM_ID) this.drain();
    return stream;
  }

  /** The stream of a session is closed, or will never be opened. */
  streamEnded(session: Http2ClientSession): void {
    if (this.#streams.delete(session)) this.#changed();
  }

  /** The stream of a session is going to be reset. One that takes no others, and has nobody on it, is of no more use. */
  streamGivenUp(): void {
    if (this.usable || this.#reserved > 0) return;
    for (const session of this.#streams) if (!session.over) return;
    this.close();
  }

  /** A reset has not left: the peer takes nothing, or nghttp2 sends nothing any longer, as it may behind a GOAWAY. */
  resetIsStuck(): void {
    const message = "the connection to the origin took nothing any longer";
    this.#breakWith(CirqueError.upstream("ConnectionClosed", message, { retry: "reused-only" }));
  }

  /** Takes no new requests (H2U-03). Those under way go on; then the connection closes. */
  drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    this.#changed();
  }

  /** The peer wants HTTP/1.1 (H2U-05). */
  preferHttp1(): void {
    if (this.#mayUseHttp1) this.#options.onHttp1Preferred(this.peer);
    this.drain();
  }

  /** A request on it ran out of time (H2U-09): it gets no other until the peer has answered a PING. */
  suspect(): void {
    if (this.#suspect || !this.usable) return;
    this.#suspect = true;
    if (!this.#pinging) this.#ping();
    this.#changed();
  }

  /** The socket failed, or `node:http2` gave the connection up. */
  broken(error: Error): void {
    this.#breakWith(sessionError(error));
  }

  startIdle(idleTimeoutMs: number, onUnusable: (reason: UnusableReason) => void): void {
    this.#onUnusable = onUnusable;
    this.#idleDeadline.set(idleTimeoutMs);
  }

  stopIdle(): boolean {
    this.#onUnusable = undefined;
    this.#idleDeadline.clear();
    return this.hasRoom;
  }

  /** Closes it, with a GOAWAY. */
  close(): void {
    if (this.#closing || this.#closed) return;
    this.#closing = this.#draining = true;
    this.#dispose();
    this.#session.destroy();
    const late = setTimeout(() => this.socket.destroy(), CLOSE_TIMEOUT_MS);
    this.socket.once("close", () => clearTimeout(late));
  }

  get #mayUseHttp1(): boolean {
    return this.peer.http === "2-or-1";
  }

  #onSettings(settings: Settings): void {
    this.#remoteMaxStreams = settings.maxConcurrentStreams ?? Number.POSITIVE_INFINITY;
    this.#allowsConnectProtocol = settings.enableConnectProtocol === true;
    if (this.#ready === undefined) {
      this.#changed();
      return;
    }
    this.#ready.resolve();
    this.#ready = undefined;
    this.#pingDeadline.set(this.peer.options.pingIntervalMs);
  }

  /** With NO_ERROR, nghttp2 refuses the streams that the origin has not seen, and those that it has seen go on. */
  #onGoaway(code: number, lastStreamId: number): void {
    this.#lastStreamId = lastStreamId;
    if (code === 0) this.drain();
    else this.#breakWith(goawayError(code));
  }

  #onPingDue(): void {
    if (!this.#pinging) {
      this.#ping();
      return;
    }
    const message = `the origin did not answer a PING in ${PING_TIMEOUT_MS} ms`;
    this.#breakWith(CirqueError.upstream("PingTimedout", message, { retry: "reused-only" }));
  }

  #ping(): void {
    if (this.#session.destroyed) return;
    this.#pinging = true;
    this.#pingDeadline.set(PING_TIMEOUT_MS);
    this.#session.ping((error) => {
      if (error !== null || this.#closed) return;
      const wasSuspect = this.#suspect;
      this.#pinging = false;
      this.#suspect = false;
      this.#pingDeadline.set(this.peer.options.pingIntervalMs);
      if (wasSuspect) this.#changed();
    });
  }

  #breakWith(error: CirqueError): void {
    if (this.#error !== undefined || this.#closed) return;
    this.#error = error;
    if (error.code === "InvalidH2" && this.#mayUseHttp1) this.#options.onHttp1Preferred(this.peer);
    this.#failAll(error);
    this.socket.destroy();
  }

  #onClose(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#dispose();
    const error =
      this.#error ??
      CirqueError.upstream("ConnectionClosed", "the origin closed the connection", { retry: "reused-only" });
    this.#failAll(error);
    this.#dropIdle("closed");
    this.#changed();
  }

  #failAll(error: CirqueError): void {
    // A peer that speaks no HTTP/2 will speak none on another connection.
    if (this.#ready !== undefined && error.code === "InvalidH2") error.retry = this.#mayUseHttp1;
    this.#ready?.reject(error);
    this.#ready = undefined;
    for (const session of this.#streams) session.connectionLost(error, this.#lastStreamId);
  }

  #dropIdle(reason: UnusableReason): void {
    const onUnusable = this.#onUnusable;
    if (onUnusable === undefined) return;
    this.#onUnusable = undefined;
    this.close();
    onUnusable(reason);
  }

  #dispose(): void {
    this.#pingDeadline.dispose();
    this.#idleDeadline.dispose();
  }

  #changed(): void {
    if (this.#ready !== undefined) return;
    if (this.#onUnusable === undefined) this.onChange(this);
    else if (!this.usable) this.#dropIdle("closed");
  }
}

/**
 * A field that should be there once may leave twice, as over HTTP/1.1: what a message means is not for a proxy to repair.
 * (The option is not in the types of Node yet.)
 */
const WITHOUT_SINGLE_VALUE_CHECKS = { strictSingleValueFields: false };

/** What we say of ourselves (H2U-04). */
function settingsFor(peer: HttpPeer, limits: ParserLimits): Settings {
  return {
    enablePush: false,
    initialWindowSize: peer.options.streamWindowBytes,
    maxFrameSize: 64 * 1024,
    maxHeaderListSize: limits.headBytes,
  };
}
