import { withDefaults } from "../options/with-defaults.ts";
import type { AcceptanceOptions } from "./acceptance-options.ts";
import { assertLimits } from "./connection-limiter.ts";
import { ProxyHeaderReceiver } from "./receive-proxy-header.ts";
import { type PreparedTls, prepareTls } from "./tls/server-options.ts";
import { isTlsAcceptor, type TlsAcceptor } from "./tls/tls-acceptor.ts";
import type { TlsSettings } from "./tls/tls-settings.ts";

/** Options that were found to be usable, with what their files held. */
export interface AcceptancePlan {
  readonly options: AcceptanceOptions;
  readonly tls: PreparedTls | TlsAcceptor | undefined;
  readonly timeouts: AcceptanceTimeouts;
}

/** How long the callbacks of the user may take. */
export interface AcceptanceTimeouts {
  readonly connectionFilterTimeoutMs: number;
  readonly preTlsTimeoutMs: number;
}

const TIMEOUTS: AcceptanceTimeouts = { connectionFilterTimeoutMs: 5_000, preTlsTimeoutMs: 10_000 };

/**
 * Looks at the options when they are given, so that a mistake is found where it was made, and before anything starts.
 *
 * @param alpn What the handler of the connections speaks over TLS, for settings that do not say what to offer.
 * @throws CirqueError `InvalidArgument`, `FileReadError` or `InvalidCert` for what cannot be used, naming it.
 */
export function planAcceptance(options: AcceptanceOptions, alpn?: readonly string[]): AcceptancePlan {
  const { proxyProtocol, tls, connectionFilterTimeoutMs, preTlsTimeoutMs } = options;
  assertLimits(options);
  if (proxyProtocol !== undefined) new ProxyHeaderReceiver(proxyProtocol);
  const timeouts = withDefaults(TIMEOUTS, {
    ...(connectionFilterTimeoutMs !== undefined && { connectionFilterTimeoutMs }),
    ...(preTlsTimeoutMs !== undefined && { preTlsTimeoutMs }),
  });
  return { options, timeouts, tls: tls && planTls(tls, alpn) };
}

function planTls(tls: TlsSettings | TlsAcceptor, alpn: readonly string[] | undefined): PreparedTls | TlsAcceptor {
  const withAlpn = (settings: TlsSettings): TlsSettings => ({ ...settings, alpn: settings.alpn ?? alpn });
  if (!isTlsAcceptor(tls)) return prepareTls(withAlpn(tls));
  if (alpn === undefined) return tls;
  return {
    settings: async (context) => withAlpn(await tls.settings(context)),
    attach: (server, context) => tls.attach?.(server, context),
  };
}
