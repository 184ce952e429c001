import {
  type HeaderMap,
  MalformedMessage,
  ParseEvent,
  type ParserLimits,
  type RequestHead,
  type ResponseHead,
  ResponseParser,
  serializeRequestHead,
} from "@cirque/http";
import type { Connection, ConnectionListener } from "../connection/connection.ts";
import { Deadline } from "../connection/deadline.ts";
import { type ConnectFacts, connectFactsOf } from "../connectors/connect-facts.ts";
import type { UnusableReason } from "../connectors/connection-pool.ts";
import type { PooledConnection, ResolvedEnd } from "../connectors/connection-source.ts";
import { CirqueError } from "../errors/cirque-error.ts";
import type { BodySink } from "../session/body.ts";
import type { ClientSession, ClientSessionObserver } from "../session/client-session.ts";
import { BodyWriter } from "./body-writer.ts";
import { keepsAlive } from "./connection-options.ts";
import { frameRequest } from "./outgoing-framing.ts";

/** Interim responses taken before a final one; an origin that goes on beyond is broken. */
const MAX_INTERIM_RESPONSES = 16;

/** Time-outs of one exchange with an origin, in milliseconds; and what is tolerated in it. */
export interface ClientTimeouts {
  /** Silence while a response is expected, or in the middle of one (PO-04). */
  readonly readTimeoutMs: number;
  /** An origin that takes nothing of the request (PO-05). */
  readonly writeTimeoutMs: number;
  /** Whether a response with a Content-Length that is no number is read until the origin closes (PO-19). */
  readonly ignoreInvalidContentLength?: boolean;
}

/**
 * An HTTP/1.1 connection with an origin, and the exchange that it carries (RFC 9112). One after another: `begin` starts
 * each.
 */
export class Http1ClientSession implements ClientSession, ConnectionListener, PooledConnection {
  readonly connection: Connection;
  readonly #parser: ResponseParser;
  readonly #deadline: Deadline;
  #timeouts: ClientTimeouts;
  observer: ClientSessionObserver | undefined;
  reused = false;
  /** Where the name of the origin led when the connection was made. */
  resolved: ResolvedEnd | undefined;
  requestStarted = false;
  /** Before the first exchange, none is under way. */
  requestEnded = true;
  responseEnded = true;
  bodyBytesRead = 0;
  #writer: BodyWriter | undefined;
  #sink: BodySink | undefined;
  #paused = false;
  #pumping = false;
  #keepAlive = true;
  #peerEnded = false;
  #closeCause: Error | undefined;
  #upgradeRequested = false;
  #tunnelling = false;
  #interim = 0;
  #unsentBytes = 0;
  #originIdleTimeoutMs: number | undefined;
  #error: CirqueError | undefined;
  #head: ResponseHead | undefined;
  #resolveHead: ((head: ResponseHead) => void) | undefined;
  #rejectHead: ((error: CirqueError) => void) | undefined;
  /** Set while the connection is idle in a pool. */
  #onUnusable: ((reason: UnusableReason) => void) | undefined;

  constructor(connection: Connection, limits: Partial<ParserLimits>, timeouts: ClientTimeouts) {
    this.connection = connection;
    connection.listener = this;
    this.#timeouts = timeouts;
    this.#parser = new ResponseParser(limits);
    this.#deadline = new Deadline(() => this.#onDeadline());
  }

  /**
   * Makes the connection ready for another exchange.
   * @param kept Whether it was kept idle before: then the origin may close it just now, though it has carried nothing yet.
   */
  begin(timeouts: ClientTimeouts, kept = false): this {
    this.#timeouts = timeouts;
    const next = this.connection.exchanges++ > 0;
    this.reused = kept || next;
    this.requestStarted = this.requestEnded = this.responseEnded = false;
    this.bodyBytesRead = 0;
    this.#writer = undefined;
    this.#sink = undefined;
    this.#paused = false;
    this.#interim = 0;
    this.#head = undefined;
    if (next) this.#parser.startNext();
    this.#parser.ignoreInvalidContentLength = timeouts.ignoreInvalidContentLength === true;
    this.connection.resume();
    return this;
  }

