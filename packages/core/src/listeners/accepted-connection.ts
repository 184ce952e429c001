import type { Socket } from "node:net";
import type { TlsDigest } from "../acceptance/tls/tls-digest.ts";
import { formatSocketEnd } from "../address/socket-address.ts";
import type { ProxyHeader } from "../proxy-protocol/proxy-header.ts";
import type { Endpoint } from "./endpoint.ts";

/** What is known of an accepted connection besides its bytes. Addresses have a port: `192.0.2.1:1234`, `[::1]:1234`, `unix:`. */
export interface AcceptedConnection {
  /** Where it was accepted. */
  readonly endpoint: Endpoint;
  /** The other end of the socket: the client, or a proxy in front of this server. */
  readonly peerAddress: string;
  /** Our end of the socket. */
  readonly localAddress: string;
  /** The client: what a trusted proxy said with the PROXY protocol, or a pre-TLS hook, else `peerAddress`. */
  readonly clientAddress: string;
  /** What the client connected to: what a trusted proxy said, else `localAddress`. */
  readonly serverAddress: string;
  /** What a trusted proxy said, if the listener reads the PROXY protocol (LST-29). */
  readonly proxyHeader: ProxyHeader | undefined;
  /** What was agreed on in TLS, on a listener that terminates it. */
  readonly tls: TlsDigest | undefined;
}

/**
 * What is known of a socket that was just accepted: for accept loops of one's own, which hand it on with the socket
 * (`LST-32`).
 */
export function describeAccepted(socket: Socket, endpoint: Endpoint): AcceptedConnection {
  const peerAddress = formatSocketEnd(socket.remoteAddress, socket.remotePort);
  const localAddress = formatSocketEnd(socket.localAddress, socket.localPort);
  return {
    endpoint,
    peerAddress,
    localAddress,
    clientAddress: peerAddress,
    serverAddress: localAddress,
    proxyHeader: undefined,
    tls: undefined,
  };
}
