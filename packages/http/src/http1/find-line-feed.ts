import { LF } from "../characters.ts";

/** Where the first LF of `bytes` from `start` on is; -1 when there is none before `end`. */
export function findLineFeed(bytes: Buffer, start: number, end: number): number {
  if (end === bytes.length) return bytes.indexOf(LF, start);
  // What lies behind `end` is room to grow: searching it would make each byte of a slow sender cost a bufferful.
  const found = bytes.subarray(start, end).indexOf(LF);
  return found === -1 ? -1 : start + found;
}
