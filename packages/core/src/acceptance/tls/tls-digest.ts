import type { TLSSocket } from "node:tls";

/** What was agreed on in the TLS handshake with a client: facts for logs and decisions (`V9-18`). */
export interface TlsDigest {
  /** Such as `TLSv1.3`. */
  readonly protocol: string;
  /** OpenSSL's name, such as `TLS_AES_128_GCM_SHA256`. */
  readonly cipher: string;
  /** The protocol that was chosen of those that both know, such as `h2`; undefined when the client offered none. */
  readonly alpnProtocol: string | undefined;
  /** The name that the client asked for (SNI). */
  readonly serverName: string | undefined;
  /** Whether an earlier session was resumed, so that neither side showed its certificate again. */
  readonly resumed: boolean;
  /** From the first byte of TLS that was waited for until the client was secured. */
  readonly handshakeMs: number;
  /** The client's certificate, if it was asked for and shown. */
  readonly clientCertificate: ClientCertificate | undefined;
  /** What `onHandshake` returned (`LST-25`). */
  readonly extension: unknown;
}

/** A certificate that a client showed. */
export interface ClientCertificate {
  /** Whether it leads to one of the authorities, and is neither expired nor not yet valid. */
  readonly authorized: boolean;
  /** Why not, such as `CERT_HAS_EXPIRED`. */
  readonly authorizationError: string | undefined;
  /** In the form of RFC 2253, such as `CN=client,O=Example`. */
  readonly subject: string;
  readonly issuer: string;
  /** In hexadecimal, upper case. */
  readonly serialNumber: string;
  /** SHA-256, in hexadecimal with colons. */
  readonly fingerprint256: string;
  /** The alternative names, as `X509Certificate.subjectAltName` gives them. */
  readonly subjectAltName: string | undefined;
}

/** Reads the facts of a socket whose handshake is over. */
export function digestOf(socket: TLSSocket, handshakeMs: number): Omit<TlsDigest, "extension"> {
  const { alpnProtocol } = socket;
  const serverName: unknown = "servername" in socket ? socket.servername : undefined;
  return {
    protocol: socket.getProtocol() ?? "unknown",
    cipher: socket.getCipher().name,
    alpnProtocol: alpnProtocol === false || alpnProtocol === null ? undefined : alpnProtocol,
    serverName: typeof serverName === "string" && serverName !== "" ? serverName : undefined,
    resumed: socket.isSessionReused(),
    handshakeMs,
    clientCertificate: clientCertificateOf(socket),
  };
}

function clientCertificateOf(socket: TLSSocket): ClientCertificate | undefined {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return undefined;
  const error: unknown = socket.authorizationError;
  return {
    authorized: socket.authorized,
    authorizationError: socket.authorized ? undefined : String(error),
    subject: oneLine(certificate.subject),
    issuer: oneLine(certificate.issuer),
    serialNumber: certificate.serialNumber,
    fingerprint256: certificate.fingerprint256,
    subjectAltName: certificate.subjectAltName,
  };
}

/** Node gives one attribute a line, the most general first. */
function oneLine(name: string | undefined): string {
  return (name ?? "").split("\n").reverse().join(",");
}
