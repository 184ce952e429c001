import type { TLSSocket } from "node:tls";
import type { AcceptedConnection, Connection, Peer } from "@cirque/core";
import type { ClientHello } from "../client-hello/client-hello.ts";

/** What is known of one connection that is proxied. Callbacks read it, the proxy writes it. */
export class TcpSession {
  /** Where it was accepted, as configured. */
  readonly listener: string;
  /** The client's address and port: what the PROXY protocol said where the listener reads it, else that of the socket. */
  readonly clientAddress: string;
  /** The address and port that the client connected to. */
  readonly localAddress: string;
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
    this.listener = accepted.endpoint.address;
    this.clientAddress = connection.remoteAddress;
    this.localAddress = connection.localAddress;
  }

  /** The client's TLS connection where it is terminated here: its methods tell protocol, cipher and certificates. */
  get tls(): TLSSocket | undefined {
    return this.#connection.tls;
  }

  /** Time since the connection was accepted. */
  get elapsedMs(): number {
    return performance.now() - this.#connection.establishedAt;
  }
}
