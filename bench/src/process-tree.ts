/**
 * CPU time and memory of a process and all its descendants, from the kernel's own books in /proc.
 *
 * CPU time has two sources, and neither is enough alone:
 *
 * - `/proc/PID/task/TID/schedstat` counts in nanoseconds, but for one living thread: the time of a thread
 *   that ended is gone with it.
 * - `/proc/PID/stat` covers threads that ended, and children that ended and were waited for, but counts in
 *   ticks of 10 ms.
 *
 * Both are read. The first is the figure; when the second exceeds it by more than its own rounding,
 * something ended inside the window, and the second is the figure.
 */
import { readdirSync, readFileSync } from "node:fs";

/** The unit of times in /proc/PID/stat: USER_HZ, which is 100 on every Linux platform that Node runs on. */
const nanosecondsPerTick = 10_000_000;
/** User and system time, of the process and of its ended children: four fields, each rounded down. */
const roundedFields = 4;

/** CPU time spent until now by a process tree. */
export interface CpuReading {
  /** Nanoseconds of the threads that live. */
  readonly threadNanoseconds: number;
  /** Ticks of the processes, with their ended threads and children. */
  readonly ticks: number;
  /** How many processes were read. */
  readonly processes: number;
}

/** Reads the CPU time of the process and its descendants. */
export function readCpu(rootPid: number): CpuReading {
  let threadNanoseconds = 0;
  let ticks = 0;
  const pids = processTree(rootPid);
  for (const pid of pids) {
    ticks += ignoringEnded(() => parseStat(readFileSync(`/proc/${pid}/stat`, "latin1")).ticks, 0);
    for (const tid of ignoringEnded(() => readdirSync(`/proc/${pid}/task`), [])) {
      threadNanoseconds += ignoringEnded(
        () => parseSchedstat(readFileSync(`/proc/${pid}/task/${tid}/schedstat`, "latin1")),
        0,
      );
    }
  }
  return { threadNanoseconds, ticks, processes: pids.length };
}

/** Microseconds of CPU time between two readings of the same tree. */
export function cpuMicrosBetween(start: CpuReading, end: CpuReading): number {
  const threads = end.threadNanoseconds - start.threadNanoseconds;
  const processes = (end.ticks - start.ticks) * nanosecondsPerTick;
  const rounding = roundedFields * nanosecondsPerTick * Math.max(start.processes, end.processes);
  return (processes - threads > rounding ? processes : threads) / 1_000;
}

/** Resident memory in bytes of the process and its descendants, added up. */
export function readRssBytes(rootPid: number): number {
  return processTree(rootPid).reduce((bytes, pid) => bytes + readOwnRssBytes(pid), 0);
}

/** Resident memory in bytes of the process alone; 0 when it has ended. */
export function readOwnRssBytes(pid: number): number {
  return ignoringEnded(() => parseRssBytes(readFileSync(`/proc/${pid}/status`, "latin1")), 0);
}

/**
 * Nanoseconds on the CPU, from the contents of a schedstat file: time on the CPU, time waiting, time slices.
 *
 * @throws SyntaxError when the text is not of that form
 */
export function parseSchedstat(text: string): number {
  const nanoseconds = /^(\d+) \d+ \d+\s*$/.exec(text)?.[1];
  if (nanoseconds === undefined) throw new SyntaxError(`not a schedstat line: "${text}"`);
  return Number(nanoseconds);
}

/**
 * Parent and CPU ticks (utime, stime, cutime, cstime) from the contents of a /proc/PID/stat file.
 *
 * @throws SyntaxError when the text is not of that form
 */
export function parseStat(text: string): { readonly parentPid: number; readonly ticks: number } {
  // The second field is the name of the program in parentheses, and may itself hold spaces and parentheses.
  const fields = text
    .slice(text.lastIndexOf(")") + 1)
    .trim()
    .split(" ");
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  const parentPid = Number(fields[1]);
  if (fields.length < 15 || Number.isNaN(ticks) || Number.isNaN(parentPid)) {
    throw new SyntaxError(`not a /proc/PID/stat line: "${text}"`);
  }
  return { parentPid, ticks };
}

/**
 * Resident bytes from the contents of a /proc/PID/status file; 0 for one without memory of its own.
 */
export function parseRssBytes(text: string): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0) * 1024;
}

/** The process and its descendants. */
function processTree(rootPid: number): readonly number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const parent = ignoringEnded(() => parseStat(readFileSync(`/proc/${name}/stat`, "latin1")).parentPid, -1);
    const siblings = children.get(parent);
    if (siblings) siblings.push(Number(name));
    else children.set(parent, [Number(name)]);
  }
  const tree = [rootPid];
  for (const pid of tree) tree.push(...(children.get(pid) ?? []));
  return tree;
}

/** A process or thread may end between being listed and being read; then it counts as this value. */
function ignoringEnded<Value>(read: () => Value, otherwise: Value): Value {
  try {
    return read();
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "ENOENT" || code === "ESRCH") return otherwise;
    throw error;
  }
}
