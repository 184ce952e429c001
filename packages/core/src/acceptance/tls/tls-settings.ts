import type { SecureContext, SecureVersion, TLSSocket, TlsOptions } from "node:tls";
import type { AcceptedConnection } from "../../listeners/accepted-connection.ts";

/** A certificate and its key. Each is PEM text, or the path of a file that holds it. */
export interface CertificateSource {
  /** The certificate, followed by those that lead to the root. */
  readonly cert: string | Buffer;
  readonly key: string | Buffer;
  /** Decrypts the key. */
  readonly passphrase?: string | undefined;
}

/**
 * How a listener speaks TLS (`LST-18`). What is not said follows the intermediate profile of Mozilla's guidelines,
 * version 5 (`LST-19`): TLS 1.2 and 1.3, forward secrecy and authenticated encryption only, no renegotiation.
 */
export interface TlsSettings extends Partial<CertificateSource> {
  /**
   * The protocols to agree on, the preferred first (`LST-21`, `LST-22`): `["h2", "http/1.1"]`. A client that offers others
   * only gets a fatal alert (RFC 7301, 3.2). One that offers none is taken to speak `http/1.1`; it is refused where that is
   * not in the list. `[]` leaves ALPN out. Default: what the handler of the connections speaks, `["h2", "http/1.1"]` for
   * services of HTTP, else `["http/1.1"]`.
   */
  readonly alpn?: readonly string[] | undefined;
  /** Default: `"TLSv1.2"`. */
  readonly minVersion?: SecureVersion | undefined;
  /** Default: `"TLSv1.3"`. */
  readonly maxVersion?: SecureVersion | undefined;
  /** Asks clients for a certificate (`LST-26`, `LST-27`). Default: they are not asked. */
  readonly clientCertificates?: ClientCertificateSettings | undefined;
  /**
   * Chooses the certificate for the name that the client asks for, while the handshake waits (`LST-24`). Undefined means
   * `cert`; where there is none, the handshake fails. Without SNI it is not called, and `cert` is shown. Return the same
   * object for the same certificate: what OpenSSL makes of it is kept with it.
   */
  readonly certificateFor?: CertificateChooser | undefined;
  /**
   * Called when the handshake is over, with what is known of the connection (`LST-25`). What it returns becomes the
   * `extension` of the digest. When it throws or rejects, the connection is closed.
   */
  readonly onHandshake?: ((socket: TLSSocket, accepted: AcceptedConnection) => unknown) | undefined;
  /**
   * How long the handshake may take, from accept or from the end of what comes before TLS, with `certificateFor` and
   * `onHandshake` in it (`SVC-12`). Default: 10,000.
   */
  readonly handshakeTimeoutMs?: number | undefined;
  /** Whether clients may resume sessions by tickets. Default: `true`. */
  readonly sessionTickets?: boolean | undefined;
  /** How long a session may be resumed. Default: two hours. */
  readonly sessionTimeoutMs?: number | undefined;
  /**
   * 48 secret bytes that tickets are encrypted with. Default: random ones, the same in all threads of the process; then no
   * ticket outlives the process.
   */
  readonly ticketKeys?: Buffer | undefined;
  /** Takes TLS secrets, a line each, for debugging: see `keylogWriter`. */
  readonly onKeylog?: ((line: Buffer) => void) | undefined;
  /** Any other option of `tls.createServer`, which comes before those above (`LST-23`): ciphers, curves, PSK, OCSP. */
  readonly options?: TlsOptions | undefined;
}

/** See {@link TlsSettings.certificateFor}. */
export type CertificateChooser = (
  serverName: string,
) => CertificateSource | SecureContext | undefined | Promise<CertificateSource | SecureContext | undefined>;

/** Which certificates of clients are right. */
export interface ClientCertificateSettings {
  /** The authorities that issue them, as PEM text or the path of a file that holds it. */
  readonly ca: string | Buffer;
  /**
   * Whether a client needs a right one to be let in. Default: `true`. With `false`, one without, or with a wrong one, is
   * let in as well: look at `accepted.tls.clientCertificate?.authorized`.
   */
  readonly required?: boolean | undefined;
  /** Certificates that were revoked, as PEM text or the path of a file. Default: none. */
  readonly crl?: string | Buffer | undefined;
}
