import type { ServerConfiguration } from "../configuration/server-configuration.ts";
import { CirqueError } from "../errors/cirque-error.ts";
import type { Logger } from "../observability/logger.ts";
import type { ServiceSocket } from "../threads/listening-sockets.ts";
import { inheritanceOf } from "./inheritance.ts";
import { Launch } from "./launch.ts";
import type { SystemdNotifier } from "./systemd/systemd-notifier.ts";

/** What an upgrade needs of the server that is replaced. */
export interface UpgradeContext {
  readonly configuration: ServerConfiguration;
  /** Where the program was started: its arguments may name files there, and a daemon has left it. */
  readonly startDirectory: string;
  readonly logger: Logger;
  readonly sockets: readonly ServiceSocket[];
  readonly notifier: SystemdNotifier;
}

/**
 * Starts this program again as the successor of this process, with its listening sockets: both accept connections from
 * the same queues, so that none is lost (`UPG-01`).
 *
 * @returns the id of the new process, once it serves.
 * @throws CirqueError `UpgradeError` when it does not; it has been ended then, and this process can go on.
 */
export async function startSuccessor(context: UpgradeContext): Promise<number> {
  const { configuration, logger, notifier, sockets, startDirectory } = context;
  assertPossible(notifier);
  const { descriptors, env } = inheritanceOf(sockets);
  const successor = new Launch({
    name: "the new process",
    stdio: ["ignore", "inherit", "inherit"],
    descriptors,
    detached: false,
    cwd: startDirectory,
    env: { ...env, ...notifier.successorEnvironment },
  });
  const { pid } = successor.process;
  logger.info({ pid, sockets: sockets.length }, "upgrading: the new process takes the listening sockets over");
  try {
    await successor.reported("ready", configuration.daemonReadyTimeoutMs);
  } catch (error) {
    throw CirqueError.internal("UpgradeError", error instanceof Error ? error.message : String(error), {
      cause: error,
    });
  } finally {
    successor.release();
  }
  // It has reported, so it was started.
  const successorId = Number(pid);
  await tellSystemd(notifier, successorId);
  return successorId;
}

/** Without this, systemd would take the end of this process for the end of the service, and end the successor too. */
async function tellSystemd(notifier: SystemdNotifier, successor: number): Promise<void> {
  if (await notifier.handOver(successor)) return;
  process.kill(successor, "SIGTERM");
  throw CirqueError.internal("UpgradeError", "systemd could not be told of the new process, which was ended again");
}

function assertPossible({ handOverProblem }: SystemdNotifier): void {
  const problem =
    process.pid === 1
      ? "this is process 1, and the container would end with it; start a new container instead"
      : handOverProblem;
  if (problem !== undefined) throw CirqueError.internal("UpgradeError", `it is not possible here: ${problem}`);
}
