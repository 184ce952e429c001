import type { ResponseHead } from "@cirque/http";
import type { Peer } from "./peer.ts";

/**
 * A proxy on the way to a peer (PEER-03, CONN-04, CONN-08). It is asked to make a tunnel to the peer's address, and the rest,
 * TLS with the peer for one, goes through the tunnel. Names are resolved by the proxy.
 *
 * @example
 * new HttpPeer("api.example:443", { tls: true, nextHop: { protocol: "connect", peer: "10.0.0.1:3128" } });
 */
export interface NextHop {
  /** `connect`: HTTP CONNECT (RFC 9110, 9.3.6). `socks5`: SOCKS version 5 (RFC 1928). */
  readonly protocol: "connect" | "socks5";
  /**
   * The proxy: an address, that of a Unix socket included, or a peer with options of its own: TLS with the proxy, a source
   * address, even a next hop. Nothing is kept or counted for it: what its options say of that has no effect.
   */
  readonly peer: Peer | string;
  /** For proxies that ask for it: `Proxy-Authorization: Basic` (RFC 7617), or RFC 1929 with SOCKS5. */
  readonly credentials?: { readonly username: string; readonly password: string };
  /** More fields of the CONNECT request (PO-20). */
  readonly headers?: Readonly<Record<string, string>>;
  /** Gets the 2xx answer to CONNECT; what it returns is kept in the facts of the connection (PO-27). */
  readonly onResponse?: (response: ResponseHead) => unknown;
}
