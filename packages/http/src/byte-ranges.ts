/** A part of a representation: the offsets of its first and its last byte. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

/**
 * What a `Range` field asks for (RFC 9110, 14.2): the parts, in the order asked for; `"unsatisfiable"` when all of them
 * lie behind the end (416); `"ignored"` when the whole is due: another unit, a malformed field, too many parts, or parts
 * that overlap or go backwards, which honest clients do not ask for (RFC 9110, 17.15).
 *
 * @param size Bytes of the whole representation.
 * @param maxParts More parts than this are ignored. Default 100.
 */
export function parseByteRanges(
  value: string,
  size: number,
  maxParts = 100,
): readonly ByteRange[] | "unsatisfiable" | "ignored" {
  const [, set] = /^bytes=(.*)$/i.exec(value) ?? [];
  if (set === undefined) return "ignored";
  const specs = set.split(",", maxParts + 1).map((spec) => spec.trim());
  if (specs.length > maxParts) return "ignored";
  const ranges: ByteRange[] = [];
  let empty = true;
  for (const spec of specs) {
    if (spec === "") continue;
    empty = false;
    const range = parseSpec(spec, size);
    if (range === undefined) return "ignored";
    if (range === "unsatisfiable") continue;
    const former = ranges.at(-1);
    if (former !== undefined && range.first <= former.last) return "ignored";
    ranges.push(range);
  }
  if (empty) return "ignored";
  return ranges.length > 0 ? ranges : "unsatisfiable";
}

/** One of `first-last`, `first-` or `-length`; undefined when it is none of them, or says the last byte before the first. */
function parseSpec(spec: string, size: number): ByteRange | "unsatisfiable" | undefined {
  const [, first, last, suffix] = /^(?:(\d+)-(\d*)|-(\d+))$/.exec(spec) ?? [];
  if (suffix !== undefined) {
    const length = Number(suffix);
    if (length === 0) return "unsatisfiable";
    // The end of nothing is nothing, and no Content-Range can say so: the whole is due.
    if (size === 0) return undefined;
    return { first: Math.max(0, size - length), last: size - 1 };
  }
  if (first === undefined || last === undefined) return undefined;
  if (last !== "" && isLess(last, first)) return undefined;
  if (Number(first) >= size) return "unsatisfiable";
  return { first: Number(first), last: last === "" ? size - 1 : Math.min(Number(last), size - 1) };
}

/** Compares digits that may stand for more than a number holds. */
function isLess(one: string, other: string): boolean {
  return BigInt(one) < BigInt(other);
}
