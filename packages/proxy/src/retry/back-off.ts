/** A pause that doubles with each attempt. */
export interface BackOffOptions {
  /** The longest pause before the second attempt, in milliseconds. */
  readonly baseMs: number;
  /** What it grows to at most. Default: 10 times `baseMs`. */
  readonly maxMs?: number;
}

/**
 * How long to wait after an attempt has failed: at random between nothing and a bound that doubles each time ("full
 * jitter"), so that clients that failed together do not come back together.
 *
 * @param attempts How many attempts were made, from 1.
 * @param random From 0 to 1.
 */
export function backOffMs(
  { baseMs, maxMs = baseMs * 10 }: BackOffOptions,
  attempts: number,
  random: number = Math.random(),
): number {
  return random * Math.min(maxMs, baseMs * 2 ** (attempts - 1));
}
