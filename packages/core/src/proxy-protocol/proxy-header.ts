/**
 * What a proxy says of a connection in front of its bytes: the header of the PROXY protocol, version 1 (a line of text)
 * or 2 (binary, with room for more). Source: the specification by HAProxy Technologies, "The PROXY protocol".
 */
export interface ProxyHeader extends ProxyHeaderFields {
  readonly version: 1 | 2;
  /**
   * `"proxy"`: the connection is relayed for the client at `source`. `"local"`: the proxy itself makes it, to check our
   * health for example, and the addresses of the socket are the right ones.
   */
  readonly command: "proxy" | "local";
  /** What the client's connection is; `"unspecified"` when the proxy does not know, and then there are no addresses. */
  readonly transport: "stream" | "datagram" | "unspecified";
  /** The client's address: `192.0.2.1:1234`, `[2001:db8::1]:1234` or `unix:/path`. */
  readonly source: string | undefined;
  /** The address that the client connected to. */
  readonly destination: string | undefined;
}

/** What version 2 can say besides addresses. */
export interface ProxyHeaderFields {
  /** The host name that the client asked for, such as that of SNI (`PP2_TYPE_AUTHORITY`). */
  readonly authority?: string | undefined;
  /** The application protocol that was agreed on in the client's TLS, such as `h2` (`PP2_TYPE_ALPN`). */
  readonly alpn?: string | undefined;
  /** At most 128 bytes that name the connection (`PP2_TYPE_UNIQUE_ID`). */
  readonly uniqueId?: Buffer | undefined;
  /** The client's TLS connection with the proxy (`PP2_TYPE_SSL`). */
  readonly ssl?: ProxySsl | undefined;
  /** All other records, in their order: those of Amazon (0xEA) and Azure (0xEE) for example. */
  readonly tlvs?: readonly ProxyTlv[] | undefined;
}

/** A record of a type that this program gives no meaning to. */
export interface ProxyTlv {
  /** 0 to 255; 0xE0 to 0xEF are for applications. */
  readonly type: number;
  readonly value: Buffer;
}

/** The client's TLS connection with the proxy. */
export interface ProxySsl {
  /** Whether the client came over TLS. */
  readonly tls: boolean;
  /** Whether the client showed a certificate on this connection, and whether on one of the same TLS session. */
  readonly certificateOnConnection: boolean;
  readonly certificateInSession: boolean;
  /** Whether the certificate was shown and found right. */
  readonly verified: boolean;
  /** Such as `TLSv1.3`. */
  readonly version?: string | undefined;
  /** The common name of the client's certificate. */
  readonly commonName?: string | undefined;
  /** Such as `ECDHE-RSA-AES128-GCM-SHA256`. */
  readonly cipher?: string | undefined;
  /** The algorithms of the certificate that the proxy showed: its signature, such as `SHA256`, and its key, such as `RSA2048`. */
  readonly signatureAlgorithm?: string | undefined;
  readonly keyAlgorithm?: string | undefined;
}
