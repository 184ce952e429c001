/**
 * The middle of the values, or the mean of the two in the middle. A median, since one disturbed run must
 * not move the figure.
 *
 * @throws RangeError when there are no values
 */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right);
  const upper = sorted[Math.floor(sorted.length / 2)];
  const lower = sorted[Math.floor((sorted.length - 1) / 2)];
  if (upper === undefined || lower === undefined) throw new RangeError("a median needs at least one value");
  return (lower + upper) / 2;
}

/**
 * The median of those values that are there, or null when one is missing: a figure that some runs lack is
 * no figure.
 */
export function medianOrNull(values: readonly (number | null)[]): number | null {
  const present = values.filter((value) => value !== null);
  return present.length === values.length && present.length > 0 ? median(present) : null;
}
