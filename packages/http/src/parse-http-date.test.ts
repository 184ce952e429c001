import fc from "fast-check";
import { expect, it } from "vitest";
import { httpDate, parseHttpDate } from "./index.ts";

const time = Date.UTC(1994, 10, 6, 8, 49, 37);

it.each(["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"])(
  "reads %j",
  (text) => expect(parseHttpDate(text)).toBe(time),
);

it.each([
  ...["", "yesterday", "1994-11-06T08:49:37Z", "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 UTC"],
  ...["Sun, 06 nov 1994 08:49:37 GMT", "Sun, 31 Feb 1994 08:49:37 GMT", "Sun, 00 Nov 1994 08:49:37 GMT"],
  ...["Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 06 Nov 1994 08:60:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT "],
])("does not read %j", (text) => expect(parseHttpDate(text)).toBeUndefined());

it("reads two digits of a year as at most 50 years ahead", () => {
  const now = Date.UTC(2026, 0, 1);
  const yearOf = (digits: string): number =>
    new Date(parseHttpDate(`Sunday, 06-Nov-${digits} 08:49:37 GMT`, now) ?? 0).getUTCFullYear();
  expect([yearOf("76"), yearOf("77"), yearOf("26"), yearOf("99")]).toEqual([2076, 1977, 2026, 1999]);
});

it("reads each date that is written", () => {
  const seconds = fc.integer({ min: -62_135_596_800, max: 253_402_300_799 });
  fc.assert(
    fc.property(seconds, (second) => {
      expect(parseHttpDate(httpDate(second * 1000))).toBe(second * 1000);
    }),
  );
});
