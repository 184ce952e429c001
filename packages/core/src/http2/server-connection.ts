import { constants, performServerHandshake, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { httpDate, MalformedMessage } from "@cirque/http";
import { formatSocketEnd } from "../address/socket-address.ts";
import { turnTime } from "../connection/turn-time.ts";
import { CirqueError } from "../errors/cirque-error.ts";
import type { Refusal } from "../http1/server-connection.ts";
import type { AcceptedConnection } from "../listeners/accepted-connection.ts";
import type { ServerSession } from "../session/server-session.ts";
import { leaveUnread, resetStream } from "./close-stream.ts";
import { type ReceivedRequest, requestHeadOf } from "./fields.ts";
import { nativeServerOptions } from "./native-options.ts";
import type { ResolvedHttp2ServerOptions } from "./server-options.ts";
import { Http2ServerSession } from "./server-session.ts";
import { sessionErrorReason } from "./session-error-reason.ts";
import { StreamBudgets } from "./stream-budgets.ts";

/** What the owner of HTTP/2 connections is told. */
export interface Http2ServerHandler {
  /** A request came: answer it through the session. Must not throw. */
  onRequest(session: ServerSession, connection: object): void;
  onRefusal(refusal: Refusal): void;
  /** Something failed that costs one request, or one connection, and nothing else. */
  onFailure(error: unknown): void;
  /** The connection is gone. */
  onConnectionClose(connection: Http2ServerConnection): void;
}

/**
 * One HTTP/2 connection with a client (RFC 9113) over a session of `node:http2`: makes a server session of each stream,
 * and closes, or refuses by itself, what is malformed, late, idle or an abuse.
 */
export class Http2ServerConnection {
  readonly options: ResolvedHttp2ServerOptions;
  /** What is known of the connection besides its bytes: addresses said by proxies in front, facts of TLS. */
  readonly accepted: AcceptedConnection | undefined;
  readonly clientAddress: string;
  readonly serverAddress: string;
  /** Bytes received that were requests or their bodies. */
  usefulBytes = 0;
  /** How often something was sent. */
  piecesSent = 0;
  /** What broke the connection, if it broke. */
  failure: Error | undefined;
  readonly #handler: Http2ServerHandler;
  readonly #socket: Socket;
  readonly #session: ServerHttp2Session;
  readonly #sessions = new Set<Http2ServerSession>();
  readonly #budgets: StreamBudgets;
  readonly #establishedAt = turnTime();
  #idleSince = turnTime();
  /** Streams that wait for the turn in which their requests begin. */
  #arriving = 0;
  #requests = 0;
  #lastStreamId = 0;
  #unfinishedHeadSince: number | undefined;
  #hasSettings = false;
  #draining = false;
  #refused = false;
  #bytesMoved = 0;
  #movedAt = 0;
  #timer: NodeJS.Timeout;

  /**
   * @param socket Nothing listens to it, and what was read from it was given back (`unshift`).
   * @param accepted What is known of the connection; without it, only what its socket tells.
   */
  constructor(
    socket: Socket,
    options: ResolvedHttp2ServerOptions,
    handler: Http2ServerHandler,
    accepted?: AcceptedConnection,
  ) {
    this.options = options;
    this.accepted = accepted;
    this.clientAddress = accepted?.clientAddress ?? formatSocketEnd(socket.remoteAddress, socket.remotePort);
    this.serverAddress = accepted?.serverAddress ?? formatSocketEnd(socket.localAddress, socket.localPort);
    this.#handler = handler;
    this.#socket = socket;
    this.#budgets = new StreamBudgets(options);
    const session = performServerHandshake(socket, nativeServerOptions(options));
    this.#session = session;
    session.on("stream", (stream, _headers, _flags, raw: readonly string[]) => this.#onStream(stream, raw));
    session.on("error", (error) => this.#onError(error));
    session.on("close", () => this.#onClose());
    // One that sends nothing more can neither open windows nor be told to go: it has left. Node would wait for more.
    socket.once("end", () => session.destroy());
    session.once("remoteSettings", () => {
      this.#hasSettings = true;
    });
    session.setLocalWindowSize(Math.max(options.connectionWindowBytes, PROTOCOL_WINDOW_BYTES));
    this.#timer = setTimeout(check, this.#checkEveryMs, this);
  }

  /** Whether the connection goes away, behind what is under way on it. */
  get draining(): boolean {
    return this.#draining;
  }

  /**
   * Goes away (H2S-06; RFC 9113, 6.8): GOAWAY names the last request that was taken, those are answered, and the connection
   * closes behind the last of them. What the client had on its way is not taken, which it knows by the GOAWAY: it may send
   * that again. (A first GOAWAY that only warns is not in Node's reach: behind any GOAWAY, nghttp2 takes nothing more.)
   */
  drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    if (this.#isIdle) this.#idleSince = turnTime();
    if (!this.#session.destroyed) this.#session.close();
    this.#checkSoon();
  }

  /** Closes at once, whatever is under way. */
  destroy(): void {
    this.#session.destroy();
    this.#socket.destroy();
  }

  /** Tells the owner why a request, or the client, was refused. */
  reportRefusal(reason: string, status: number | undefined, message: string): void {
    this.#handler.onRefusal({ reason, status, message, clientAddress: this.clientAddress });
  }

  reportFailure(error: unknown): void {
    this.#handler.onFailure(error);
  }

  /** A request was malformed; a connection has a budget of them. */
  countMalformed(): void {
    if (this.#budgets.malformed()) this.#refuse("too-many-malformed-requests", "more malformed requests than may come");
  }

  /** The stream of a session is closed. */
  sessionClosed(session: Http2ServerSession, reset: boolean): void {
    if (!this.#sessions.delete(session)) return;
    // What was in flight of its body was dropped unseen.
    if (!session.requestEnded) this.usefulBytes += this.options.streamWindowBytes;
    if (reset) this.#countReset();
    else this.#budgets.answered();
    if (this.#sessions.size === 0) this.#idleSince = turnTime();
  }

  /** Looks at what has to move on, now and then. */
  check(): void {
    const now = performance.now();
    const session = this.#session;
    this.#timer = setTimeout(check, this.#isQuiet ? this.#checkEveryMs * QUIET_FACTOR : this.#checkEveryMs, this);
    if (session.destroyed) return;
    for (const one of this.#sessions) one.check(now);
    if (this.#isDead(now)) {
      this.destroy();
      return;
    }
    if (session.closed) return;
    if (!this.#hasSettings && now - this.#establishedAt > this.options.handshakeTimeoutMs) {
      this.#refuse("handshake-timeout", "the client sent no settings in time", constants.NGHTTP2_SETTINGS_TIMEOUT);
    } else if (this.#isFlood()) {
      this.#refuse("control-flood", "the client sends little but frames of control");
    } else if (!this.#checkHead(now) && this.#isIdle && now - this.#idleSince >= this.options.idleTimeoutMs) {
      this.drain();
    }
  }

  get #isIdle(): boolean {
    return this.#sessions.size === 0 && this.#arriving === 0;
  }

  get #isQuiet(): boolean {
    return this.#isIdle && this.#hasSettings && this.#unfinishedHeadSince === undefined && !this.#session.closed;
  }

  get #checkEveryMs(): number {
    const { handshakeTimeoutMs, headTimeoutMs, bodyTimeoutMs, writeTimeoutMs, idleTimeoutMs } = this.options;
    const shortest = Math.min(handshakeTimeoutMs, headTimeoutMs, bodyTimeoutMs, writeTimeoutMs, idleTimeoutMs);
    return Math.max(10, Math.min(250, shortest / 4));
  }

  /**
   * Whether nothing more is to be waited for: on a connection that goes away, when no request is open; on one on which
   * nothing moves, when all that is left are answers and resets. (Behind a GOAWAY, nghttp2 stops reading once it knows of
   * no open stream, and Node then never hears that the client is gone.)
   */
  #isDead(now: number): boolean {
    const { closed } = this.#session;
    if (this.#sessions.size === 0) return closed && now - this.#idleSince > LINGER_MS;
    const bytesMoved = this.#socket.bytesRead + this.#socket.bytesWritten;
    let isAtWork = !closed;
    for (const session of this.#sessions) {
      if (session.resetIsWaiting) isAtWork = false;
      else if (!session.over) {
        isAtWork = true;
        break;
      }
    }
    if (isAtWork || bytesMoved !== this.#bytesMoved) {
      this.#bytesMoved = bytesMoved;
      this.#movedAt = now;
    }
    return now - this.#movedAt > this.options.writeTimeoutMs;
  }

  #checkSoon(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(check, this.#checkEveryMs, this);
  }

  #onStream(stream: ServerHttp2Stream, raw: readonly string[]): void {
    stream.on("error", ignore);
    this.#lastStreamId = stream.id ?? this.#lastStreamId;
    this.#unfinishedHeadSince = undefined;
    if (this.#refused) return;
    this.#arriving++;
    // Of so many in one turn, more were reset than may be: those behind them in what was read need not be looked at.
    if (this.#arriving > this.options.maxConcurrentStreams + this.options.maxResets) {
      this.#refuse("too-many-resets", RESETS_MESSAGE);
      return;
    }
    // A request that is reset in the packet that brought it costs nobody anything (promise P5).
    setImmediate(begin, this, stream, raw);
  }

  /** @internal */
  begin(stream: ServerHttp2Stream, raw: readonly string[]): void {
    this.#arriving--;
    if (stream.destroyed || stream.closed) {
      this.#idleSince = turnTime();
      this.#countReset();
      return;
    }
    let received: ReceivedRequest;
    try {
      received = requestHeadOf(raw, this.options.limits);
    } catch (error) {
      if (!(error instanceof MalformedMessage)) throw error;
      this.#refuseRequest(stream, error.reason, error.status, error.message);
      this.countMalformed();
      return;
    }
    this.usefulBytes += received.head.headers.size * 64 + bytesOf(raw);
    if (received.protocol !== undefined && received.protocol.toLowerCase() !== "websocket") {
      this.#refuseRequest(stream, "unknown-protocol", 501, `no tunnel for ${received.protocol} here (RFC 9220, 3)`);
      return;
    }
    if (received.head.method === "CONNECT" && received.protocol === undefined && !this.options.allowConnect) {
      this.#refuseRequest(stream, "connect-not-allowed", 405, "CONNECT is not allowed here");
      return;
    }
    const session = new Http2ServerSession(this, stream, received);
    this.#sessions.add(session);
    if (++this.#requests >= this.options.maxRequestsPerConnection) this.drain();
    // Requests of one connection run side by side: each is a connection of its own to whoever keeps something for the next.
    this.#handler.onRequest(session, session);
  }

  /** Malformed is an error of the stream (RFC 9113, 8.1.1); what is only not wanted is told. */
  #refuseRequest(stream: ServerHttp2Stream, reason: string, status: number, message: string): void {
    this.#idleSince = turnTime();
    this.reportRefusal(reason, status === 400 ? undefined : status, message);
    if (status === 400) {
      resetStream(stream, constants.NGHTTP2_PROTOCOL_ERROR);
      return;
    }
    const raw = [":status", String(status), "date", httpDate(), "content-length", "0"];
    raw.push("cache-control", "private, no-store");
    if (status === 405) raw.push("allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
    stream.respond(raw as never, { endStream: true });
    if (!stream.endAfterHeaders) leaveUnread(stream);
  }

  #countReset(): void {
    if (this.#budgets.reset()) this.#refuse("too-many-resets", RESETS_MESSAGE);
  }

  #isFlood(): boolean {
    let useful = this.usefulBytes;
    const bytes = this.#socket.bytesRead;
    if (!this.#budgets.overhead(bytes, useful, this.piecesSent)) return false;
    // What waits to be read is no overhead.
    for (const session of this.#sessions) useful += session.unreadBytes;
    return this.#budgets.overhead(bytes, useful + this.#arriving * 4096, this.piecesSent);
  }

  /**
   * Whether a block of header fields has begun and does not end. Node tells of none before its end, but nghttp2 counts the
   * stream; a malformed request looks the same. So the client is asked with a PING, which it cannot answer in a block.
   */
  #checkHead(now: number): boolean {
    const last = this.#session.state.lastProcStreamID ?? 0;
    if (last <= this.#lastStreamId) {
      this.#unfinishedHeadSince = undefined;
      return false;
    }
    if (this.#unfinishedHeadSince === undefined) {
      this.#unfinishedHeadSince = now;
      this.#session.ping((error) => {
        if (error === null) this.#lastStreamId = Math.max(this.#lastStreamId, last);
      });
    } else if (now - this.#unfinishedHeadSince > this.options.headTimeoutMs) {
      this.#refuse("head-timeout", "a block of header fields did not end in time");
    }
    return true;
  }

  /** The client is not worth its cost, or broke the protocol: GOAWAY with the code, and the connection closes. */
  #refuse(reason: string, message: string, code: number = constants.NGHTTP2_ENHANCE_YOUR_CALM): void {
    if (this.#refused) return;
    this.#refused = true;
    this.reportRefusal(reason, undefined, message);
    this.#session.destroy(CirqueError.downstream("H2Error", message, { context: { reason } }), code);
  }

  #onError(error: Error): void {
    this.failure = error;

    if (this.#refused) return;
    const reason = sessionErrorReason(error);
    if (reason === undefined) return;
    this.#refused = true;
    this.reportRefusal(reason, undefined, error.message);
  }

  #onClose(): void {
    clearTimeout(this.#timer);
    this.#handler.onConnectionClose(this);
  }
}

/** A connection that waits for requests is looked at less often: there may be thousands of them. */
const QUIET_FACTOR = 8;

const RESETS_MESSAGE = "the client resets requests faster than it lets them end";

/** How long a client may take to close its side, behind the last answer. */
const LINGER_MS = 2_000;

/** The window of a connection that each client assumes at first (RFC 9113, 6.9.2): it cannot be made smaller. */
const PROTOCOL_WINDOW_BYTES = 65_535;

function check(connection: Http2ServerConnection): void {
  connection.check();
}

function begin(connection: Http2ServerConnection, stream: ServerHttp2Stream, raw: readonly string[]): void {
  connection.begin(stream, raw);
}

function ignore(): void {}

function bytesOf(raw: readonly string[]): number {
  let bytes = 0;
  for (let i = 0; i < raw.length; i++) bytes += (raw[i] as string).length;
  return bytes;
}
