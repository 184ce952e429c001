import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { DEFAULT_LIMITS, type ParserLimits, ResponseParser } from "@cirque/http";
import { Connection } from "../connection/connection.ts";
import { CirqueError } from "../errors/cirque-error.ts";
import { Http1ClientSession } from "../http1/client-session.ts";
import { Http2ClientConnection } from "../http2/client-connection.ts";
import { Http2ClientSession } from "../http2/client-session.ts";
import type { Counter } from "../observability/metric.ts";
import type { MetricsRegistry } from "../observability/metrics-registry.ts";
import { withDefaults } from "../options/with-defaults.ts";
import type { ClientSession } from "../session/client-session.ts";
import type { ConnectOptions } from "./connect.ts";
import type { LimitObserver } from "./connection-limiter.ts";
import { ConnectionSource, type PoolOptions, resolvedEndOf } from "./connection-source.ts";
import { HttpPeer } from "./http-peer.ts";
import { Http1Preference } from "./http1-preference.ts";
import { Http2Connections, type HttpConnection } from "./http2-connections.ts";
import type { Peer } from "./peer.ts";

/** Settings of a connector (POOL-15). */
export interface HttpConnectorOptions extends ConnectOptions, PoolOptions<HttpConnection> {
  /** What a response may be at most. */
  readonly limits?: Partial<ParserLimits>;
  /** Where connections are counted. Default: nowhere. */
  readonly metrics?: MetricsRegistry | undefined;
}

/** Sessions with origins: on a kept connection, a share of one that is in use, or on a new one (POOL-14, H2U-01). */
export class HttpConnector {
  readonly #source: ConnectionSource<HttpConnection>;
  readonly #http2: Http2Connections;
  readonly #http1Preference = new Http1Preference();
  readonly #limits: Partial<ParserLimits>;
  readonly #opened: Counter | undefined;
  readonly #reused: Counter | undefined;
  readonly #unexpected: Counter | undefined;
  #unexpectedData = 0;
  #closed = false;

