import { CirqueError } from "../errors/cirque-error.ts";
import type { ErrorCode } from "../errors/error-catalogue.ts";
import type { Peer } from "./peer.ts";

/** What a failed connect means (CONN-03). Nothing was sent, so it can be tried again, elsewhere perhaps (ERRP-02). */
export function connectError(peer: Peer, cause: Error): CirqueError {
  const system = (cause as NodeJS.ErrnoException).code ?? "";
  const code = CODES[system] ?? "ConnectError";
  // An error that stands for those of several addresses has no message of its own.
  return CirqueError.upstream(code, `could not connect to ${peer}: ${cause.message || system}`, {
    cause,
    retry: code !== "InternalError" && code !== "BindError",
    context: { peer: peer.address },
  });
}

/** What a failed TLS handshake means: a certificate that was refused is told from the rest. */
export function tlsError(peer: Peer, cause: Error): CirqueError {
  const system = (cause as NodeJS.ErrnoException).code ?? "";
  // An alert is what the peer thinks of us.
  const refused = /CERT|SELF_SIGNED|ALTNAME|UNABLE_TO|CRL|HOSTNAME|INVALID_CA/.test(system) && !/ALERT/.test(system);
  const code = refused ? "InvalidCert" : "TLSHandshakeFailure";
  return CirqueError.upstream(code, `TLS with ${peer} failed: ${cause.message}`, {
    cause,
    retry: code === "TLSHandshakeFailure",
    context: { peer: peer.address },
  });
}

const CODES: Readonly<Record<string, ErrorCode>> = {
  ECONNREFUSED: "ConnectRefused",
  // Nobody listens on the Unix socket's path.
  ENOENT: "ConnectRefused",
  ETIMEDOUT: "ConnectTimedout",
  EADDRNOTAVAIL: "BindError",
  EADDRINUSE: "InternalError",
  EACCES: "InternalError",
  EPERM: "InternalError",
  ENETUNREACH: "ConnectNoRoute",
  EHOSTUNREACH: "ConnectNoRoute",
};
