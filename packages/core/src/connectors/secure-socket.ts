import net from "node:net";
import type { Duplex } from "node:stream";
import tls from "node:tls";
import { CirqueError, isCirqueError } from "../errors/cirque-error.ts";
import type { Cancellation } from "./cancellation.ts";
import { tlsError } from "./connect-error.ts";
import type { Peer } from "./peer.ts";

/** Settings of TLS with peers. */
export interface SecureOptions {
  /** Trust roots in PEM, in place of the built-in ones (CFG-12). */
  readonly ca?: string | undefined;
  /** Takes TLS secrets, a line each, for debugging (CFG-20). */
  readonly onKeylog?: ((line: Buffer) => void) | undefined;
}

/**
 * Does the TLS handshake with the peer over a transport, which is destroyed when that fails.
 * @throws CirqueError, upstream, `InvalidCert` or `TLSHandshakeFailure`; the reason when it is cancelled.
 */
export function secureSocket(
  transport: Duplex,
  peer: Peer,
  options: SecureOptions,
  cancellation: Cancellation,
): Promise<tls.TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = startHandshake(transport, peer, options);
    const stop = (): void => {
      cancellation.onCancel = undefined;
      socket.off("secureConnect", onSecure);
      socket.off("close", onClose);
    };
    const fail = (error: unknown): void => {
      stop();
      // `onError` stays: an error that comes after this one must not be unhandled.
      socket.destroy();
      transport.destroy();
      reject(isCirqueError(error) ? error : tlsError(peer, error as Error));
    };
    const onSecure = (): void => {
      stop();
      socket.off("error", onError);
      resolve(socket);
    };
    const onError = (error: Error): void => fail(error);
    const onClose = (): void => fail(new Error("the peer closed the connection"));
    socket.on("secureConnect", onSecure);
    socket.on("error", onError);
    socket.on("close", onClose);
    cancellation.onCancel = fail;
    if (cancellation.cancelled) fail(cancellation.reason);
  });
}

function startHandshake(transport: Duplex, peer: Peer, options: SecureOptions): tls.TLSSocket {
  const { verifyCert, verifyHostname, alternativeName, clientCertificate, curves } = peer.options;
  const ca = peer.options.ca ?? options.ca;
  const host = "host" in peer.socketAddress ? peer.socketAddress.host : "";
  const { alpn } = peer;
  try {
    const socket = tls.connect({
      socket: transport,
      // Without SNI, the address itself is what the certificate has to be for.
      host: peer.sni ?? host,
      // An IP address is verified, but not asked for (RFC 6066, 3).
      ...(peer.sni !== undefined && net.isIP(peer.sni) === 0 && { servername: peer.sni }),
      ...(alpn.length > 0 && { ALPNProtocols: [...alpn] }),
      rejectUnauthorized: verifyCert,
      ...(ca !== undefined && { ca }),
      ...(clientCertificate !== undefined && { cert: clientCertificate.cert, key: clientCertificate.key }),
      ...(curves !== undefined && { ecdhCurve: curves }),
      checkServerIdentity: (name, certificate) => {
        if (!verifyHostname) return undefined;
        const wrong = tls.checkServerIdentity(peer.sni ?? name, certificate);
        if (wrong === undefined || alternativeName === undefined) return wrong;
        return tls.checkServerIdentity(alternativeName, certificate);
      },
    });
    if (options.onKeylog !== undefined) socket.on("keylog", options.onKeylog);
    return socket;
  } catch (cause) {
    // What Node throws at once, it throws because of an option: a certificate or a group that is none.
    transport.destroy();
    const message = cause instanceof Error ? cause.message : String(cause);
    throw CirqueError.internal("InvalidArgument", `${peer} has an option that cannot be used: ${message}`, { cause });
  }
}