  /** @throws RangeError for a limit below 1, or a pool size that is no number. */
  constructor(options: HttpConnectorOptions = {}) {
    const { limits = {}, metrics } = options;
    // A wrong limit is to be found out here, and not with the first origin.
    new ResponseParser(limits);
    this.#limits = limits;
    this.#source = new ConnectionSource<HttpConnection>(
      options,
      (reason) => {
        if (reason === "unexpected-data") this.#countUnexpectedData();
      },
      (socket, peer) => {
        this.#opened?.inc();
        return this.#speakOver(socket, peer);
      },
      metrics && limitMetrics(metrics),
    );
    this.#http2 = new Http2Connections(this.#source);
    this.#opened = metrics?.counter("cirque_upstream_connections_opened_total", "Connections made to origins");
    this.#reused = metrics?.counter(
      "cirque_upstream_connections_reused_total",
      "Requests sent on a kept connection to an origin",
    );
    this.#unexpected = metrics?.counter(
      "cirque_upstream_unexpected_data_total",
      "Kept connections closed because the origin sent something that nobody had asked for",
    );
  }

  /** How many connections were dropped because of bytes that nobody had asked for (POOL-05). */
  get unexpectedDataConnections(): number {
    return this.#unexpectedData;
  }

  /** How many idle connections there are. */
  get idleConnections(): number {
    return this.#source.idle;
  }

  /** How many requests wait for a connection, because a peer has all that it may have (POOL-12). */
  get pendingRequests(): number {
    return this.#source.pending;
  }

  /**
   * A session with the peer: at once when an idle connection is there, or one that takes more requests.
   * @param fresh Whether a kept connection will not do.
   * @param signal Gives the wait for a new connection up.
   * @param upgrade The protocol that the request asks to change to, if any.
   * @throws CirqueError when the connection cannot be made, or is beyond the limit of the peer.
   */
  session(
    peer: HttpPeer,
    fresh = false,
    signal?: AbortSignal,
    upgrade?: string,
  ): ClientSession | Promise<ClientSession> {
    return (fresh ? undefined : this.keptSession(peer, upgrade)) ?? this.newSession(peer, fresh, signal, upgrade);
  }

  /** A session on a connection that is there, if there is one. */
  keptSession(peer: HttpPeer, upgrade?: string): ClientSession | undefined {
    if (peer.http !== "1" && !this.#wantsHttp1(peer, upgrade)) return this.#keptHttp2Session(peer, upgrade);
    const overHttp1 = peer.overHttp1;
    const kept = this.#source.take(overHttp1);
    if (!(kept instanceof Http1ClientSession)) return undefined;
    this.#reused?.inc();
    return kept.begin(peer.options, true);
  }

  /**
   * A session on a new connection; or, unless it has to be fresh, on one that is given back while this waits for room. Over
   * HTTP/2, requests that come while the connection is being made share it.
   */
  async newSession(peer: HttpPeer, fresh = false, signal?: AbortSignal, upgrade?: string): Promise<ClientSession> {
    if (peer.http !== "1" && !this.#wantsHttp1(peer, upgrade)) return this.#newHttp2Session(peer, signal, upgrade);
    const { connection, kept } = await this.#source.open(peer.overHttp1, fresh, signal);
    if (!(connection instanceof Http1ClientSession)) throw mixedUp(peer);
    if (kept) this.#reused?.inc();
    return connection.begin(peer.options, kept);
  }

  /**
   * Makes connections ahead of the first requests (POOL-13): as many as `count`, but no more than are kept for one peer, or
   * than it may have. They go to the pool.
   * @returns How many were made.
   * @throws CirqueError when none could be made.
   */
  preconnect(peer: HttpPeer, count = 1, signal?: AbortSignal): Promise<number> {
    const reached = this.#wantsHttp1(peer, undefined) ? peer.overHttp1 : peer;
    return this.#source.preconnect(reached, count, signal, (connection) => {
      const kept = connection instanceof Http1ClientSession ? reached.overHttp1 : reached;
      this.#source.put(kept, connection, peer.options.idleTimeoutMs);
    });
  }

  /** Gives a session back after its exchange: the connection is kept if it can be used again (POOL-10), else closed. */
  release(session: ClientSession, peer: HttpPeer): void {
    if (session instanceof Http1ClientSession) this.#releaseHttp1(session, peer.overHttp1);
    else if (session instanceof Http2ClientSession) session.release();
  }

  /** Closes what is idle, and keeps nothing from here on. */
  close(): void {
    this.#closed = true;
    this.#source.close();
  }

  /** What a socket becomes: a connection in the version of HTTP that both sides agreed on. */
  #speakOver(socket: Socket, peer: Peer): HttpConnection | Promise<Http2ClientConnection> {
    const http = peer instanceof HttpPeer ? peer.http : "1";
    if (http === "1") return this.#http1Over(socket, peer);
    const chosen = (socket as Partial<TLSSocket>).alpnProtocol;
    if (!peer.options.tls || chosen === "h2") return this.#http2Over(socket, peer as HttpPeer); // what has another version is one
    if (http === "2-or-1") {
      this.#http1Preference.remember(peer.reuseKey);
      return this.#http1Over(socket, peer);
    }
    socket.destroy();
    const message = `${peer} did not agree to HTTP/2 in TLS: say http: "2-or-1" if HTTP/1.1 will do`;
    throw CirqueError.upstream("InvalidH2", message, { context: { peer: peer.address } });
  }

  #http1Over(socket: Socket, peer: Peer): Http1ClientSession {
    const session = new Http1ClientSession(new Connection(socket, NOBODY), this.#limits, peer.options);
    session.resolved = resolvedEndOf(socket);
    return session;
  }

  async #http2Over(socket: Socket, peer: HttpPeer): Promise<Http2ClientConnection> {
    const connection = await Http2ClientConnection.open(socket, peer, {
      limits: withDefaults(DEFAULT_LIMITS, this.#limits),
      onHttp1Preferred: ({ reuseKey }) => this.#http1Preference.remember(reuseKey),
    });
    connection.resolved = resolvedEndOf(socket);
    this.#http2.adopt(connection);
    return connection;
  }

  /** Whether a peer that may be spoken to in either version is to be in HTTP/1.1, for this request or for now (H2U-05). */
  #wantsHttp1(peer: HttpPeer, upgrade: string | undefined): boolean {
    if (peer.http !== "2-or-1") return false;
    // HTTP/2 knows no upgrade but that to a WebSocket.
    return (upgrade !== undefined && !isWebSocket(upgrade)) || this.#http1Preference.has(peer.reuseKey);
  }

  #keptHttp2Session(peer: HttpPeer, upgrade: string | undefined): ClientSession | undefined {
    const connection = this.#http2.take(peer);
    if (connection === undefined) return undefined;
    if (upgrade !== undefined && !connection.allowsConnectProtocol && peer.http === "2-or-1") {
      connection.cancelReservation();
      this.#http2.settle(connection);
      return this.keptSession(peer.overHttp1, upgrade);
    }
    this.#reused?.inc();
    return connection.begin(peer, true);
  }

  async #newHttp2Session(
    peer: HttpPeer,
    signal: AbortSignal | undefined,
    upgrade: string | undefined,
  ): Promise<ClientSession> {
    for (;;) {
      const session = await this.#http2.open(peer, signal);
      if (session === undefined) {
        if (this.#wantsHttp1(peer, upgrade)) return this.newSession(peer.overHttp1, false, signal);
        const kept = this.keptSession(peer, upgrade);
        if (kept !== undefined) return kept;
        continue;
      }
      if (session.reused) this.#reused?.inc();
      const mayUpgrade = !(session instanceof Http2ClientSession) || session.connection.allowsConnectProtocol;
      if (upgrade === undefined || mayUpgrade || peer.http === "2") return session;
      this.release(session, peer);
      return this.session(peer.overHttp1, false, signal);
    }
  }

  #releaseHttp1(session: Http1ClientSession, peer: HttpPeer): void {
    session.observer = undefined;
    if (!this.#closed && session.reusable) {
      this.#source.put(peer, session, Math.min(peer.options.idleTimeoutMs, untilOriginCloses(session)));
      return;
    }
    const { connection } = session;
    // The end of a tunnel: the origin gets what was written last.
    const said = session.requestEnded && session.responseEnded;
    if (said && connection.unsentBytes > 0) connection.closeGracefully(peer.options.writeTimeoutMs);
    else connection.destroy();
  }

  #countUnexpectedData(): void {
    this.#unexpectedData++;
    this.#unexpected?.inc();
  }
}

function isWebSocket(upgrade: string): boolean {
  return upgrade.toLowerCase() === "websocket";
}

function mixedUp(peer: HttpPeer): CirqueError {
  return CirqueError.internal("InternalError", `a connection to ${peer} was kept for the wrong version of HTTP`);
}

/** A request that is sent just when the origin closes is lost: so an idle connection goes a little before that. */
function untilOriginCloses({ originIdleTimeoutMs: ms }: Http1ClientSession): number {
  return ms === undefined ? Number.POSITIVE_INFINITY : ms - Math.min(1_000, ms / 2);
}

function limitMetrics(metrics: MetricsRegistry): LimitObserver {
  const pending = metrics.gauge(
    "cirque_upstream_requests_pending",
    "Requests that wait for a connection to a peer that has all it may have",
  );
  const failed = metrics.counter(
    "cirque_upstream_connection_limit_failures_total",
    "Requests that found too many waiting for a connection to a peer, or waited too long",
  );
  return { onPending: (change) => pending.add(change), onFailure: () => failed.inc() };
}

const NOBODY = { onBytes(): void {}, onEnd(): void {}, onDrain(): void {}, onClose(): void {} };
