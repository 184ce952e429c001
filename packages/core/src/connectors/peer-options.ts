import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { inspect } from "node:util";
import { CirqueError } from "../errors/cirque-error.ts";
import { withDefaults } from "../options/with-defaults.ts";
import type { ProxyHeaderToSend } from "../proxy-protocol/encode-proxy-header.ts";
import type { ConnectFacts } from "./connect-facts.ts";
import type { NextHop } from "./next-hop.ts";
import type { Peer } from "./peer.ts";

/** How to connect to a peer, and how long to wait for it. Each option has the default of `DEFAULT_PEER_OPTIONS`. */
export interface PeerOptions {
  /**
   * The time that each step of connecting may take (PO-02): the name and the TCP connection, whatever number of addresses
   * is tried; the tunnel through the next hop; the TLS handshake. Default 5 s.
   */
  readonly connectionTimeoutMs?: number;
  /** The time until the connection is usable, all in all (PO-03). Default: no limit beside the one above. */
  readonly totalConnectionTimeoutMs?: number;
  /** Silence of the peer while a response is expected, or in the middle of one (PO-04). Default 60 s. */
  readonly readTimeoutMs?: number;
  /** A peer that takes nothing of the request (PO-05). Default 60 s. */
  readonly writeTimeoutMs?: number;
  /**
   * Whether a response with one Content-Length that is no number is taken as one without: its body lasts until the peer
   * closes (PO-19). Default false: it is refused, and the client gets 502.
   */
  readonly ignoreInvalidContentLength?: boolean;
  /**
   * How long an idle connection is kept; 0 keeps none (PO-06). Default 60 s. Where the peer says a shorter time in
   * `Keep-Alive`, it is kept up to a second less than that.
   */
  readonly idleTimeoutMs?: number;

  /**
   * The versions of HTTP that the peer is spoken to in (PO-11): `"1"` is HTTP/1.1; `"2"` is HTTP/2 alone, agreed on in TLS
   * or, without TLS, known before (RFC 9113, 3.3); `"2-or-1"` lets the peer choose in TLS, and is HTTP/1.1 without.
   * Default `"1"`. A `Peer` of another protocol has no use for it.
   */
  readonly http?: HttpVersions;
  /**
   * Requests on one HTTP/2 connection at once (PO-17); the peer may allow less. Beyond, another connection is made.
   * Default 100.
   */
  readonly maxStreams?: number;
  /**
   * How much of one response over HTTP/2 the peer may send beyond what was taken (PO-18): 1 to 2^31-1 bytes. It is the most
   * that a stalled client costs in memory. Default 128 KiB.
   */
  readonly streamWindowBytes?: number;
  /** The same for all responses of a connection that are on their way (PO-18). Default 16 MiB. */
  readonly connectionWindowBytes?: number;
  /**
   * How often an HTTP/2 connection is asked for a sign of life (PO-16); without an answer in 5 s it is closed. Default:
   * only when a request on it has run out of time.
   */
  readonly pingIntervalMs?: number;

  /** Connections to the address at once; beyond, requests wait for one (POOL-12). Default: no limit, and no cost. */
  readonly maxConnections?: number;
  /** How many requests may wait; those beyond fail at once with `ConnectionLimitReached`. Default 1,024. */
  readonly maxPendingRequests?: number;
  /** How long a request may wait, then it fails with `ConnectionLimitTimedout`. Default 5 s. */
  readonly pendingTimeoutMs?: number;

  /** The address and, if wanted, port to connect from (PO-01). */
  readonly localAddress?: string;
  readonly localPort?: number;
  /** Ports to connect from, the first and the last; one after the other is tried until one is free (PO-01). */
  readonly localPortRange?: readonly [low: number, high: number];
  /** Whether to connect from anywhere when the source address or port cannot be had (PO-01). Default false. */
  readonly localAddressFallback?: boolean;
  /** Keep-alive probes after so much idleness, in whole seconds (PO-13). Default: none. */
  readonly tcpKeepaliveMs?: number;
  /** The time between two probes, in whole seconds, and how many get no answer before the connection breaks (Node 26). */
  readonly tcpKeepaliveIntervalMs?: number;
  readonly tcpKeepaliveCount?: number;
  /** Marks packets with a code point of Differentiated Services, 0 to 63 (PO-15, RFC 2474; Node 26). Default: none. */
  readonly dscp?: number;