  /** Whether the connection can carry another exchange (POOL-10): everything was read and written, and nothing beyond. */
  get reusable(): boolean {
    return (
      this.responseEnded &&
      this.requestEnded &&
      this.#keepAlive &&
      !this.#peerEnded &&
      this.#error === undefined &&
      this.#parser.bufferedBytes === 0 &&
      this.connection.writable
    );
  }

  /** How long the origin keeps an idle connection, from its `Keep-Alive` field (POOL-11); undefined when it does not say. */
  get originIdleTimeoutMs(): number | undefined {
    return this.#originIdleTimeoutMs;
  }

  /**
   * Watches the idle connection (POOL-08): one that the origin closes, or sends something on unasked, is gone before
   * somebody takes it (promise P2).
   */
  startIdle(idleTimeoutMs: number, onUnusable: (reason: UnusableReason) => void): void {
    this.#onUnusable = onUnusable;
    this.connection.resume();
    this.#deadline.set(idleTimeoutMs);
  }

  stopIdle(): boolean {
    this.#onUnusable = undefined;
    this.#deadline.clear();
    return this.reusable;
  }

  close(): void {
    this.#keepAlive = false;
    this.#deadline.dispose();
    this.connection.destroy();
  }

  get remoteAddress(): string {
    return this.connection.remoteAddress;
  }

  get localAddress(): string {
    return this.connection.localAddress;
  }

  get connectFacts(): ConnectFacts | undefined {
    return connectFactsOf(this.connection.socket);
  }

