import { CirqueError, isCirqueError } from "../errors/cirque-error.ts";
import { Http2ClientConnection } from "../http2/client-connection.ts";
import type { ClientSession } from "../session/client-session.ts";
import type { ConnectionSource } from "./connection-source.ts";
import type { HttpPeer } from "./http-peer.ts";
import type { Http2Connections, HttpConnection } from "./http2-connections.ts";

/** One who waits for the connection. */
interface Waiter {
  readonly peer: HttpPeer;
  /** With undefined, it has to look for another connection. */
  resolve(session: ClientSession | undefined): void;
  reject(error: unknown): void;
}

/**
 * The making of a connection that several requests wait for: one handshake serves as many as the connection is going to
 * carry. It is given up when all of them have left.
 */
export class SharedAttempt {
  readonly #source: ConnectionSource<HttpConnection>;
  readonly #connections: Http2Connections;
  readonly #waiters = new Set<Waiter>();
  readonly #controller = new AbortController();
  /** Whether it is under way, and not in line for its turn (POOL-12): who comes meanwhile has a place in line of their own. */
  #making = false;

  constructor(source: ConnectionSource<HttpConnection>, connections: Http2Connections) {
    this.#source = source;
    this.#connections = connections;
  }

  /** Whether one more request can wait for it. */
  mayBeJoined(peer: HttpPeer): boolean {
    return this.#making && this.#waiters.size < peer.options.maxStreams && !this.#controller.signal.aborted;
  }

  /** @param onOver Called when nobody may join any longer. */
  start(peer: HttpPeer, onOver: () => void): void {
    const onMaking = (): void => {
      this.#making = true;
    };
    this.#source.open(peer, false, this.#controller.signal, onMaking).then(
      ({ connection, kept }) => {
        onOver();
        this.#share(connection, kept, peer);
      },
      (error: unknown) => {
        onOver();
        for (const waiter of this.#waiters) waiter.reject(ownError(error));
      },
    );
  }

  join(peer: HttpPeer, signal: AbortSignal | undefined): Promise<ClientSession | undefined> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#waiters.delete(waiter);
        signal?.removeEventListener("abort", onAbort);
      };
      const waiter: Waiter = {
        peer,
        resolve(session) {
          leave();
          resolve(session);
        },
        reject(error) {
          leave();
          reject(error);
        },
      };
      const onAbort = (): void => {
        const reason: unknown = signal?.reason;
        const message = `connecting to ${peer} was given up`;
        waiter.reject(
          isCirqueError(reason) ? reason : CirqueError.internal("ConnectError", message, { cause: reason }),
        );
        if (this.#waiters.size === 0) this.#controller.abort(reason);
      };
      this.#waiters.add(waiter);
      signal?.addEventListener("abort", onAbort);
      if (signal?.aborted === true) onAbort();
    });
  }

  #share(connection: HttpConnection, kept: boolean, peer: HttpPeer): void {
    if (!(connection instanceof Http2ClientConnection)) this.#giveToFirst(connection, peer);
    else if (kept) this.#giveReserved(connection);
    else this.#shareStreams(connection, peer);
    // Whoever got none looks for another connection.
    for (const waiter of this.#waiters) waiter.resolve(undefined);
  }

  /** Somebody gave room for one request. */
  #giveReserved(connection: Http2ClientConnection): void {
    const [first] = this.#waiters;
    if (first !== undefined) first.resolve(connection.begin(first.peer, true));
    else {
      connection.cancelReservation();
      this.#connections.settle(connection);
    }
  }

  #shareStreams(connection: Http2ClientConnection, peer: HttpPeer): void {
    if (!connection.hasRoom) {
      const error = CirqueError.upstream("H2Error", `${peer} takes no requests on its HTTP/2 connections`, {
        retry: true,
      });
      for (const waiter of this.#waiters) waiter.reject(ownError(error));
      connection.drain();
    }
    for (const waiter of this.#waiters) {
      if (!connection.hasRoom) break;
      connection.reserve();
      waiter.resolve(connection.begin(waiter.peer, false));
    }
    this.#connections.settle(connection);
  }

  /** It speaks HTTP/1.1, and serves one. */
  #giveToFirst(connection: Exclude<HttpConnection, Http2ClientConnection>, peer: HttpPeer): void {
    const [first] = this.#waiters;
    if (first !== undefined) first.resolve(connection.begin(first.peer.options, false));
    else this.#source.put(peer.overHttp1, connection, peer.options.idleTimeoutMs);
  }
}

/** Each request has an error of its own: what it decides about another attempt is written into it. */
function ownError(error: unknown): unknown {
  if (!isCirqueError(error)) return error;
  const { code, message, source, retry, status, custom, context, cause } = error;
  return new CirqueError(code, message, {
    source,
    retry,
    context,
    cause,
    ...(status !== undefined && { status }),
    ...(custom !== undefined && { custom }),
  });
}
