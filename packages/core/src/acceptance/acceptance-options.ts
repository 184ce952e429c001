import type { ConnectionFilter } from "./connection-filter.ts";
import type { PreTlsHook } from "./pre-tls.ts";
import type { ProxyProtocolOptions } from "./receive-proxy-header.ts";
import type { TlsAcceptor } from "./tls/tls-acceptor.ts";
import type { TlsSettings } from "./tls/tls-settings.ts";

/** What happens to the connections of a listener before its handler gets them, in this order. */
export interface AcceptanceOptions extends ConnectionLimits {
  /**
   * Whether, and of whom, the header of the PROXY protocol is expected in front of each connection (`LST-29`). Default:
   * it is not read.
   */
  readonly proxyProtocol?: ProxyProtocolOptions | undefined;
  /**
   * Decides which connections are taken (`LST-17`): those it refuses are closed without a word. It is called right after
   * accept, or behind the PROXY header where one is read. Default: all are taken.
   */
  readonly connectionFilter?: ConnectionFilter | undefined;
  /** How long the filter may take; then the connection is closed. Default: 5,000. */
  readonly connectionFilterTimeoutMs?: number | undefined;
  /** Looks at the first bytes, before TLS (`V9-10`). Default: none. */
  readonly preTls?: PreTlsHook | undefined;
  /** How long that may take, with all it waits for; then the connection is closed. Default: 10,000. */
  readonly preTlsTimeoutMs?: number | undefined;
  /** Terminates TLS, with these settings or with something that knows more (`LST-18`). Default: no TLS. */
  readonly tls?: TlsSettings | TlsAcceptor | undefined;
}

/** How many connections there may be at once. Further ones are closed at once and counted (`LST-33`). */
export interface ConnectionLimits {
  /** All together, in all threads. Default: no limit but that of the system's file descriptors. */
  readonly maxConnections?: number | undefined;
  /**
   * Of one client, in each thread: of one IPv4 address, or one network of IPv6. Behind a proxy that is the address in the PROXY header.
   * Connections to Unix sockets have no client. Default: no limit.
   */
  readonly maxConnectionsPerClient?: number | undefined;
  /** How many bits of an IPv6 address are one client's. Default: 64, what one customer usually gets. */
  readonly clientPrefixLength?: number | undefined;
}