  /** A proxy to reach the peer through: HTTP CONNECT or SOCKS5 (PEER-03). */
  readonly nextHop?: NextHop;
  /**
   * Makes the transport in place of TCP (PO-25, CONN-05): any duplex stream will do. TLS, if the peer wants it, is spoken
   * over it. Peers with different functions never share connections.
   */
  readonly connect?: (peer: Peer, signal: AbortSignal) => Duplex | Promise<Duplex>;

  /**
   * A header of the PROXY protocol to send first, before TLS (CONN-08): it tells the peer who the client is. A connection
   * serves only peers with the very same header: one client, if it has the client's address and port.
   */
  readonly proxyProtocol?: ProxyHeaderToSend;

  /** Whether to speak TLS. Default false; true when `sni` is set. */
  readonly tls?: boolean;
  /** The name to ask for and to verify (RFC 6066, 3). Default: the host of the address, if that is a name. */
  readonly sni?: string;
  /** Whether the certificate must lead to a trusted root (PO-07). Default true. With false, any certificate will do. */
  readonly verifyCert?: boolean;
  /** Whether the certificate must be for `sni` (PO-08). Default true. */
  readonly verifyHostname?: boolean;
  /** Another name that the certificate may be for (PO-10). */
  readonly alternativeName?: string;
  /** Trust roots in PEM, used in place of the configured or built-in ones (PO-12). */
  readonly ca?: string;
  /** A client certificate: chain and key in PEM (PEER-04). */
  readonly clientCertificate?: { readonly cert: string; readonly key: string };
  /**
   * Protocols to offer, the preferred one first (PO-11, RFC 7301). Default: those of `http` for an `HttpPeer`, which takes
   * nothing else but `[]` with `"1"`; none for a `Peer`.
   */
  readonly alpn?: readonly string[];
  /** Groups for the key exchange as OpenSSL lists them, such as `X25519MLKEM768:X25519` (PO-21). Default: OpenSSL's. */
  readonly curves?: string;

  /** Peers with different keys never share connections, however alike they are (PEER-07). */
  readonly groupKey?: string;
  /** Told of each connection that is made for this peer, and of its end (PO-24). */
  readonly tracer?: ConnectionTracer;
  /** Gets the TCP socket before it connects, to set what no option here sets (PO-26). */
  readonly onSocket?: (socket: Socket) => void;
  /** Gets the socket after its TLS handshake; what it returns is kept in the facts of the connection (PO-28). */
  readonly onTlsHandshake?: (socket: TLSSocket) => unknown;
}

/** HTTP/1.1, HTTP/2, or what the peer prefers. */
export type HttpVersions = "1" | "2" | "2-or-1";

/** Follows connections from their making to their end (PO-24). */
export interface ConnectionTracer {
  /** A connection is usable. To throw is to give it up: the request fails with `InternalError`. */
  onConnected?(facts: ConnectFacts): void;
  /** It is closed. */
  onDisconnected?(facts: ConnectFacts): void;
}

/** Options that always have a value. */
export interface ResolvedPeerOptions extends PeerOptions {
  readonly connectionTimeoutMs: number;
  readonly totalConnectionTimeoutMs: number;
  readonly readTimeoutMs: number;
  readonly writeTimeoutMs: number;
  readonly ignoreInvalidContentLength: boolean;
  readonly idleTimeoutMs: number;
  readonly http: HttpVersions;
  readonly maxStreams: number;
  readonly streamWindowBytes: number;
  readonly connectionWindowBytes: number;
  readonly pingIntervalMs: number;
  readonly maxConnections: number;
  readonly maxPendingRequests: number;
  readonly pendingTimeoutMs: number;
  readonly localAddressFallback: boolean;
  readonly tls: boolean;
  readonly verifyCert: boolean;
  readonly verifyHostname: boolean;
}

/** What holds where a peer says nothing. */
export const DEFAULT_PEER_OPTIONS: ResolvedPeerOptions = {
  connectionTimeoutMs: 5_000,
  totalConnectionTimeoutMs: Number.POSITIVE_INFINITY,
  readTimeoutMs: 60_000,
  writeTimeoutMs: 60_000,
  ignoreInvalidContentLength: false,
  idleTimeoutMs: 60_000,
  http: "1",
  maxStreams: 100,
  // A hundred clients that stall while the origin sends cost 12.5 MiB at most.
  streamWindowBytes: 128 * 1024,
  // Stalled responses take none of it from the others: what has come is always acknowledged for the connection.
  connectionWindowBytes: 16 * 1024 * 1024,
  pingIntervalMs: Number.POSITIVE_INFINITY,
  maxConnections: Number.POSITIVE_INFINITY,
  maxPendingRequests: 1_024,
  pendingTimeoutMs: 5_000,
  localAddressFallback: false,
  tls: false,
  verifyCert: true,
  verifyHostname: true,
};

