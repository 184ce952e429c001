import type { Http1ClientSession } from "../http1/client-session.ts";
import { Http2ClientConnection } from "../http2/client-connection.ts";
import type { ClientSession } from "../session/client-session.ts";
import type { ConnectionSource } from "./connection-source.ts";
import type { HttpPeer } from "./http-peer.ts";
import { SharedAttempt } from "./shared-attempt.ts";

/** What a connector keeps: a connection for one request after another, or for many at once. */
export type HttpConnection = Http1ClientSession | Http2ClientConnection;

/**
 * The HTTP/2 connections of a connector. Those in use that have room for more requests are found here, idle ones in the
 * pool, where each counts as one, and those that are being made are shared by the requests that come meanwhile.
 */
export class Http2Connections {
  readonly #source: ConnectionSource<HttpConnection>;
  readonly #inUse = new Map<string, Set<Http2ClientConnection>>();
  readonly #attempts = new Map<string, SharedAttempt>();

  constructor(source: ConnectionSource<HttpConnection>) {
    this.#source = source;
  }

  /** A connection with room for one more request, which is reserved (H2U-01): one in use, else an idle one. */
  take(peer: HttpPeer): Http2ClientConnection | undefined {
    for (const connection of this.#inUse.get(peer.reuseKey) ?? []) {
      if (!connection.hasRoom) continue;
      // Its name leads elsewhere by now (POOL-03): whoever is on it may finish.
      if (!this.#source.mayBeUsed(connection)) connection.drain();
      else {
        connection.reserve();
        this.#note(connection);
        return connection;
      }
    }
    const idle = this.#source.take(peer);
    if (!(idle instanceof Http2ClientConnection)) return undefined;
    idle.reserve();
    this.#note(idle);
    return idle;
  }

  /** A session on a connection that is being made, by this caller or by one before; `undefined` to try again. */
  open(peer: HttpPeer, signal: AbortSignal | undefined): Promise<ClientSession | undefined> {
    const key = peer.reuseKey;
    let attempt = this.#attempts.get(key);
    if (attempt === undefined || !attempt.mayBeJoined(peer)) {
      attempt = new SharedAttempt(this.#source, this);
      this.#attempts.set(key, attempt);
      attempt.start(peer, () => {
        if (this.#attempts.get(key) === attempt) this.#attempts.delete(key);
      });
    }
    return attempt.join(peer, signal);
  }

  /** Looks after a connection from its making on. */
  adopt(connection: Http2ClientConnection): void {
    connection.onChange = (changed) => this.settle(changed);
  }

  /** Gives room to those who wait for it, and finds the place of the connection: in use, in the pool, or nowhere. */
  settle(connection: Http2ClientConnection): void {
    while (connection.hasRoom && this.#source.offer(connection.peer, connection)) connection.reserve();
    this.#note(connection);
    if (connection.openStreams > 0) return;
    if (!connection.usable) connection.close();
    else if (connection.hasRoom) this.#source.put(connection.peer, connection, connection.peer.options.idleTimeoutMs);
  }

  #note(connection: Http2ClientConnection): void {
    const key = connection.peer.reuseKey;
    const others = this.#inUse.get(key);
    if (connection.openStreams > 0 && connection.hasRoom) {
      if (others === undefined) this.#inUse.set(key, new Set([connection]));
      else others.add(connection);
    } else if (others?.delete(connection) === true && others.size === 0) this.#inUse.delete(key);
  }
}
