import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

/** Ticks that a core has spent until now, busy and in all. */
export interface CoreReading {
  readonly busyTicks: number;
  readonly allTicks: number;
}

/** Reads the counters of one core from /proc/stat. */
export function readCore(core: number): CoreReading {
  return parseCore(readFileSync("/proc/stat", "latin1"), core);
}

/** The share of the time between two readings in which the core was busy, from 0 to 1. */
export function utilizationBetween(start: CoreReading, end: CoreReading): number {
  const all = end.allTicks - start.allTicks;
  return all === 0 ? 0 : (end.busyTicks - start.busyTicks) / all;
}

/** The share of the next `durationMs` in which the core is busy, from 0 to 1. */
export async function utilizationOver(core: number, durationMs: number): Promise<number> {
  const start = readCore(core);
  await delay(durationMs);
  return utilizationBetween(start, readCore(core));
}

/**
 * The counters of one core from the contents of /proc/stat: user, nice, system, idle, iowait, irq, softirq,
 * steal. Idle is idle and iowait together.
 *
 * @throws SyntaxError when there is no such core
 */
export function parseCore(text: string, core: number): CoreReading {
  const fields = new RegExp(`^cpu${core} (.*)$`, "m").exec(text)?.[1]?.split(" ").map(Number);
  if (fields === undefined) throw new SyntaxError(`/proc/stat has no core ${core}`);
  const allTicks = fields.slice(0, 8).reduce((sum, ticks) => sum + ticks, 0);
  const idleTicks = (fields[3] ?? 0) + (fields[4] ?? 0);
  return { allTicks, busyTicks: allTicks - idleTicks };
}
