import type { Socket } from "node:net";
import { MalformedMessage, ParseEvent, type RequestHead, RequestParser, serializeResponseHead } from "@cirque/http";
import { acceptedConnection, type Connection, type ConnectionListener } from "../connection/connection.ts";
import { Deadline } from "../connection/deadline.ts";
import { turnTime } from "../connection/turn-time.ts";
import type { AcceptedConnection } from "../listeners/accepted-connection.ts";
import type { ServerSession } from "../session/server-session.ts";
import { refusalResponse } from "./refusal.ts";
import type { ResolvedHttp1ServerOptions } from "./server-options.ts";
import { Http1ServerSession } from "./server-session.ts";

/** Why a client was refused before, or in the middle of, its request (promise P13). */
export interface Refusal {
  /**
   * The name for logs and metrics: a `RefusalReason`, or `head-timeout`, `body-timeout`, `write-timeout`,
   * `connect-not-allowed`.
   */
  readonly reason: string;
  /** The status it was answered with; undefined when nothing could be answered. */
  readonly status: number | undefined;
  readonly message: string;
  readonly clientAddress: string;
}

/** What the owner of HTTP/1.1 connections is told. */
export interface Http1ServerHandler {
  /** A request came: answer it through the session. Must not throw. */
  onRequest(session: ServerSession, connection: Http1ServerConnection): void;
  onRefusal(refusal: Refusal): void;
  /** The connection is gone. */
  onConnectionClose(connection: Http1ServerConnection): void;
  /**
   * The client speaks HTTP/2 without having asked (RFC 9113, 3.3): its first bytes say so. The connection takes no more
   * part; the socket is the handler's, with those bytes to be read again. Without this, such a client is refused with 505.
   */
  readonly onHttp2Preface?: ((socket: Socket, connection: Http1ServerConnection) => void) | undefined;
}

/**
 * One HTTP/1.1 connection with a client (RFC 9112): reads one request after another, makes a session of each, and
 * answers what is malformed or late by itself. Pipelined requests wait in the parser, and the client with them, until
 * their turn (RFC 9112, 9.3.2).
 */
export class Http1ServerConnection implements ConnectionListener {
  readonly connection: Connection;
  readonly options: ResolvedHttp1ServerOptions;
  readonly parser: RequestParser;
  /** What is known of the connection besides its bytes: addresses said by proxies in front, facts of TLS. */
  readonly accepted: AcceptedConnection | undefined;
  readonly #handler: Http1ServerHandler;
  readonly #readDeadline: Deadline;
  #session: Http1ServerSession | undefined;
  #requests = 0;
  #headStartedAt = 0;
  #idleTimeoutMs: number;
  #idleSince: number = turnTime();
  #draining = false;
  #closing = false;
  #clientEnded = false;
  #writeDeadline: Deadline | undefined;
  #unsentBytes = 0;
  /** Whether the first bytes of all are still to come, and may be those of HTTP/2. */
  #mayBeHttp2: boolean;
  #prefaceStart: Buffer | undefined;

  /** @param accepted What is known of the connection; without it, only what its socket tells. */
  constructor(
    socket: Socket,
    options: ResolvedHttp1ServerOptions,
    handler: Http1ServerHandler,
    accepted?: AcceptedConnection,
  ) {
    this.options = options;
    this.accepted = accepted;
    this.#handler = handler;
    this.#idleTimeoutMs = options.keepAliveTimeoutMs;
    this.#mayBeHttp2 = handler.onHttp2Preface !== undefined && accepted?.tls === undefined;
    this.parser = new RequestParser(options.limits);
    this.#readDeadline = new Deadline(() => this.#onReadDeadline());
    this.connection = acceptedConnection(socket, this, accepted);
    this.#readDeadline.set(options.firstByteTimeoutMs);
    this.connection.resume();
  }

  /** The client's address and port, behind proxies in front that are believed. */
  get clientAddress(): string {
    return this.accepted?.clientAddress ?? this.connection.remoteAddress;
  }

  /** The address and port that the client connected to, likewise. */
  get serverAddress(): string {
    return this.accepted?.serverAddress ?? this.connection.localAddress;
  }

  /** Whether no request is under way. */
  get idle(): boolean {
    return this.#session === undefined;
  }

  /** Whether this connection will close behind the response that begins next. */
  get draining(): boolean {
    return this.#draining;
  }