  writeHead(head: RequestHead, hasBody: boolean): void {
    const framing = frameRequest(head, hasBody);
    this.#upgradeRequested = head.headers.find("upgrade") !== undefined;
    // Behind a CONNECT that is granted, the connection is a tunnel to the origin, and no request may follow.
    this.#keepAlive = !framing.close && !this.#upgradeRequested && head.method !== "CONNECT";
    this.#parser.expect(head.method);
    const options = connectionOptions(head, this.#upgradeRequested, framing.close);
    if (options !== "") framing.lines += `Connection: ${options}\r\n`;
    this.#writer = new BodyWriter(this.connection, framing.bodyLength);
    this.#writer.hold(serializeRequestHead(head, framing.lines));
    if (!hasBody) this.end();
  }

  write(chunk: Buffer): boolean {
    if (this.#error !== undefined || this.requestEnded || this.#writer === undefined) return true;
    this.requestStarted = true;
    const goOn = this.#writer.write(chunk);
    if (goOn) this.#expectBytes();
    else this.#expectDrain();
    return goOn;
  }

  end(trailers?: HeaderMap): void {
    if (this.#error !== undefined || this.requestEnded || this.#writer === undefined) return;
    this.requestStarted = true;
    if (!this.#writer.end(trailers)) {
      this.#fail(
        CirqueError.internal("WriteError", "the request body is shorter than its Content-Length: a filter cut it"),
      );
      return;
    }
    this.requestEnded = true;
    if (this.#tunnelling) this.connection.end();
    else this.#expectBytes();
  }

  flush(): void {
    if (this.#error !== undefined || this.#writer === undefined) return;
    this.requestStarted = true;
    this.#writer.flush();
  }

  readHead(): Promise<ResponseHead> {
    return new Promise((resolve, reject) => {
      if (this.#error !== undefined) {
        reject(this.#error);
        return;
      }
      this.#resolveHead = resolve;
      this.#rejectHead = reject;
      if (this.#parser.head !== undefined) {
        // The interim one that was handed out before.
        this.#parser.next();
        this.#parser.startNext();
      }
      this.connection.resume();
      this.#deadline.set(this.#timeouts.readTimeoutMs);
      if (this.#parser.bufferedBytes > 0 || this.#peerEnded) this.#pump();
    });
  }

  readBody(sink: BodySink): void {
    if (this.#error !== undefined) {
      // It broke while nobody was reading.
      sink.onError(this.#error);
      return;
    }
    if (this.responseEnded) {
      // It ended with the connection.
      sink.onEnd(undefined);
      return;
    }
    this.#sink = sink;
    this.#paused = false;
    this.connection.resume();
    if (this.#tunnelling) {
      const early = this.#parser.takeRemainder();
      if (early.length > 0) this.#onTunnelBytes(early);
      if (this.#closeCause !== undefined) this.#fail(this.#closedError("the tunnel broke", this.#closeCause));
      else if (this.#peerEnded) this.#endResponse(undefined);
    } else this.#pump();
  }

  pauseBody(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.connection.pause();
    if (!this.connection.full) this.#deadline.clear();
  }

  resumeBody(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.connection.resume();
    if (!this.#tunnelling) this.#pump();
  }

  upgrade(): void {
    this.#tunnelling = true;
    this.#deadline.clear();
    this.requestEnded = false;
    this.#writer?.becomeTunnel();
  }

  abort(error: CirqueError): void {
    this.#fail(error);
  }

  onBytes(chunk: Buffer): void {
    if (this.#onUnusable !== undefined) {
      this.#dropIdle("unexpected-data");
      return;
    }
    if (this.#tunnelling) {
      this.#onTunnelBytes(chunk);
      return;
    }
    if (!this.requestStarted) {
      // It would pass for the answer to a request that the origin has not seen (promise P2).
      const message = "the origin sent something before it was asked";
      this.#fail(CirqueError.upstream("H1Error", message, { retry: "reused-only" }));
      return;
    }
    this.#parser.push(chunk);
    const waiting = this.#resolveHead !== undefined || (this.#sink !== undefined && !this.#paused);
    if (waiting) this.#pump();
    // Nobody wants it yet. Behind a complete response it is surplus, which `reusable` sees.
    else this.connection.pause();
  }

  onEnd(): void {
    this.#peerEnded = true;
    if (this.#onUnusable !== undefined) {
      this.#dropIdle("closed");
      return;
    }
    if (this.#tunnelling) {
      if (this.#sink !== undefined) this.#endResponse(undefined);
      return;
    }
    if (this.responseEnded) return;
    try {
      if (this.#parser.finish()) {
        this.#endResponse(undefined);
        return;
      }
      // What has come is read when somebody wants it; then the parser says whether it was whole.
      if (this.#parser.bufferedBytes > 0 || this.#parser.atEnd) return;
      this.#fail(this.#closedError("the origin closed the connection before it answered"));
    } catch {
      this.#fail(this.#closedError("the origin closed the connection in the middle of its response"));
    }
  }

  onDrain(): void {
    if (this.#onUnusable !== undefined) return;
    this.#deadline.clear();
    this.#expectBytes();
    this.observer?.onWritable();
  }

  onClose(cause: Error | undefined): void {
    this.#peerEnded = true;
    this.#deadline.dispose();
    if (this.#onUnusable !== undefined) this.#dropIdle("closed");
    if (this.#tunnelling ? this.responseEnded : this.responseEnded && this.requestEnded) return;
    this.#closeCause = cause;
    // A response that is there whole is good, though nobody has read it yet.
    const reading = this.#resolveHead !== undefined || (this.#sink !== undefined && !this.#paused);
    const unread = !reading && (this.#parser.bufferedBytes > 0 || this.#parser.atEnd);
    const answered = this.#head !== undefined || this.#interim > 0;
    if (!this.#tunnelling && answered && this.#error === undefined && unread) return;
    this.#fail(this.#closedError("the connection to the origin broke", cause));
  }

  /** Waits for more of the response, unless it is held back or over. */
  #expectBytes(): void {
    if (!this.#tunnelling && !this.#paused && !this.responseEnded) this.#deadline.set(this.#timeouts.readTimeoutMs);
  }

  /** Waits for the origin to take what was written. */
  #expectDrain(): void {
    this.#unsentBytes = this.connection.unsentBytes;
    this.#deadline.set(this.#timeouts.writeTimeoutMs);
  }

  /** The one loop that turns bytes into a head, body and end, as far as somebody waits for them. */
  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    const parser = this.#parser;
    try {
      while (this.#error === undefined && !this.responseEnded) {
        if (this.#resolveHead === undefined && (this.#sink === undefined || this.#paused)) return;
        switch (parser.next()) {
          case ParseEvent.Head:
            this.#onHead(parser.head as ResponseHead); // just parsed
            break;
          case ParseEvent.Data:
            this.bodyBytesRead += parser.data.length;
            this.#sink?.onData(parser.data);
            break;
          case ParseEvent.End:
            this.#endResponse(parser.trailers);
            break;
          default:
            if (this.#peerEnded) this.#fail(this.#closedError("the connection to the origin broke", this.#closeCause));
            else this.#deadline.set(this.#timeouts.readTimeoutMs);
            return;
        }
      }
    } catch (error) {
      if (!(error instanceof MalformedMessage)) throw error;
      if (error.reason === "premature-end") {
        this.#fail(this.#closedError("the origin closed the connection in the middle of its response"));
        return;
      }
      const context = { reason: error.reason };
      this.#fail(
        CirqueError.upstream("InvalidHTTPHeader", `the origin sent a malformed response: ${error.message}`, {
          cause: error,
          context,
        }),
      );
    } finally {
      this.#pumping = false;
    }
  }

  #onHead(head: ResponseHead): void {
    const status = head.status;
    if (status === 101 && !(this.#upgradeRequested && this.requestEnded)) {
      this.#fail(
        CirqueError.upstream("H1Error", "the origin switched protocols without being asked, or before it was asked"),
      );
      return;
    }
    if (head.informational && ++this.#interim > MAX_INTERIM_RESPONSES) {
      this.#fail(
        CirqueError.upstream("H1Error", `the origin sent more than ${MAX_INTERIM_RESPONSES} interim responses`),
      );
      return;
    }
    if (!head.informational) {
      this.#head = head;
      const options = head.headers.find("connection") && head.headers.get("connection");
      if (!keepsAlive(head.version, options)) this.#keepAlive = false;
      this.#originIdleTimeoutMs = idleTimeoutOf(head);
      this.#deadline.clear();
    }
    const resolve = this.#resolveHead;
    this.#resolveHead = this.#rejectHead = undefined;
    resolve?.(head);
  }

  #endResponse(trailers: HeaderMap | undefined): void {
    this.responseEnded = true;
    this.#deadline.clear();
    const sink = this.#sink;
    this.#sink = undefined;
    sink?.onEnd(trailers);
  }

  #onTunnelBytes(chunk: Buffer): void {
    this.bodyBytesRead += chunk.length;
    this.#sink?.onData(chunk);
  }

  #dropIdle(reason: UnusableReason): void {
    const onUnusable = this.#onUnusable;
    this.#onUnusable = undefined;
    this.close();
    onUnusable?.(reason);
  }

  #onDeadline(): void {
    if (this.#onUnusable !== undefined) this.#dropIdle("idle-timeout");
    else if (this.connection.full) {
      // One that takes a little now and then is slow; one that takes nothing is given up.
      if (this.connection.unsentBytes < this.#unsentBytes) this.#expectDrain();
      else this.#fail(CirqueError.upstream("WriteTimedout", "the origin took nothing of the request in time"));
    } else this.#fail(CirqueError.upstream("ReadTimedout", "the origin sent nothing in time"));
  }

  #closedError(message: string, cause?: Error): CirqueError {
    // A kept connection that the origin closes just then has not seen the request; another one would have served it.
    const retry = this.#head === undefined && this.#interim === 0 ? "reused-only" : false;
    return CirqueError.upstream("ConnectionClosed", message, { retry, ...(cause && { cause }) });
  }

  #fail(error: CirqueError): void {
    if (this.#error !== undefined) return;
    this.#error = error;
    this.#keepAlive = false;
    this.#deadline.dispose();
    const reject = this.#rejectHead;
    const sink = this.#sink;
    this.#resolveHead = this.#rejectHead = this.#sink = undefined;
    this.connection.destroy();
    reject?.(error);
    if (!this.responseEnded) sink?.onError(error);
  }
}

/** What `Connection` has to name (RFC 9110, 7.6.1; `TE`: 10.1.4). Nearly always nothing. */
function connectionOptions(head: RequestHead, upgrade: boolean, close: boolean): string {
  const te = head.headers.find("te") === undefined ? "" : "TE";
  if (upgrade) return te === "" ? "Upgrade" : "Upgrade, TE";
  if (close) return te === "" ? "close" : "close, TE";
  return te;
}

function idleTimeoutOf(head: ResponseHead): number | undefined {
  const value = head.headers.find("keep-alive")?.value;
  if (value === undefined) return undefined;
  const seconds = /(?:^|[,\s])timeout=(\d{1,9})(?:$|[,\s])/i.exec(value)?.[1];
  return seconds === undefined ? undefined : Number(seconds) * 1000;
}
