import { expect, it } from "vitest";
import { DEFAULT_LIMITS, RequestParser, ResponseParser } from "../index.ts";
import { completeLimits } from "./limits.ts";

it("limits that are not given, or given as undefined, are the defaults", () => {
  expect(completeLimits({})).toEqual(DEFAULT_LIMITS);
  const undefinedLimit = { headBytes: undefined } as unknown as { headBytes: number };
  expect(completeLimits(undefinedLimit)).toEqual(DEFAULT_LIMITS);
  expect(completeLimits({ fields: 3 })).toEqual({ ...DEFAULT_LIMITS, fields: 3 });
});

it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, "64" as unknown as number])(
  "a limit of %j is refused by name",
  (limit) => {
    expect(() => new RequestParser({ headBytes: limit })).toThrow(/limit headBytes is/);
    expect(() => new ResponseParser({ trailerBytes: limit })).toThrow(RangeError);
  },
);