  /** Whether the client has said that it sends nothing more. */
  get clientEnded(): boolean {
    return this.#clientEnded;
  }

  /**
   * Closes behind the response that begins next, which says so. An idle connection that was in use a moment ago has this
   * moment for a request that is on its way: closed at once, it would be lost, and what a client sends first, or may not be
   * sent twice, a client does not send again (P6).
   */
  drain(): void {
    this.#draining = true;
    if (this.#session === undefined && !this.parser.started) this.#expectLastRequest();
  }

  /** Closes at once, whatever is under way. */
  destroy(): void {
    this.connection.destroy();
  }

  onBytes(chunk: Buffer): void {
    const session = this.#session;
    if (session?.tunnelling) {
      session.onTunnelBytes(chunk);
      return;
    }
    if (this.#closing) return;
    if (this.#mayBeHttp2 && this.#takesPreface(chunk)) return;
    this.parser.push(chunk);
    if (session === undefined) this.readHead();
    else session.onMoreBytes();
  }

  onEnd(): void {
    const session = this.#session;
    this.#clientEnded = true;
    if (session?.tunnelling) session.onTunnelEnd();
    else if (this.options.abortOnClose) {
      if (session === undefined) this.closeGracefully();
      else session.onClientGone();
    } else {
      this.#tellParser();
      if (session === undefined) this.readHead();
      else session.onNothingMore();
    }
  }

  onDrain(): void {
    this.#writeDeadline?.clear();
    if (this.#session !== undefined) this.#session.onDrain();
    else if (this.parser.bufferedBytes > 0) {
      this.connection.resume();
      this.readHead();
    }
  }

  onClose(error: Error | undefined): void {
    this.#closing = true;
    this.#readDeadline.dispose();
    this.#writeDeadline?.dispose();
    const session = this.#session;
    this.#session = undefined;
    session?.onConnectionClose(error);
    this.#handler.onConnectionClose(this);
  }

  /** The session has read and answered its request. */
  sessionDone(session: Http1ServerSession): void {
    if (session !== this.#session) return;
    this.#session = undefined;
    const nothingMore = this.#clientEnded && this.parser.bufferedBytes === 0;
    if (!session.keepAlive || !this.parser.ended || nothingMore) {
      this.closeGracefully();
      return;
    }
    this.parser.startNext();
    this.#idleTimeoutMs = idleTimeoutOf(session.request, this.options.keepAliveTimeoutMs);
    this.#idleSince = turnTime();
    this.connection.resume();
    // A pipelined request waits for its turn of the event loop: the end of this one comes first, and other connections.
    if (this.parser.bufferedBytes > 0) setImmediate(readNext, this);
    else if (this.#draining) this.#expectLastRequest();
    else this.#readDeadline.set(this.#idleTimeoutMs);
  }

  /** Waits for body bytes, at most `ms`. */
  expectBody(ms: number): void {
    this.#readDeadline.set(ms);
  }

  /** Waits for nothing. */
  expectNothing(): void {
    this.#readDeadline.clear();
  }

  /** Waits for the client to take what was written. */
  expectDrain(): void {
    this.#writeDeadline ??= new Deadline(() => this.#onWriteDeadline());
    this.#unsentBytes = this.connection.unsentBytes;
    this.#writeDeadline.set(this.options.writeTimeoutMs);
  }

  /** Tells the owner why a request was refused. */
  reportRefusal(reason: string, status: number | undefined, message: string): void {
    this.#handler.onRefusal({ reason, status, message, clientAddress: this.clientAddress });
  }

  /** Sends what was written, then closes. */
  closeGracefully(): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#readDeadline.dispose();
    this.#writeDeadline?.dispose();
    this.connection.closeGracefully(this.options.writeTimeoutMs);
  }

  /** Reads a request head, if one is there and none is under way. */
  readHead(): void {
    if (this.#session !== undefined || this.#closing) return;
    if (this.connection.full) {
      // A client that sends requests and does not read: it waits, or its responses would pile up here.
      this.connection.pause();
      this.#readDeadline.clear();
      this.expectDrain();
      return;
    }
    try {
      if (this.parser.next() !== ParseEvent.Head) {
        this.#expectHead();
        return;
      }
    } catch (error) {
      this.#refuse(error);
      return;
    }
    this.#headStartedAt = 0;
    this.#readDeadline.clear();
    this.#onHead(this.parser.head as RequestHead); // the parser has just said that there is one
  }

  /** Looks at the first bytes, and keeps them while they may become the preface of HTTP/2. */
  #takesPreface(chunk: Buffer): boolean {
    const former = this.#prefaceStart;
    const bytes = former === undefined ? chunk : Buffer.concat([former, chunk]);
    if (PREFACE_START.startsWith(bytes.toString("latin1", 0, PREFACE_START.length))) {
      if (bytes.length < PREFACE_START.length) this.#prefaceStart = bytes;
      else this.#becomeHttp2(bytes);
      return true;
    }
    this.#mayBeHttp2 = false;
    if (former !== undefined) this.parser.push(former);
    return false;
  }

  #becomeHttp2(bytes: Buffer): void {
    this.#closing = true;
    this.#readDeadline.dispose();
    const socket = this.connection.release();
    socket.unshift(bytes);
    this.#handler.onHttp2Preface?.(socket, this);
  }

  #onHead(head: RequestHead): void {
    this.#requests++;
    this.connection.exchanges = this.#requests;
    if (head.method === "CONNECT" && !this.options.allowConnect) {
      this.#answerAndClose("connect-not-allowed", 405, "CONNECT is not allowed here");
      return;
    }
    const last = this.#draining || this.#requests >= this.options.maxRequestsPerConnection;
    const session = new Http1ServerSession(this, head, !last);
    this.#session = session;
    this.#handler.onRequest(session, this);
  }

  #expectHead(): void {
    if (this.#clientEnded) {
      this.closeGracefully();
      return;
    }
    if (!this.parser.started) {
      if (this.#draining) this.#expectLastRequest();
      else this.#readDeadline.set(this.#requests === 0 ? this.options.firstByteTimeoutMs : this.#idleTimeoutMs);
      return;
    }
    const now = performance.now();
    if (this.#headStartedAt === 0) this.#headStartedAt = now;
    const left = this.options.headTotalTimeoutMs - (now - this.#headStartedAt);
    this.#readDeadline.set(Math.min(this.options.headTimeoutMs, Math.max(0, left)));
  }

  #expectLastRequest(): void {
    const left = this.#idleSince + this.options.lastRequestTimeoutMs - turnTime();
    if (left > 0) this.#readDeadline.set(left);
    else this.closeGracefully();
  }

  #tellParser(): void {
    try {
      this.parser.finish();
    } catch {
      // A message that is cut is refused when it is read so far.
    }
  }

  #onReadDeadline(): void {
    if (this.#session !== undefined) this.#session.onBodyTimeout();
    else if (this.parser.started) this.#answerAndClose("head-timeout", 408, "the request head took too long");
    else this.closeGracefully();
  }

  #onWriteDeadline(): void {
    // One that takes a little now and then is slow; one that takes nothing is cut.
    if (this.connection.unsentBytes < this.#unsentBytes) {
      this.expectDrain();
      return;
    }
    this.reportRefusal("write-timeout", undefined, "the client took nothing of the response");
    this.#session?.onWriteTimeout();
    this.connection.reset();
  }

  #refuse(error: unknown): void {
    if (!(error instanceof MalformedMessage)) throw error;
    this.#answerAndClose(error.reason, error.status, error.message);
  }

  #answerAndClose(reason: string, status: number, message: string): void {
    this.reportRefusal(reason, status, message);
    this.connection.write(serializeResponseHead(refusalResponse(status)));
    this.closeGracefully();
  }
}

/** What no request of HTTP/1.1 begins with (RFC 9113, 3.4). */
const PREFACE_START = "PRI ";

function readNext(connection: Http1ServerConnection): void {
  connection.readHead();
}

const LONGEST_IDLE_MS = 600_000;

/** The client's own idle time-out and a margin, if it says one that is longer than ours. */
function idleTimeoutOf(request: RequestHead, ownMs: number): number {
  const value = request.headers.find("keep-alive")?.value;
  if (value === undefined) return ownMs;
  const seconds = Number(/(?:^|[,\s])timeout=(\d{1,6})(?:$|[,\s])/i.exec(value)?.[1]);
  if (Number.isNaN(seconds)) return ownMs;
  return Math.max(ownMs, Math.min(seconds * 1000 + 5_000, LONGEST_IDLE_MS));
}
