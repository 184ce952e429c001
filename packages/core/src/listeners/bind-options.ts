/** What to do when an address is in use (`LST-06`): the program that had it may be about to leave. */
export interface BindOptions {
  /** How often binding is tried again. Default: 30. */
  readonly bindRetries?: number;
  /** The time between two tries. Default: 1,000. */
  readonly bindRetryIntervalMs?: number;
  /**
   * How many connections may wait to be accepted; the system may lower it (Linux: `net.core.somaxconn`). Default: 65,535
   * (`LST-04`).
   */
  readonly backlog?: number;
}

/** Options of a TCP listener. Addresses are always reused (`LST-05`), and small writes never delayed (`LST-09`). */
export interface TcpListenerOptions extends BindOptions {
  /** Whether an IPv6 address such as `[::]` leaves IPv4 alone (`LST-10`). Default: `false`. */
  readonly ipv6Only?: boolean;
  /** Whether several sockets may listen on the address and share its connections (`LST-14`). Default: `false`. */
  readonly reusePort?: boolean;
  /** Probes for clients that vanished (`LST-12`). Default: none. */
  readonly keepAlive?: TcpKeepAlive;
  /**
   * Marks what is sent to clients for Differentiated Services (RFC 2474), 0 to 63 (`LST-13`); needs Node 26. Default: the
   * system's, 0.
   */
  readonly dscp?: number;
}

/** When the system probes a silent connection. */
export interface TcpKeepAlive {
  /** Silence before the first probe, rounded down to seconds. */
  readonly idleMs: number;
  /** Time between probes, rounded down to seconds; needs Node 26. Default: 1,000. */
  readonly intervalMs?: number;
  /** Unanswered probes that end the connection; needs Node 26. Default: 10. */
  readonly count?: number;
}

/** Options of a listener on a Unix domain socket. */
export interface UnixListenerOptions extends BindOptions {
  /** The permissions of the socket's file. Default: `0o666` (`LST-02`). */
  readonly mode?: number;
}
