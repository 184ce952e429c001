import { Connection, type ConnectionListener } from "../connection/connection.ts";
import { Deadline } from "../connection/deadline.ts";
import type { ConnectOptions } from "./connect.ts";
import type { UnusableReason } from "./connection-pool.ts";
import {
  ConnectionSource,
  type PooledConnection,
  type PoolOptions,
  type ResolvedEnd,
  resolvedEndOf,
} from "./connection-source.ts";
import type { Peer } from "./peer.ts";

/** Settings of a {@link TransportConnector}. */
export interface TransportConnectorOptions extends ConnectOptions, PoolOptions<{ readonly connection: Connection }> {}

/**
 * Connections for protocols other than HTTP, kept for reuse like those for HTTP (POOL-13, CONN-06).
 *
 * @example
 * const connector = new TransportConnector();
 * const connection = await connector.connect(peer);
 * connection.listener = new MyProtocol(connection);
 * connection.resume();
 * // ... and when an exchange is complete, and nothing more is to come:
 * connector.release(connection, peer);
 */
export class TransportConnector {
  readonly #source: ConnectionSource<KeptConnection>;
  #unexpectedData = 0;

  /** @throws RangeError for a pool size that is no number. */
  constructor(options: TransportConnectorOptions = {}) {
    this.#source = new ConnectionSource<KeptConnection>(
      options,
      (reason) => {
        if (reason === "unexpected-data") this.#unexpectedData++;
      },
      (socket) => new KeptConnection(new Connection(socket, NOBODY), resolvedEndOf(socket)),
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

  /**
   * A connection with the peer: at once when an idle one is there, else a new one. Set its listener, and resume it. Its
   * `exchanges` counts how often it was handed out: more than 1 means that it was kept before.
   * @param fresh Whether a kept one will not do.
   * @param signal Gives the wait for a new one up.
   * @throws CirqueError when it cannot be made, or is beyond the limit of the peer.
   */
  connect(peer: Peer, fresh = false, signal?: AbortSignal): Connection | Promise<Connection> {
    const kept = fresh ? undefined : this.#source.take(peer);
    return kept === undefined ? this.#open(peer, fresh, signal) : handOut(kept);
  }

  /**
   * Gives a connection back that is at rest: whatever comes on it from here on is unasked for, and closes it. One that
   * cannot be used again is closed.
   */
  release(connection: Connection, peer: Peer): void {
    connection.flush();
    const kept = new KeptConnection(connection, resolvedEndOf(connection.socket));
    if (connection.writable && connection.socket.readable) this.#source.put(peer, kept, peer.options.idleTimeoutMs);
    else kept.close();
  }

  /**
   * Makes connections ahead of their use; they go to the pool.
   * @returns How many were made.
   * @throws CirqueError when none could be made.
   */
  preconnect(peer: Peer, count = 1, signal?: AbortSignal): Promise<number> {
    return this.#source.preconnect(peer, count, signal);
  }

  /** Closes what is idle, and keeps nothing from here on. */
  close(): void {
    this.#source.close();
  }

  async #open(peer: Peer, fresh: boolean, signal: AbortSignal | undefined): Promise<Connection> {
    return handOut((await this.#source.open(peer, fresh, signal)).connection);
  }
}

function handOut({ connection }: KeptConnection): Connection {
  connection.exchanges++;
  connection.pause();
  connection.listener = NOBODY;
  return connection;
}

/** A connection in a pool, and what watches it there (POOL-08). */
class KeptConnection implements PooledConnection, ConnectionListener {
  readonly connection: Connection;
  readonly resolved: ResolvedEnd | undefined;
  readonly #deadline: Deadline;
  #onUnusable: ((reason: UnusableReason) => void) | undefined;

  constructor(connection: Connection, resolved: ResolvedEnd | undefined) {
    this.connection = connection;
    this.resolved = resolved;
    this.#deadline = new Deadline(() => this.#drop("idle-timeout"));
  }

  startIdle(idleTimeoutMs: number, onUnusable: (reason: UnusableReason) => void): void {
    this.#onUnusable = onUnusable;
    this.connection.listener = this;
    this.connection.resume();
    this.#deadline.set(idleTimeoutMs);
  }

  stopIdle(): boolean {
    this.#onUnusable = undefined;
    this.#deadline.dispose();
    return this.connection.writable && this.connection.socket.readable;
  }

  close(): void {
    this.#deadline.dispose();
    this.connection.destroy();
  }

  onBytes(): void {
    this.#drop("unexpected-data");
  }

  onEnd(): void {
    this.#drop("closed");
  }

  onDrain(): void {}

  onClose(): void {
    this.#drop("closed");
  }

  #drop(reason: UnusableReason): void {
    const onUnusable = this.#onUnusable;
    this.#onUnusable = undefined;
    this.close();
    onUnusable?.(reason);
  }
}

const NOBODY: ConnectionListener = { onBytes(): void {}, onEnd(): void {}, onDrain(): void {}, onClose(): void {} };
