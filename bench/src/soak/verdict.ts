import { formatBytes } from "../table.ts";
import type { Round } from "./round.ts";
import type { SoakOutcome } from "./soak.ts";

/** Highest growth of the memory in each round of the second half. */
const mostGrowthBytes = 0.1 * 1024 ** 2;
/**
 * With fewer rounds, a slope says more of the garbage collector than of a leak: it moves the memory by some 8 MiB from round
 * to round, which after 60 rounds is 0.06 MiB in the slope.
 */
const roundsForSlope = 60;
const mostDelayP99Ms = 20;

/** One line of the report. */
export interface Finding {
  readonly text: string;
  /** Whether the figure is as promised; undefined for one that nothing is promised of, or that there are too few rounds for. */
  readonly good: boolean | undefined;
}

/** What the soak showed, and whether it is as promised. */
export function judge(outcome: SoakOutcome): readonly Finding[] {
  const { rounds, descriptorsAtRest, delayP50Ms, delayP99Ms, delayMaxMs } = outcome;
  const total = (pick: (round: Round) => number): number => rounds.reduce((sum, round) => sum + pick(round), 0);
  const count = (pick: (round: Round) => boolean): number => rounds.filter(pick).length;
  const failed = total((round) => round.failed);
  const watched = secondHalf(rounds);
  const growthBytes = slope(watched.map((round) => round.rssBytes));
  const excess = Math.max(...rounds.map((round) => round.descriptors)) - descriptorsAtRest;
  return [
    {
      text: `${failed} of ${total((round) => round.requests)} requests failed`,
      good: failed === 0,
    },
    {
      text: `${total((round) => round.resent)} were sent again, since a kept connection was closed as they were sent`,
      good: undefined,
    },
    {
      text: `${rounds.length} reloads, ${count((round) => round.upgraded)} upgrades`,
      good: undefined,
    },
    {
      text: `${count((round) => round.killed)} threads killed, with ${total((round) => round.failedByKill)} requests in flight on them`,
      good: undefined,
    },
    {
      text: `memory grew by ${formatBytes(growthBytes)} a round in the last ${watched.length} rounds, to ${formatBytes(watched.at(-1)?.rssBytes ?? 0)}`,
      good: watched.length >= roundsForSlope ? growthBytes <= mostGrowthBytes : undefined,
    },
    {
      text: `descriptors at rest: ${descriptorsAtRest} before the load, ${descriptorsAtRest + excess} at most after a round, and kept connections to the origin`,
      good: excess <= 0,
    },
    {
      text: `event loops late by ${delayP50Ms} ms (p50), ${delayP99Ms} ms (p99), ${delayMaxMs} ms (longest)`,
      good: delayP99Ms <= mostDelayP99Ms,
    },
  ];
}

/** The line of a finding, with a mark in front. */
export function formatFinding({ text, good }: Finding): string {
  return `${good === undefined ? "      " : good ? "ok    " : "WORSE "}${text}`;
}

/** The rounds of the second half, which one process went through. */
export function secondHalf(rounds: readonly Round[]): readonly Round[] {
  return rounds.slice(Math.ceil(rounds.length / 2));
}

/** The slope of the line that fits the values best (least squares), for each step; 0 when there are too few. */
export function slope(values: readonly number[]): number {
  const middle = (values.length - 1) / 2;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  let product = 0;
  let square = 0;
  for (const [index, value] of values.entries()) {
    product += (index - middle) * (value - mean);
    square += (index - middle) ** 2;
  }
  return square === 0 ? 0 : product / square;
}
