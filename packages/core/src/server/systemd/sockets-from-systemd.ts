import { fstatSync } from "node:fs";
import { CirqueError } from "../../errors/cirque-error.ts";
import { type Logger, silentLogger } from "../../observability/logger.ts";
import type { SocketKind } from "../../threads/listening-sockets.ts";
import { addressesOfDescriptors } from "./descriptor-address.ts";

/** A socket that systemd has bound for this process. */
export interface SystemdSocket {
  readonly descriptor: number;
  /** `FileDescriptorName=` of the socket unit. Default: the name of that unit; `"unknown"` when none was passed. */
  readonly name: string;
  readonly kind: SocketKind;
  readonly boundAddress: string;
}

/**
 * The sockets that systemd passes to this process: socket activation as in sd_listen_fds(3). The variables that tell of
 * them are removed from `env`, whomever they are for, so that child processes do not take them for theirs. Call it once,
 * in the main thread, before anything else starts.
 *
 * @param env Default: that of the process.
 * @param pid Default: that of the process. Sockets for another one are left alone, with a warning.
 * @throws CirqueError `InvalidConfiguration` when the variables are malformed, when a descriptor is not open, or is not a
 * socket that can be listened on.
 */
export function socketsFromSystemd(
  env: NodeJS.ProcessEnv = process.env,
  pid: number = process.pid,
  logger: Logger = silentLogger,
): SystemdSocket[] {
  const { LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES } = env;
  for (const name of ["LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDS", "LISTEN_FDNAMES"]) delete env[name];
  if (LISTEN_PID === undefined || LISTEN_FDS === undefined) return [];
  if (parseNumber("LISTEN_PID", LISTEN_PID, 2 ** 31 - 1) !== pid) {
    logger.warn(
      { LISTEN_PID, pid },
      "systemd passed sockets to another process than this one; let ExecStart= run node itself, not npm or a shell",
    );
    return [];
  }
  const count = parseNumber("LISTEN_FDS", LISTEN_FDS, mostDescriptors);
  const names = LISTEN_FDNAMES?.split(":") ?? [];
  const descriptors = Array.from({ length: count }, (_, index) => firstDescriptor + index);
  const addresses = addressesOfDescriptors(descriptors);
  return descriptors.map((descriptor, index) => {
    const name = names[index] || "unknown";
    const address = addresses.get(descriptor);
    if (!address?.listening) throw unusable(descriptor, name, address !== undefined);
    return Object.freeze({ descriptor, name, kind: address.kind, boundAddress: address.boundAddress });
  });
}

/** `SD_LISTEN_FDS_START`. */
const firstDescriptor = 3;

/** More than any unit file has; a larger number is a mistake, or malice that would keep the process busy. */
const mostDescriptors = 1_024;

function parseNumber(name: string, text: string, highest: number): number {
  const number = /^[0-9]{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (number <= highest) return number;
  const shown = JSON.stringify(text.slice(0, 40));
  throw CirqueError.internal(
    "InvalidConfiguration",
    `the environment variable ${name} has to be a number from 0 to ${highest}, and is ${shown}; ` +
      "only systemd should set it: remove it, or start the program through a socket unit",
  );
}

function unusable(descriptor: number, name: string, connected: boolean): CirqueError {
  const reason = connected
    ? "does not accept connections; the socket unit needs Accept=no, and ListenStream= or, for UDP, ListenDatagram="
    : isOpen(descriptor)
      ? "is not a TCP, UDP or Unix socket that listens in the network namespace of this process; " +
        "use ListenStream= or ListenDatagram= in the socket unit, and PrivateNetwork=no in the service unit"
      : "is not open, although LISTEN_FDS counts it; start the program directly from its socket unit";
  return CirqueError.internal("InvalidConfiguration", `descriptor ${descriptor} (${name}) from systemd ${reason}`, {
    context: { descriptor, name },
  });
}

function isOpen(descriptor: number): boolean {
  try {
    fstatSync(descriptor);
    return true;
  } catch {
    return false;
  }
}
