import type { AcceptanceOptions } from "./acceptance-options.ts";
import { assertLimits } from "./connection-limiter.ts";
import { ProxyHeaderReceiver } from "./receive-proxy-header.ts";
import { type PreparedTls, prepareTls } from "./tls/server-options.ts";
import { isTlsAcceptor, type TlsAcceptor } from "./tls/tls-acceptor.ts";

/** Options that were found to be usable, with what their files held. */
export interface AcceptancePlan {
  readonly options: AcceptanceOptions;
  readonly tls: PreparedTls | TlsAcceptor | undefined;
}

/**
 * Looks at the options when they are given, so that a mistake is found where it was made, and before anything starts.
 *
 * @throws CirqueError `InvalidArgument`, `FileReadError` or `InvalidCert` for what cannot be used, naming it.
 */
export function planAcceptance(options: AcceptanceOptions): AcceptancePlan {
  const { proxyProtocol, tls } = options;
  assertLimits(options);
  if (proxyProtocol !== undefined) new ProxyHeaderReceiver(proxyProtocol);
  return { options, tls: tls === undefined || isTlsAcceptor(tls) ? tls : prepareTls(tls) };
}
