import { describe, expect, it } from "vitest";
import { parseCore, utilizationBetween } from "./core-utilization.ts";

const text = `cpu  300 0 0 0 0 0 0 0 0 0
cpu0 100 0 50 800 50 0 0 0 0 0
cpu1 10 20 30 40 50 60 70 80 7 7
cpu10 1 1 1 1 1 1 1 1 0 0
intr 1
`;

describe("parseCore", () => {
  it("counts idle and iowait as idle, and guests not twice", () => {
    expect(parseCore(text, 1)).toEqual({ allTicks: 360, busyTicks: 270 });
  });

  it("takes no other core for the one that is asked for", () => {
    expect(parseCore(text, 10)).toEqual({ allTicks: 8, busyTicks: 6 });
    expect(() => parseCore(text, 2)).toThrow("no core 2");
  });
});

describe("utilizationBetween", () => {
  it("is the busy part of the time between", () => {
    const start = { allTicks: 1_000, busyTicks: 100 };
    expect(utilizationBetween(start, { allTicks: 1_400, busyTicks: 200 })).toBe(0.25);
  });

  it("is 0 when no time has passed", () => {
    const reading = { allTicks: 1_000, busyTicks: 100 };
    expect(utilizationBetween(reading, reading)).toBe(0);
  });
});
