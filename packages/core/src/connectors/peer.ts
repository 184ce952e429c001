import { isIP } from "node:net";
import { parseSocketAddress, type SocketAddress } from "../address/socket-address.ts";
import { CirqueError } from "../errors/cirque-error.ts";
import { encodeProxyHeader } from "../proxy-protocol/encode-proxy-header.ts";
import {
  DEFAULT_PEER_OPTIONS,
  type PeerOptions,
  type ResolvedPeerOptions,
  resolvePeerOptions,
} from "./peer-options.ts";
import { reuseKeyOf } from "./reuse-key.ts";

/**
 * Where to connect, and how (PEER-05, PEER-06): for protocols other than HTTP, which has `HttpPeer`. Cheap to make for each
 * connection. Options are read when it is made: an object of them may serve many peers.
 */
export class Peer {
  /** `1.2.3.4:80`, `[::1]:80`, `name:80`, `unix:/path` or `/path`. */
  readonly address: string;
  readonly socketAddress: SocketAddress;
  readonly options: ResolvedPeerOptions;
  #reuseKey: string | undefined;
  #nextHopPeer: Peer | undefined;
  #proxyHeader: Buffer | undefined;

  /**
   * @throws CirqueError `InvalidArgument` when the address cannot be read, or an option is not of its kind.
   */
  constructor(address: string, options?: PeerOptions) {
    this.address = address;
    this.socketAddress = parsedAddress(address);
    this.options = options === undefined ? DEFAULT_PEER_OPTIONS : resolvePeerOptions(options);
  }

  /** The name to ask for and to verify in TLS; undefined without TLS, or for an address that is no name. */
  get sni(): string | undefined {
    if (!this.options.tls) return undefined;
    if (this.options.sni !== undefined) return this.options.sni === "" ? undefined : this.options.sni;
    const address = this.socketAddress;
    // The dot behind a complete name is for resolvers (RFC 6066, 3).
    return "host" in address && isIP(address.host) === 0 ? address.host.replace(/\.$/, "") : undefined;
  }

  /** The protocols that are offered in TLS (RFC 7301). */
  get alpn(): readonly string[] {
    return this.options.alpn ?? [];
  }

  /**
   * What a connection is kept under (POOL-01): peers share one only when everything that could change its meaning is the
   * same: the address, the way there, where it comes from, what it says first, all about TLS but hooks, and the group.
   */
  get reuseKey(): string {
    this.#reuseKey ??= this.options === DEFAULT_PEER_OPTIONS ? this.address : reuseKeyOf(this);
    return this.#reuseKey;
  }

  /** The peer of the next hop. */
  get nextHopPeer(): Peer | undefined {
    const peer = this.options.nextHop?.peer;
    if (typeof peer !== "string") return peer;
    this.#nextHopPeer ??= new Peer(peer);
    return this.#nextHopPeer;
  }

  /**
   * The header of the PROXY protocol that connections begin with, as bytes.
   * @throws CirqueError `InvalidArgument` when what it is to say cannot be said.
   */
  get proxyHeader(): Buffer | undefined {
    const header = this.options.proxyProtocol;
    if (header !== undefined) this.#proxyHeader ??= encodeProxyHeader(header);
    return this.#proxyHeader;
  }

  toString(): string {
    return `${this.options.tls ? "tls" : "tcp"}://${this.address}`;
  }
}

/** Refuses TLS options that could not be verified as they were meant. */
export function checkTlsName(peer: Peer): void {
  const { verifyCert, verifyHostname } = peer.options;
  if (!peer.options.tls || !verifyCert || !verifyHostname || peer.sni !== undefined) return;
  if ("path" in peer.socketAddress) {
    throw CirqueError.internal(
      "InvalidArgument",
      `${peer} needs an "sni" to verify the certificate of a Unix socket against`,
    );
  }
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
