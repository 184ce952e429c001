import { parseSocketAddress, type SocketAddress } from "../address/socket-address.ts";
import { CirqueError } from "../errors/cirque-error.ts";
import { withDefaults } from "../options/with-defaults.ts";

/** How to connect to a peer, and how long to wait for it. Each option has the default of `DEFAULT_PEER_OPTIONS`. */
export interface PeerOptions {
  /** The time that the TCP connection may take, and again the TLS handshake (PO-02). Default 5 s. */
  readonly connectionTimeoutMs?: number;
  /** The time until the connection is usable, all in all (PO-03). Default: no limit beside the one above. */
  readonly totalConnectionTimeoutMs?: number;
  /** Silence of the peer while a response is expected, or in the middle of one (PO-04). Default 60 s. */
  readonly readTimeoutMs?: number;
  /** A peer that takes nothing of the request (PO-05). Default 60 s. */
  readonly writeTimeoutMs?: number;
  /**
   * How long an idle connection is kept; 0 keeps none (PO-06). Default 60 s. Where the peer says a shorter time in
   * `Keep-Alive`, it is kept up to a second less than that.
   */
  readonly idleTimeoutMs?: number;
  /** The address and, if wanted, port to connect from (PO-01). */
  readonly localAddress?: string;
  readonly localPort?: number;
  /** Keep-alive probes after so much idleness (PO-13). Default: none. */
  readonly tcpKeepaliveMs?: number;

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

  /** Peers with different keys never share connections, however alike they are (PEER-07). */
  readonly groupKey?: string;
}

/** Options that always have a value. */
export interface ResolvedPeerOptions extends PeerOptions {
  readonly connectionTimeoutMs: number;
  readonly totalConnectionTimeoutMs: number;
  readonly readTimeoutMs: number;
  readonly writeTimeoutMs: number;
  readonly idleTimeoutMs: number;
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
  idleTimeoutMs: 60_000,
  tls: false,
  verifyCert: true,
  verifyHostname: true,
};

/** Where a request goes: an address, and how to talk to it (PEER-01, PEER-02, PEER-07). Cheap to make for each request. */
export class HttpPeer {
  /** `1.2.3.4:80`, `[::1]:80`, `name:80`, `unix:/path` or `/path`. */
  readonly address: string;
  readonly socketAddress: SocketAddress;
  readonly options: ResolvedPeerOptions;
  #reuseKey: string | undefined;

  /**
   * @throws CirqueError `InvalidArgument` when the address cannot be read, or an option is not of its kind.
   */
  constructor(address: string, options?: PeerOptions) {
    this.address = address;
    this.socketAddress = parsedAddress(address);
    this.options = options === undefined ? DEFAULT_PEER_OPTIONS : resolveOptions(options);
  }

  /** The name to ask for and to verify in TLS; undefined without TLS, or for an address that is no name. */
  get sni(): string | undefined {
    if (!this.options.tls) return undefined;
    if (this.options.sni !== undefined) return this.options.sni === "" ? undefined : this.options.sni;
    return "host" in this.socketAddress && !isIpAddress(this.socketAddress.host) ? this.socketAddress.host : undefined;
  }

  /** The scheme of requests to it. */
  get scheme(): "http" | "https" {
    return this.options.tls ? "https" : "http";
  }

  /**
   * What a connection is kept under (POOL-01): peers share one only when everything that could change its meaning is
   * the same: the address, the name and the verification in TLS, the certificates, where it comes from, the group.
   */
  get reuseKey(): string {
    this.#reuseKey ??= this.options === DEFAULT_PEER_OPTIONS ? this.address : reuseKeyOf(this);
    return this.#reuseKey;
  }

  toString(): string {
    return `${this.scheme}://${this.address}`;
  }
}

function resolveOptions(options: PeerOptions): ResolvedPeerOptions {
  const resolved = withDefaults(DEFAULT_PEER_OPTIONS, options);
  return options.sni !== undefined && options.tls === undefined ? { ...resolved, tls: true } : resolved;
}

function reuseKeyOf(peer: HttpPeer): string {
  const { options } = peer;
  if (
    !options.tls &&
    options.groupKey === undefined &&
    options.localAddress === undefined &&
    options.localPort === undefined
  ) {
    return peer.address;
  }
  // As JSON, so that no two lists of parts read the same.
  return JSON.stringify([
    peer.address,
    options.localAddress,
    options.localPort,
    options.groupKey,
    options.tls && [
      peer.sni,
      options.verifyCert,
      options.verifyHostname,
      options.alternativeName,
      options.ca,
      options.clientCertificate?.cert,
      options.clientCertificate?.key,
    ],
  ]);
}

/** Addresses parsed before. A proxy names the same few again and again; the bound is for those that come from requests. */
const parsed = new Map<string, SocketAddress>();
const MAX_PARSED = 4096;

function parsedAddress(address: string): SocketAddress {
  const known = parsed.get(address);
  if (known !== undefined) return known;
  const result = parseSocketAddress(address);
  if (parsed.size >= MAX_PARSED) parsed.clear();
  parsed.set(address, result);
  return result;
}

function isIpAddress(host: string): boolean {
  return host.includes(":") || /^[\d.]+$/.test(host);
}

/** Refuses TLS options that could not be verified as they were meant. */
export function checkTlsName(peer: HttpPeer): void {
  const { verifyCert, verifyHostname } = peer.options;
  if (!peer.options.tls || !verifyCert || !verifyHostname || peer.sni !== undefined) return;
  if ("path" in peer.socketAddress) {
    throw CirqueError.internal(
      "InvalidArgument",
      `${peer} needs an "sni" to verify the certificate of a Unix socket against`,
    );
  }
}
