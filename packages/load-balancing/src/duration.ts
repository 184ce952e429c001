import { CirqueError } from "@cirque/core";

/** The longest time that a timer of Node keeps; it fires a longer one at once. */
const longestMs = 2_147_483_647;

/**
 * Returns `value` if it is a time that a timer can wait for.
 *
 * @throws CirqueError `InvalidArgument` when it is not above 0, or too long for a timer (about 24.8 days).
 */
export function checkedDurationMs(name: string, value: number): number {
  if (value > 0 && value <= longestMs) return value;
  throw new CirqueError(
    "InvalidArgument",
    `${name} has to be a number of milliseconds above 0 and at most ${longestMs}, and is ${String(value)}`,
    { context: { [name]: value } },
  );
}
