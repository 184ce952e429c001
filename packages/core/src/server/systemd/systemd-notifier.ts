import type { Logger } from "../../observability/logger.ts";
import { NotifyCommand } from "./notify-command.ts";
import { startWatchdog } from "./watchdog.ts";

/**
 * Tells systemd how the server is, as sd_notify(3) does. No method throws or waits: messages are queued, and leave
 * one after the other.
 */
export interface SystemdNotifier {
  /**
   * Why an upgrade would end with the service being stopped, in words for who asked for it: systemd takes the end of the
   * first process for the end of the service unless it can be told of the second one. Undefined when nothing is wrong.
   */
  readonly handOverProblem: string | undefined;
  /** The variables that the process of an upgrade needs to notify in its turn. They are no longer in `process.env`. */
  readonly successorEnvironment: Readonly<Record<string, string>>;
  /** The server serves, for the first time or again after {@link reloading}. Pings of the watchdog begin. */
  ready(status?: string): void;
  /** The configuration is read again. {@link ready} has to follow, also when it turned out to be wrong. */
  reloading(): void;
  /** One line for `systemctl status`. */
  status(text: string): void;
  /** The server stops, which takes at most so long. systemd waits that long even when `TimeoutStopSec=` is shorter. */
  stopping(longestMs?: number): void;
  /** Starting, reloading or stopping takes this much longer, counted from now. */
  extendTimeout(timeMs: number): void;
  /**
   * Another process is the server from now on, and serves. This one says nothing more, neither that it stops nor that it
   * lives. Exit only when the promise is resolved: systemd takes the end of a process that it still believes to be the
   * server for the end of the service, and ends the successor as well.
   *
   * @returns Whether systemd was told, after three attempts at most; `true` when there is no systemd. Never rejects.
   */
  handOver(pid: number): Promise<boolean>;
  /** Resolves when all messages have left or failed. Never rejects. */
  settled(): Promise<void>;
  /** Sends nothing more, and ends the pings. */
  close(): void;
}

export interface SystemdNotifierOptions {
  /** Default: that of the process. */
  readonly pid?: number;
  /** Asked before each ping of the watchdog: while it returns `false`, or throws, there is none. Default: healthy. */
  readonly isHealthy?: () => boolean;
  /** How long one message may take. Default: 10,000, which is more than `systemd-notify` waits for systemd. */
  readonly deadlineMs?: number;
}

/**
 * The notifier for this process. Node has no datagram Unix sockets, so it runs `systemd-notify`, which has to be in PATH;
 * the unit needs `NotifyAccess=all`, since messages then come from a child process. Without the program it warns once and
 * sends nothing; without `NOTIFY_SOCKET` it does nothing at all.
 *
 * The variables `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` are removed from `env`, so that child processes do not
 * speak for the server. Call it once, in the main thread, before anything else starts.
 *
 * @example
 * const notifier = systemdNotifier(process.env, logger, { isHealthy: () => server.executionPhase === "Running" });
 * notifier.ready("serves at 3 addresses");
 */
export function systemdNotifier(
  env: NodeJS.ProcessEnv,
  logger: Logger,
  options: SystemdNotifierOptions = {},
): SystemdNotifier {
  const { pid = process.pid, isHealthy = () => true, deadlineMs = 10_000 } = options;
  const { NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID, SYSTEMD_EXEC_PID } = env;
  for (const name of ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"]) delete env[name];
  if (!NOTIFY_SOCKET) return notNotifying(SYSTEMD_EXEC_PID === String(pid) ? mainProcessOnly : undefined);
  const successorEnvironment = { NOTIFY_SOCKET, ...(WATCHDOG_USEC === undefined ? {} : { WATCHDOG_USEC }) };
  const command = NotifyCommand.find(env.PATH, { socket: NOTIFY_SOCKET, deadlineMs, logger });
  if (!command) {
    logger.warn(
      { PATH: env.PATH },
      "systemd is not told how the server is, since there is no systemd-notify in PATH; " +
        "install it (Debian: package systemd), or set Type=exec and no WatchdogSec= in the unit",
    );
    return { ...notNotifying(commandMissing), successorEnvironment };
  }

  let closed = false;
  const send = (...assignments: readonly string[]): void => {
    if (!closed) void command.send(...assignments);
  };
  let stopWatchdog: (() => void) | undefined;
  const watch = (): void => {
    if (closed || (WATCHDOG_PID !== undefined && WATCHDOG_PID !== String(pid))) return;
    stopWatchdog ??= startWatchdog(WATCHDOG_USEC, { isHealthy, logger, ping: () => send("WATCHDOG=1") });
  };
  const close = (): void => {
    closed = true;
    stopWatchdog?.();
  };
  return {
    handOverProblem: undefined,
    successorEnvironment,
    ready(status) {
      send("READY=1", ...(status === undefined ? [] : [statusLine(status)]));
      watch();
    },
    reloading: () => send("RELOADING=1", `MONOTONIC_USEC=${process.hrtime.bigint() / 1_000n}`),
    status: (text) => send(statusLine(text)),
    stopping: (longestMs) => send("STOPPING=1", ...(longestMs === undefined ? [] : [extension(longestMs)])),
    extendTimeout: (timeMs) => send(extension(timeMs)),
    async handOver(successor) {
      close();
      // Too much depends on it to give up at the first failure.
      for (let attempt = 1; attempt <= handOverAttempts; attempt++) {
        if (await command.send(`MAINPID=${successor}`, "READY=1")) return true;
      }
      return false;
    },
    settled: () => command.settled(),
    close,
  };
}

const handOverAttempts = 3;

const mainProcessOnly =
  "systemd would stop the service together with its first process; " +
  "set Type=notify and NotifyAccess=all in the unit and restart the service";

const commandMissing =
  "systemd cannot be told of the new process, since there is no systemd-notify in PATH; " +
  "install it (Debian: package systemd) and restart the service";

function notNotifying(handOverProblem: string | undefined): SystemdNotifier {
  return {
    handOverProblem,
    successorEnvironment: {},
    ready() {},
    reloading() {},
    status() {},
    stopping() {},
    extendTimeout() {},
    handOver: () => Promise.resolve(handOverProblem === undefined),
    settled: () => Promise.resolve(),
    close() {},
  };
}

/** A line break would begin another message, and systemd takes 4,096 bytes. */
function statusLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what has to go.
  return `STATUS=${text.replace(/[\u0000-\u001f\u007f]+/g, " ").slice(0, 1_000)}`;
}

function extension(timeMs: number): string {
  return `EXTEND_TIMEOUT_USEC=${Math.ceil(timeMs) * 1_000}`;
}
