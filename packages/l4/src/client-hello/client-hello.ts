/** What the first message of a TLS client says in clear (RFC 8446, 4.1.2). */
export interface ClientHello {
  /**
   * The name that the client asks for (RFC 6066, 3), in lower case, without a dot at its end; `undefined` when it names none, an IP address for
   * example. With `encryptedClientHello` it is the outer name: that of the front, not of the site.
   */
  readonly serverName: string | undefined;
  /** The protocols that it offers inside TLS (RFC 7301), as latin1 text, best first: `h2`, `http/1.1`. */
  readonly alpnProtocols: readonly string[];
  /** The versions of TLS that it offers: `TLSv1.3`, `TLSv1.2`, ... */
  readonly versions: readonly string[];
  /** Whether it hides a second ClientHello with the true name inside (ECH). Clients also pretend to (GREASE). */
  readonly encryptedClientHello: boolean;
}

/** Why something is not a ClientHello. */
export type ClientHelloFault =
  /** The first bytes are not those of TLS. */
  | "not-tls"
  /** The record is empty, too long, or of another version. */
  | "bad-record"
  /** TLS, but another message than a ClientHello. */
  | "not-client-hello"
  /** It is longer than allowed. */
  | "too-long"
  /** The lengths inside do not add up, or an extension stands there twice. */
  | "bad-message"
  /** The name holds what no host name does. */
  | "bad-server-name";
