import { type ParserLimits, ResponseParser } from "@cirque/http";
import { Connection } from "../connection/connection.ts";
import { Http1ClientSession } from "../http1/client-session.ts";
import type { Counter } from "../observability/metric.ts";
import type { MetricsRegistry } from "../observability/metrics-registry.ts";
import type { ClientSession } from "../session/client-session.ts";
import type { ConnectOptions } from "./connect.ts";
import type { LimitObserver } from "./connection-limiter.ts";
import { ConnectionSource, type PoolOptions, resolvedEndOf } from "./connection-source.ts";
import type { HttpPeer } from "./http-peer.ts";

/** Settings of a connector (POOL-15). */
export interface HttpConnectorOptions extends ConnectOptions, PoolOptions<Http1ClientSession> {
  /** What a response may be at most. */
  readonly limits?: Partial<ParserLimits>;
  /** Where connections are counted. Default: nowhere. */
  readonly metrics?: MetricsRegistry | undefined;
}

/** Sessions with origins: reused from the pool, or new (POOL-14). */
export class HttpConnector {
  readonly #source: ConnectionSource<Http1ClientSession>;
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
    this.#source = new ConnectionSource<Http1ClientSession>(
      options,
      (reason) => {
        if (reason === "unexpected-data") this.#countUnexpectedData();
      },
      (socket, peer) => {
        this.#opened?.inc();
        const session = new Http1ClientSession(new Connection(socket, NOBODY), limits, peer.options);
        session.resolved = resolvedEndOf(socket);
        return session;
      },
      metrics && limitMetrics(metrics),
    );
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
   * A session with the peer: at once when an idle connection is there.
   * @param fresh Whether a kept connection will not do.
   * @param signal Gives the wait for a new connection up.
   * @throws CirqueError when the connection cannot be made, or is beyond the limit of the peer.
   */
  session(peer: HttpPeer, fresh = false, signal?: AbortSignal): ClientSession | Promise<ClientSession> {
    return (fresh ? undefined : this.keptSession(peer)) ?? this.newSession(peer, fresh, signal);
  }

  /** A session on an idle connection, if there is one. */
  keptSession(peer: HttpPeer): ClientSession | undefined {
    const kept = this.#source.take(peer);
    if (kept === undefined) return undefined;
    this.#reused?.inc();
    return kept.begin(peer.options, true);
  }

  /** A session on a new connection; or, unless it has to be fresh, on one that is given back while this waits for room. */
  async newSession(peer: HttpPeer, fresh = false, signal?: AbortSignal): Promise<ClientSession> {
    const { connection, kept } = await this.#source.open(peer, fresh, signal);
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
    return this.#source.preconnect(peer, count, signal);
  }

  /** Gives a session back after its exchange: the connection is kept if it can be used again (POOL-10), else closed. */
  release(session: ClientSession, peer: HttpPeer): void {
    if (!(session instanceof Http1ClientSession)) return;
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

  /** Closes what is idle, and keeps nothing from here on. */
  close(): void {
    this.#closed = true;
    this.#source.close();
  }

  #countUnexpectedData(): void {
    this.#unexpectedData++;
    this.#unexpected?.inc();
  }
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
