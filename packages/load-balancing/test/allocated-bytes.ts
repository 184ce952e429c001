import { getHeapStatistics } from "node:v8";

const callsPerRound = 1_000_000;
const rounds = 20;

/**
 * How many bytes one call allocates on average, once it is compiled: the least of up to twenty rounds, since the first
 * ones run in the interpreter, which boxes numbers. Stops at a round that allocates less than a byte for each call: the
 * least object has twelve, and reading the statistics allocates too.
 */
export function allocatedBytesPerCall(call: () => unknown): number {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds && least >= 1; round += 1) {
    const before = getHeapStatistics().total_allocated_bytes;
    for (let count = 0; count < callsPerRound; count += 1) call();
    least = Math.min(least, (getHeapStatistics().total_allocated_bytes - before) / callsPerRound);
  }
  return least;
}
