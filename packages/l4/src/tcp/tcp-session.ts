import type { AcceptedConnection, Connection, Peer } from "@cirque/core";
import type { ClientHello } from "../client-hello/client-hello.ts";

/** What is known of one connection that is proxied. Callbacks read it, the proxy writes it. */
export class TcpSession {
  /** All that the listener knows of it: where it was accepted, what a proxy in front said, what TLS agreed on. */
  readonly accepted: AcceptedConnection;
  /** When it was accepted, in milliseconds since 1970. */
  readonly startedAt: number = Date.now();
  /** What the client said first, with `readClientHello`. */
  clientHello: ClientHello | undefined;
  /** The peer that is connected to, or was tried last. */
  peer: Peer | undefined;
  /** How many peers were tried. */
  attempts = 0;
  /** Time from the start until the peer was connected; `undefined` until then. */
  connectMs: number | undefined;
  /** Time from the start to the end; `undefined` until then. */
  durationMs: number | undefined;
  /** Bytes from the client to the peer, inside TLS where it is terminated here. */
  uploadBytes = 0;
  /** Bytes from the peer to the client, likewise. */
  downloadBytes = 0;
  readonly #connection: Connection;

  constructor(connection: Connection, accepted: AcceptedConnection) {
    this.#connection = connection;
    this.accepted = accepted;
  }

  /** The client's address and port: what the PROXY protocol said where the listener reads it, else that of the socket. */
  get clientAddress(): string {
    return this.accepted.clientAddress;
  }

  /** The address and port that the client connected to, likewise. */
  get serverAddress(): string {
    return this.accepted.serverAddress;
  }

  /** Time since the connection was accepted. */
  get elapsedMs(): number {
    return performance.now() - this.#connection.establishedAt;
  }
}
