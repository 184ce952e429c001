/** The settings of a server. Each is also a key of the YAML file; durations are in milliseconds. */
export interface ServerConfiguration {
  /** The version of the file format: 1 (`CFG-01`). */
  readonly version: number;
  /** Whether to leave the terminal and run in the background; `-d` sets it (`CFG-02`). Default: `false`. */
  readonly daemon: boolean;
  /** The file that the standard error of a daemon is appended to (`CFG-03`). Default: it stays as it was. */
  readonly errorLog: string | undefined;
  /** The file that holds the process id of a daemon (`CFG-04`). Default: `/tmp/cirque.pid`. */
  readonly pidFile: string;
  /** Accepted for files written for Pingora; sockets are inherited here (`CFG-05`). Default: `/tmp/cirque_upgrade.sock`. */
  readonly upgradeSock: string;
  /** The user to become when all addresses are bound; needs root (`CFG-06`). Default: no change. */
  readonly user: string | undefined;
  /** The group to become, likewise (`CFG-07`). Default: the main group of `user`. */
  readonly group: string | undefined;
  /** The directory a daemon changes to (`CFG-08`). Default: no change. */
  readonly workingDirectory: string | undefined;
  /** Data threads (`CFG-09`). Default: 1. */
  readonly threads: number;
  /** Accepted without effect: Node has one accept loop for each socket (`CFG-10`). Default: 1. */
  readonly listenerTasksPerFd: number;
  /** Accepted without effect: Node has one event loop for each thread (`CFG-11`). Default: `true`. */
  readonly workStealing: boolean;
  /** A PEM file of trust roots for TLS to origins, used in place of the built-in ones (`CFG-12`). Default: built-in. */
  readonly caFile: string | undefined;
  /** The longest time a graceful stop waits for what is in flight; it ends as soon as nothing is left (`CFG-13`). Default: 30,000. */
  readonly gracePeriodMs: number;
  /** The longest time that services get to end after what was left has been dropped (`CFG-14`). Default: 5,000. */
  readonly gracefulShutdownTimeoutMs: number;
  /** Local IPv4 addresses for connections to origins; one is picked at random for each (`CFG-15`). Default: none. */
  readonly clientBindToIpv4: readonly string[];
  /** Local IPv6 addresses, likewise (`CFG-16`). Default: none. */
  readonly clientBindToIpv6: readonly string[];
  /** Idle connections to origins that are kept (`CFG-17`). Default: 128. */
  readonly upstreamKeepalivePoolSize: number;
  /** Accepted without effect: connects never block in Node (`CFG-18`). Default: unset. */
  readonly upstreamConnectOffloadThreadpools: number | undefined;
  /** Accepted without effect, likewise (`CFG-19`). Default: unset. */
  readonly upstreamConnectOffloadThreadPerPool: number | undefined;
  /** Whether TLS secrets of connections to origins go to the file named by `SSLKEYLOGFILE` (`CFG-20`). Default: `false`. */
  readonly upstreamDebugSslKeylog: boolean;
  /** How often a request may be sent to origins in all, the first time included (`CFG-21`). Default: 3. */
  readonly maxRetries: number;
  /** Accepted without effect: sockets are inherited here (`CFG-22`). Default: unset. */
  readonly upgradeSockConnectAcceptMaxRetries: number | undefined;
  /** Accepted without effect: set the environment variable `UV_THREADPOOL_SIZE` (`CFG-23`). Default: unset. */
  readonly maxBlockingThreads: number | undefined;
  /** Accepted without effect: the threads of Node's pool live on (`CFG-24`). Default: unset. */
  readonly blockingThreadsTtlMs: number | undefined;
  /** Whether `-d` returns only when the daemon serves, and fails when the daemon does (`CFG-25`). Default: `false`. */
  readonly daemonWaitForReady: boolean;
  /** How long `-d` waits for that (`CFG-26`). Default: 600,000. */
  readonly daemonReadyTimeoutMs: number;
  /** Accepted without effect: the daemon reports through a pipe, which needs no second try (`CFG-27`). Default: 60,000. */
  readonly daemonNotifyTimeoutMs: number;
  /** Accepted without effect: there is no s2n here (`CFG-28`). Default: unset. */
  readonly s2nConfigCacheSize: number | undefined;
  /** The keys of the file that Cirque does not know, as they were parsed: a program keeps settings of its own there. */
  readonly userSettings: Readonly<Record<string, unknown>>;
}
