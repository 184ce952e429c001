import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseByteRanges } from "./index.ts";

describe("a range of 100 bytes", () => {
  it.each<[string, [number, number][]]>([
    ["bytes=0-0", [[0, 0]]],
    ["bytes=0-9", [[0, 9]]],
    ["Bytes=90-", [[90, 99]]],
    ["bytes=-10", [[90, 99]]],
    ["bytes=-1000", [[0, 99]]],
    ["bytes=95-200", [[95, 99]]],
    ["bytes=0-99999999999999999999999", [[0, 99]]],
    [
      "bytes=0-1,3-4, 6-7",
      [
        [0, 1],
        [3, 4],
        [6, 7],
      ],
    ],
    ["bytes=,0-1,,", [[0, 1]]],
    ["bytes=0-1,200-300", [[0, 1]]],
    ["bytes=0-1,-0", [[0, 1]]],
    [
      "bytes=0-1,2-3",
      [
        [0, 1],
        [2, 3],
      ],
    ],
  ])("%s", (value, expected) => {
    expect(parseByteRanges(value, 100)).toEqual(expected.map(([first, last]) => ({ first, last })));
  });

  it.each(["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=100-,200-300", "bytes=99999999999999999999999-"])(
    "%s cannot be had (RNG-09, RNG-13)",
    (value) => expect(parseByteRanges(value, 100)).toBe("unsatisfiable"),
  );

  it.each([
    ...["", "bytes", "bytes=", "bytes=,", "items=0-1", "bytes=-", "bytes=a-b", "bytes=1", "bytes=0x0-0x1", "bytes=1-0"],
    ...["bytes=0-1,x", "bytes=0-5,3-9", "bytes=5-9,0-1", "bytes=0-1,0-1", "bytes= -", "bytes=+1-2", "bytes=1.0-2"],
    "bytes=99999999999999999999999-99999999999999999999998",
  ])("%j is ignored (RNG-08)", (value) => expect(parseByteRanges(value, 100)).toBe("ignored"));
});

it("of nothing is unsatisfiable, but its end is nothing (RNG-13)", () => {
  expect(parseByteRanges("bytes=0-", 0)).toBe("unsatisfiable");
  expect(parseByteRanges("bytes=-0", 0)).toBe("unsatisfiable");
  expect(parseByteRanges("bytes=-5", 0)).toBe("ignored");
});

it("of too many parts is ignored", () => {
  const parts = (count: number): string =>
    `bytes=${Array.from({ length: count }, (_, i) => `${i * 2}-${i * 2}`).join(",")}`;
  expect(parseByteRanges(parts(100), 1000)).toHaveLength(100);
  expect(parseByteRanges(parts(101), 1000)).toBe("ignored");
  expect(parseByteRanges(parts(3), 1000, 2)).toBe("ignored");
  expect(parseByteRanges(`bytes=${",".repeat(100_000)}`, 1000)).toBe("ignored");
});

it("lies inside the whole, in order, whatever is asked for", () => {
  const spec = fc.stringMatching(/^[0-9,\- ]{0,20}$/);
  fc.assert(
    fc.property(spec, fc.nat(50), (text, size) => {
      const ranges = parseByteRanges(`bytes=${text}`, size);
      if (typeof ranges === "string") return;
      let next = 0;
      for (const { first, last } of ranges) {
        expect(first).toBeGreaterThanOrEqual(next);
        expect(last).toBeGreaterThanOrEqual(first);
        expect(last).toBeLessThan(size);
        next = last + 1;
      }
    }),
  );
});
