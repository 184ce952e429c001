import { configurationKeys } from "./configuration-keys.ts";

/** The known key that `key` was probably meant to be, if any. */
export function nearestKey(key: string): string | undefined {
  if (key.length < 4 || key.length > 60) return undefined;
  const written = normalise(key);
  const tolerated = written.length < 8 ? 1 : 2;
  let best: { readonly name: string; readonly distance: number } | undefined;
  for (const name of knownNames) {
    const known = normalise(name);
    // "users" and "groups" are settings that programs have, and are no misspelling.
    if (written === `${known}s`) continue;
    if (Math.abs(known.length - written.length) > tolerated) continue;
    const distance = editDistance(written, known);
    if (distance <= tolerated && distance < (best?.distance ?? Number.POSITIVE_INFINITY)) best = { name, distance };
  }
  return best?.name;
}

/** Aliases first: a file written in their style is answered in the same. */
const knownNames: readonly string[] = configurationKeys.flatMap(({ alias, name }) => [alias, name]);

function normalise(key: string): string {
  return key.toLowerCase().replace(/[-_ ]/g, "");
}

/** How many letters have to be added, removed or replaced to turn one text into the other (Levenshtein). */
function editDistance(from: string, to: string): number {
  let previous = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (const [row, letter] of [...from].entries()) {
    const current = [row + 1];
    for (let column = 0; column < to.length; column++) {
      const replaced = Number(previous[column]) + (letter === to[column] ? 0 : 1);
      current.push(Math.min(replaced, Number(previous[column + 1]) + 1, Number(current[column]) + 1));
    }
    previous = current;
  }
  return Number(previous.at(-1));
}
