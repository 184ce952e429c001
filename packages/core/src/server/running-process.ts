import { closeSync, constants, fstatSync, openSync, readFileSync, readSync } from "node:fs";
import { constants as systemConstants } from "node:os";
import { CirqueError } from "../errors/cirque-error.ts";

/** A process that was found through its pid file. What the system does not tell is undefined. */
export interface RunningProcess {
  readonly pid: number;
  /** Tells it from a later process that is given the same id. */
  readonly startTime: string | undefined;
  /** Its effective user. */
  readonly uid: number | undefined;
}

/**
 * The server whose process id is in the file, ready to be sent SIGUSR2.
 *
 * @throws CirqueError `UpgradeError` when the file is missing or holds no process id, when no such process runs, when this
 * user may not signal it, and when it does not listen for the signal, which would then end it: another program has been
 * given the id, or the server is only just starting.
 */
export function findRunningServer(pidFile: string): RunningProcess {
  const pid = readPid(pidFile);
  const found = { pid, ...describeProcess(pid) };
  const problem = pid === process.pid ? "it names this very process" : unreachable(found);
  if (problem === undefined) return found;
  throw upgradeError(`the pid file ${pidFile} says ${pid}, but ${problem}`, { pidFile, pid });
}

/** Whether the process has not ended, nor been replaced by another one with its id. */
export function isRunning({ pid, startTime }: RunningProcess): boolean {
  const now = describeProcess(pid);
  if (now.ended || (startTime !== undefined && now.startTime !== startTime)) return false;
  return signalProblem(pid) !== "ESRCH";
}

function readPid(pidFile: string): number {
  const text = readStart(pidFile).trim();
  const context = { pidFile };
  if (text === "") {
    throw upgradeError(`the pid file ${pidFile} is empty: the server has stopped; start it without --upgrade`, context);
  }
  // 0 and negative numbers would signal groups of processes.
  if (/^[1-9][0-9]{0,9}$/.test(text)) return Number(text);
  const shown = JSON.stringify(text.slice(0, 40));
  throw upgradeError(
    `the pid file ${pidFile} holds no process id but ${shown}; is it that of another program?`,
    context,
  );
}

/** Enough of a file to see whether it is a pid file, whatever it is. */
function readStart(pidFile: string): string {
  let descriptor: number | undefined;
  try {
    // Opening a pipe would wait for a writer.
    descriptor = openSync(pidFile, constants.O_RDONLY | constants.O_NONBLOCK);
    if (!fstatSync(descriptor).isFile()) throw new Error("it is not a file");
    const start = Buffer.alloc(64);
    return start.toString("utf8", 0, readSync(descriptor, start));
  } catch (error) {
    throw upgradeError(`cannot read the pid file ${pidFile}: ${reasonFor(error)}`, { pidFile }, error);
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

function reasonFor(error: unknown): string {
  if (systemCode(error) === "ENOENT") {
    return "it does not exist; is the server running, as a daemon, and with the same pidFile?";
  }
  return error instanceof Error ? error.message : String(error);
}

function unreachable({ pid, uid, ended, listens }: ProcessDescription & { pid: number }): string | undefined {
  const code = ended ? "ESRCH" : signalProblem(pid);
  if (code === "ESRCH")
    return "no such process runs: the server has ended without removing it; start it without --upgrade";
  if (code === "EPERM") return `it runs as user ${uid ?? "somebody else"}, whom you may not signal; try again as root`;
  if (code !== undefined) return `it cannot be signalled: ${code}`;
  if (listens) return undefined;
  return "that process does not listen for SIGUSR2: it is another program, or has only just been started";
}

/** The error code of the system that a signal would meet. */
function signalProblem(pid: number): string | undefined {
  try {
    process.kill(pid, 0);
    return undefined;
  } catch (error) {
    return systemCode(error) ?? String(error);
  }
}

interface ProcessDescription {
  readonly startTime: string | undefined;
  readonly uid: number | undefined;
  /** It waits to be forgotten, as a zombie. */
  readonly ended: boolean;
  /** Whether it has a handler for SIGUSR2; true when nobody knows. */
  readonly listens: boolean;
}

/** From proc(5); on systems without it, nothing is known. */
function describeProcess(pid: number): ProcessDescription {
  try {
    // The name, in parentheses, may hold anything. The state is field 3, the start time field 22.
    const fields = readFileSync(`/proc/${pid}/stat`, "latin1")
      .replace(/^.*\) /s, "")
      .split(" ");
    const status = readFileSync(`/proc/${pid}/status`, "latin1");
    const uid = /^Uid:\t\d+\t(\d+)/m.exec(status)?.[1];
    const caught = /^SigCgt:\t([0-9a-f]+)$/m.exec(status)?.[1];
    const listens = caught === undefined || (BigInt(`0x${caught}`) & upgradeSignalBit) !== 0n;
    return {
      startTime: fields[19],
      uid: uid === undefined ? undefined : Number(uid),
      ended: fields[0] === "Z" || fields[0] === "X",
      listens,
    };
  } catch {
    return { startTime: undefined, uid: undefined, ended: false, listens: true };
  }
}

const upgradeSignalBit = 1n << BigInt((systemConstants.signals.SIGUSR2 ?? 12) - 1);

function systemCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
}

function upgradeError(message: string, context: Record<string, unknown>, cause?: unknown): CirqueError {
  return CirqueError.internal("UpgradeError", message, { context, ...(cause === undefined ? {} : { cause }) });
}
