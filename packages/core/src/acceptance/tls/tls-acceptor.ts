import type { Server } from "node:tls";
import type { ServiceContext } from "../../services/service.ts";
import type { TlsSettings } from "./tls-settings.ts";

/**
 * Something that knows more of TLS than settings that never change: a store of certificates that are renewed, tickets
 * whose keys rotate, stapled OCSP answers. A listener takes it in place of {@link TlsSettings}.
 *
 * @example
 * const acceptor: TlsAcceptor = {
 *   settings: () => ({ cert: "site.pem", key: "site.key" }),
 *   attach(server) {
 *     const timer = setInterval(() => server.setSecureContext(readAgain()), 3_600_000);
 *     return () => clearInterval(timer);
 *   },
 * };
 */
export interface TlsAcceptor {
  /** What holds from the start. Called in each thread, before the listener accepts; a rejection makes the start fail. */
  settings(context: ServiceContext): TlsSettings | Promise<TlsSettings>;
  /**
   * Gets the server of `node:tls` that does the handshakes of the listener, and never listens itself:
   * `setSecureContext`, `setTicketKeys` and the event `OCSPRequest` are for this. What it returns is called when the
   * listener has stopped.
   */
  attach?(server: Server, context: ServiceContext): (() => void) | undefined;
}

/** Whether it is an acceptor, and not settings. */
export function isTlsAcceptor(tls: TlsSettings | TlsAcceptor): tls is TlsAcceptor {
  return "settings" in tls && typeof tls.settings === "function";
}