/** @throws CirqueError `InvalidArgument` for an option that is not of its kind. */
export function resolvePeerOptions(options: PeerOptions): ResolvedPeerOptions {
  const resolved: ResolvedPeerOptions = withDefaults(DEFAULT_PEER_OPTIONS, options);
  check(resolved);
  return options.sni !== undefined && options.tls === undefined ? { ...resolved, tls: true } : resolved;
}

function check(options: ResolvedPeerOptions): void {
  const { localPort, localPortRange, dscp, alpn, nextHop, connect, maxConnections } = options;
  if (maxConnections < 1) refuse("maxConnections", maxConnections, "1 or more");
  checkHttp2(options);
  if (localPort !== undefined && !isPort(localPort)) refuse("localPort", localPort, "a port, 0 to 65535");
  if (localPortRange !== undefined) {
    const [low, high] = localPortRange;
    if (!(isPort(low) && isPort(high) && low > 0 && low <= high)) {
      refuse("localPortRange", localPortRange, "two ports, the lower one first, such as [20000, 29999]");
    }
    if (localPort !== undefined) refuse("localPortRange", localPortRange, "one of it and localPort");
  }
  if (dscp !== undefined && !(Number.isInteger(dscp) && dscp >= 0 && dscp < 64)) refuse("dscp", dscp, "0 to 63");
  if (alpn !== undefined && !(Array.isArray(alpn) && alpn.every(isProtocolName))) {
    refuse("alpn", alpn, 'a list of names of 1 to 255 bytes, such as ["http/1.1"]');
  }
  if (nextHop !== undefined) checkNextHop(nextHop);
  if (connect !== undefined) {
    if (typeof connect !== "function") refuse("connect", connect, "a function");
    if (nextHop !== undefined) refuse("connect", connect, "one of it and nextHop; it can be an option of the next hop");
  }
}

function checkHttp2(options: ResolvedPeerOptions): void {
  const { http, maxStreams, streamWindowBytes, connectionWindowBytes, pingIntervalMs } = options;
  if (http !== "1" && http !== "2" && http !== "2-or-1") refuse("http", http, '"1", "2" or "2-or-1"');
  if (!(maxStreams >= 1)) refuse("maxStreams", maxStreams, "1 or more");
  if (!isWindow(streamWindowBytes)) refuse("streamWindowBytes", streamWindowBytes, "1 to 2^31-1");
  if (!isWindow(connectionWindowBytes)) refuse("connectionWindowBytes", connectionWindowBytes, "1 to 2^31-1");
  if (!(pingIntervalMs > 0)) refuse("pingIntervalMs", pingIntervalMs, "more than 0");
}

/** RFC 9113, 6.9.1. */
function isWindow(bytes: number): boolean {
  return Number.isInteger(bytes) && bytes > 0 && bytes < 2 ** 31;
}

function checkNextHop(nextHop: NextHop): void {
  const { protocol, headers, credentials } = nextHop;
  if (protocol !== "connect" && protocol !== "socks5") {
    refuse("nextHop.protocol", protocol, '"connect" or "socks5"');
  }
  if (protocol === "socks5" && headers !== undefined) refuse("nextHop.headers", headers, "none with SOCKS5");
  if (credentials === undefined) return;
  const { username, password } = credentials;
  // RFC 1929, 2. RFC 7617, 2, forbids the colon, which ends the name.
  const fits = (text: string): boolean => typeof text === "string" && Buffer.byteLength(text) <= 255;
  const named = fits(username) && username !== "" && !(protocol === "connect" && username.includes(":"));
  if (!named || !fits(password)) {
    // The password is none of the log's business.
    throw invalid("nextHop.credentials are none: a user name of 1 to 255 bytes and a password of at most 255");
  }
}

function isPort(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= 65_535;
}

function isProtocolName(name: unknown): boolean {
  return typeof name === "string" && name !== "" && Buffer.byteLength(name) <= 255;
}

function refuse(option: string, value: unknown, expected: string): never {
  throw invalid(`${option} is ${inspect(value, { depth: 1 })}; expected ${expected}`, { option });
}

function invalid(message: string, context: Record<string, unknown> = {}): CirqueError {
  return CirqueError.internal("InvalidArgument", message, { context });
}
