import { describe, expect, it } from "vitest";
import { median, medianOrNull } from "./statistics.ts";

describe("median", () => {
  it("is the value in the middle, whatever the order", () => {
    expect(median([9, 1, 5])).toBe(5);
  });

  it("is the mean of the two in the middle", () => {
    expect(median([4, 1, 100, 2])).toBe(3);
  });

  it("orders by value, not as text", () => {
    expect(median([10, 9, 100])).toBe(10);
  });

  it("is not moved by one outlier", () => {
    expect(median([10, 11, 1_000_000, 9, 10])).toBe(10);
  });

  it("refuses to make up a value", () => {
    expect(() => median([])).toThrow(RangeError);
  });

  it("leaves its input as it is", () => {
    const values = [3, 1, 2];
    median(values);
    expect(values).toEqual([3, 1, 2]);
  });
});

describe("medianOrNull", () => {
  it("is the median where all values are there", () => {
    expect(medianOrNull([3, 1, 2])).toBe(2);
  });

  it("is null where one is missing", () => {
    expect(medianOrNull([3, null, 2])).toBeNull();
    expect(medianOrNull([])).toBeNull();
  });
});
