/** What one round showed. */
export interface Round {
  readonly number: number;
  readonly pid: number;
  readonly requests: number;
  /** Requests that failed while no thread was killed. */
  readonly failed: number;
  /** Requests that a kept connection was closed under, and that were right the second time. */
  readonly resent: number;
  /** Requests that failed around the kill of a thread. */
  readonly failedByKill: number;
  /** What the clients said of the failures, the end of it. */
  readonly failures: string;
  readonly killed: boolean;
  readonly upgraded: boolean;
  /** Memory of the process once the load had paused. */
  readonly rssBytes: number;
  /** Descriptors of the process then, without its kept connections to the origin. */
  readonly descriptors: number;
  /** Its kept connections to the origin. */
  readonly pooled: number;
}

/** What happens in a round, beside the load and a reload. */
export interface RoundPlan {
  /**
   * Whether the process is replaced: in the first third only, since the memory of one process is to be watched in the second
   * half, and it grows once when the first of its threads is replaced.
   */
  readonly upgrade: boolean;
  /** The data thread to kill, if any. Each lives for long enough to be started again at once. */
  readonly kill: number | undefined;
  /** Whether a file that is wrong comes before the one that is right. */
  readonly wrongFile: boolean;
}

/** How many rounds lie between two kills. A thread that dies within a minute is started again with a delay that doubles. */
const roundsBetweenKills = 4;

/** Plans a round, counted from 1. */
export function planRound(number: number, rounds: number, threads: number): RoundPlan {
  const kills = Math.floor((number + 2) / roundsBetweenKills);
  return {
    upgrade: number <= rounds / 3 && number % 2 === 1,
    kill: threads > 1 && (number + 2) % roundsBetweenKills === 0 ? 1 + (kills % threads) : undefined,
    wrongFile: number % 3 === 0,
  };
}
