import { expect, it } from "vitest";
import { httpDate } from "./index.ts";

it("httpDate writes an IMF-fixdate (RFC 9110, 5.6.7)", () => {
  expect(httpDate(784_111_777_000)).toBe("Sun, 06 Nov 1994 08:49:37 GMT");
});

it("httpDate holds for the whole of a second, and no longer", () => {
  expect(httpDate(784_111_777_999)).toBe("Sun, 06 Nov 1994 08:49:37 GMT");
  expect(httpDate(784_111_778_000)).toBe("Sun, 06 Nov 1994 08:49:38 GMT");
});

it("httpDate follows a clock that is set back", () => {
  expect(httpDate(784_111_777_000)).toBe("Sun, 06 Nov 1994 08:49:37 GMT");
  expect(httpDate(-1)).toBe("Wed, 31 Dec 1969 23:59:59 GMT");
  expect(httpDate(-1_001)).toBe("Wed, 31 Dec 1969 23:59:58 GMT");
});

it("httpDate takes the time of now by itself", () => {
  const before = Math.floor(Date.now() / 1000);
  const told = Date.parse(httpDate()) / 1000;
  expect(told).toBeGreaterThanOrEqual(before);
  expect(told).toBeLessThanOrEqual(Date.now() / 1000);
});
