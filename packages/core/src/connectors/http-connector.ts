import { type ParserLimits, ResponseParser } from "@cirque/http";
import { Connection } from "../connection/connection.ts";
import { Http1ClientSession } from "../http1/client-session.ts";
import type { Counter } from "../observability/metric.ts";
import type { MetricsRegistry } from "../observability/metrics-registry.ts";
import type { ClientSession } from "../session/client-session.ts";
import { type ConnectOptions, connect } from "./connect.ts";
import { ConnectionPool } from "./connection-pool.ts";
import type { HttpPeer } from "./http-peer.ts";

/** Settings of a connector. */
export interface HttpConnectorOptions extends ConnectOptions {
  /** Idle connections kept for each peer (CFG-17). Default 128. */
  readonly poolSize?: number;
  /** Idle connections kept in all. Default eight times `poolSize`. */
  readonly totalPoolSize?: number;
  /** What a response may be at most. */
  readonly limits?: Partial<ParserLimits>;
  /** Where connections are counted. Default: nowhere. */
  readonly metrics?: MetricsRegistry | undefined;
}

/** Sessions with origins: reused from the pool, or new (POOL-14). */
export class HttpConnector {
  readonly #options: HttpConnectorOptions;
  readonly #pool: ConnectionPool<Http1ClientSession>;
  readonly #opened: Counter | undefined;
  readonly #reused: Counter | undefined;
  readonly #unexpected: Counter | undefined;
  #unexpectedData = 0;
  #closed = false;

  /** @throws RangeError for a limit below 1, or a pool size that is no number. */
  constructor(options: HttpConnectorOptions = {}) {
    this.#options = options;
    // A wrong limit is to be found out here, and not with the first origin.
    new ResponseParser(options.limits);
    const perKey = options.poolSize ?? 128;
    this.#pool = new ConnectionPool({
      perKey,
      total: options.totalPoolSize ?? perKey * 8,
      onUnusable: (reason) => {
        if (reason === "unexpected-data") this.#countUnexpectedData();
      },
    });
    const metrics = options.metrics;
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
    return this.#pool.size;
  }

  /**
   * A session with the peer: at once when an idle connection is there.
   * @param fresh Whether a kept connection will not do.
   * @throws CirqueError when the connection cannot be made.
   */
  session(peer: HttpPeer, fresh = false): ClientSession | Promise<ClientSession> {
    const pooled = fresh ? undefined : this.#pool.take(peer.reuseKey);
    if (pooled === undefined) return this.#connect(peer);
    this.#reused?.inc();
    return pooled.begin(peer.options);
  }

  /** Gives a session back after its exchange: the connection is kept if it can be used again (POOL-10), else closed. */
  release(session: ClientSession, peer: HttpPeer): void {
    if (!(session instanceof Http1ClientSession)) return;
    session.observer = undefined;
    if (!this.#closed && session.reusable) {
      const idleTimeoutMs = Math.min(peer.options.idleTimeoutMs, untilOriginCloses(session));
      this.#pool.put(peer.reuseKey, session, idleTimeoutMs);
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
    this.#pool.clear();
  }

  async #connect(peer: HttpPeer): Promise<ClientSession> {
    const socket = await connect(peer, this.#options);
    this.#opened?.inc();
    const connection = new Connection(socket, NOBODY);
    return new Http1ClientSession(connection, this.#options.limits ?? {}, peer.options).begin(peer.options);
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

const NOBODY = { onBytes(): void {}, onEnd(): void {}, onDrain(): void {}, onClose(): void {} };
