import type { BackendSelection, SelectionKey } from "./backend-selection.ts";

/**
 * The candidates of a selection, each once (`LB-23`).
 *
 * @param maxIterations How many candidates are taken from the selection at most, repeated ones included.
 */
export function* uniqueCandidates(
  selection: BackendSelection,
  key: SelectionKey | undefined,
  maxIterations: number,
): Generator<number, void, void> {
  if (!(maxIterations >= 1)) return;
  const first = selection.first(key);
  if (first < 0) return;
  yield first;
  let left = maxIterations - 1;
  if (left < 1) return;
  const seen = new Set([first]);
  for (const candidate of selection.others(key, first)) {
    if (!seen.has(candidate)) {
      seen.add(candidate);
      yield candidate;
    }
    left -= 1;
    if (left < 1) return;
  }
}
