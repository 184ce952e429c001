import { ConnectionRefused } from "../connection-refused.ts";
import { CertificateChoiceFailed, NoCertificate } from "./server-options.ts";

/** Why a handshake failed: a few names for metrics, and OpenSSL's words for logs (`LST-30`). */
export function handshakeRefusal(error: NodeJS.ErrnoException, authorizationError: unknown): ConnectionRefused {
  if (error instanceof CertificateChoiceFailed) {
    return new ConnectionRefused("tls-certificate-error", "`certificateFor` failed", { cause: error.cause });
  }
  if (error instanceof NoCertificate) return new ConnectionRefused("tls-no-certificate", error.message);
  if (typeof authorizationError === "string" && authorizationError !== "") {
    return new ConnectionRefused("tls-client-certificate", `its certificate is not right: ${authorizationError}`);
  }
  const code = error.code ?? "";
  const reason = reasons.find(([pattern]) => pattern.test(code))?.[1] ?? "other";
  const words = "reason" in error && typeof error.reason === "string" ? error.reason : code || error.message;
  return new ConnectionRefused(`tls-${reason}`, `the TLS handshake failed: ${words}`);
}

/** The codes that Node makes of what OpenSSL says. */
const reasons: readonly (readonly [RegExp, string])[] = [
  [/^ERR_TLS_HANDSHAKE_TIMEOUT$/, "timeout"],
  [/^(?:ECONNRESET|EPIPE|ECONNABORTED)$/, "client-gone"],
  [/^ERR_SSL_(?:HTTP_REQUEST|HTTPS_PROXY_REQUEST)$/, "plain-http"],
  [/^ERR_SSL_NO_APPLICATION_PROTOCOL$/, "alpn"],
  [/^ERR_SSL_(?:UNSUPPORTED_PROTOCOL|VERSION_TOO_LOW|WRONG_SSL_VERSION|INAPPROPRIATE_FALLBACK)$/, "version"],
  [
    /^ERR_SSL_(?:NO_SHARED_CIPHER|NO_SUITABLE_(?:SIGNATURE_ALGORITHM|GROUPS|KEY_SHARE)|NO_SHARED_GROUPS?)$/,
    "no-common-cipher",
  ],
  [
    /^ERR_SSL_(?:PEER_DID_NOT_RETURN_A_CERTIFICATE|NO_CERTIFICATE_RETURNED|CERTIFICATE_VERIFY_FAILED)$/,
    "client-certificate",
  ],
  [/^ERR_SSL_(?:SSL|SSLV3|TLS|TLSV1|TLSV13)_ALERT_/, "client-alert"],
  [/^ERR_SSL_/, "malformed"],
];
