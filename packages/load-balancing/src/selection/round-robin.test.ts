import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { allocatedBytesPerCall } from "../../test/allocated-bytes.ts";
import { Backend } from "../backend.ts";
import { RoundRobin } from "./round-robin.ts";

describe("RoundRobin", () => {
  it("takes turns among backends of equal weight, in their order", () => {
    expect(turns(RoundRobin.build(weighted(1, 1, 1)), 7)).toEqual([0, 1, 2, 0, 1, 2, 0]);
  });

  it("spreads the turns of a heavy backend among those of the others", () => {
    const order = turns(RoundRobin.build(weighted(5, 1, 1)), 14);
    expect(count(order, 0)).toBe(10);
    expect(count(order, 1)).toBe(2);
    expect(count(order, 2)).toBe(2);
    expect(longestRun(order, 1)).toBe(1);
    expect(longestRun(order, 0)).toBeLessThanOrEqual(3);
  });

  it("gives each backend its share, to within one turn, from any moment on", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 1, maxLength: 12 }),
        fc.nat(50),
        (weights, skip) => {
          const total = weights.reduce((sum, weight) => sum + weight, 0);
          fc.pre(total > 0);
          const selection = RoundRobin.build(weighted(...weights));
          turns(selection, skip);
          const order = turns(selection, total);
          for (const [position, weight] of weights.entries()) {
            expect(Math.abs(count(order, position) - weight)).toBeLessThanOrEqual(1);
            if (weight === 0) expect(order).not.toContain(position);
          }
        },
      ),
    );
  });

  it("gives nothing to weight zero, and selects nobody when all weigh nothing", () => {
    expect(turns(RoundRobin.build(weighted(0, 1)), 3)).toEqual([1, 1, 1]);
    expect([...candidates(RoundRobin.build(weighted(0, 1, 1)))].sort()).toEqual([1, 2]);
    const none = RoundRobin.build(weighted(0, 0));
    expect(none.first()).toBe(-1);
    expect([...none.others(undefined, -1)]).toEqual([]);
  });

  it("selects nobody from an empty set", () => {
    expect(RoundRobin.build([]).first()).toBe(-1);
  });

  it("yields every backend once as a candidate, and changes nothing for those that were not taken", () => {
    const selection = RoundRobin.build(weighted(3, 1, 2));
    expect([...candidates(selection)].sort()).toEqual([0, 1, 2]);
    const untouched = RoundRobin.build(weighted(3, 1, 2));
    untouched.first();
    expect(turns(selection, 60)).toEqual(turns(untouched, 60));
  });

  it("shares the turns of an ill backend among the others by their weights", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 2, maxLength: 8 }),
        fc.nat(),
        fc.nat(20),
        (weights, seed, skip) => {
          const ill = seed % weights.length;
          const selection = RoundRobin.build(weighted(...weights));
          turns(selection, skip);
          const rest = weights.reduce((sum, weight, position) => sum + (position === ill ? 0 : weight), 0);
          const order = Array.from({ length: rest * 10 }, () => firstBut(selection, new Set([ill])));
          for (const [position, weight] of weights.entries()) {
            if (position === ill) expect(order).not.toContain(position);
            else expect(Math.abs(count(order, position) - weight * 10)).toBeLessThanOrEqual(1);
          }
        },
      ),
    );
  });

  it("does not let a backend that was ill catch up when it is well again", () => {
    const selection = RoundRobin.build(weighted(100, 1, 1));
    for (let turn = 0; turn < 1_000; turn += 1) firstBut(selection, new Set([0]));
    expect(count(turns(selection, 102), 0)).toBeLessThanOrEqual(101);
    const light = RoundRobin.build(weighted(1, 1, 1));
    for (let turn = 0; turn < 1_000; turn += 1) firstBut(light, new Set([0]));
    expect(count(turns(light, 9), 0)).toBeLessThanOrEqual(4);
  });

  it("carries on where the one before it was, so that frequent updates favour nobody", () => {
    let selection = RoundRobin.build(weighted(1, 1, 1, 1));
    const order = Array.from({ length: 40 }, () => {
      selection = RoundRobin.build(weighted(1, 1, 1, 1), selection);
      return selection.first();
    });
    expect([0, 1, 2, 3].map((position) => count(order, position))).toEqual([10, 10, 10, 10]);
  });

  it("lets a newcomer in without a burst of turns", () => {
    const before = RoundRobin.build(weighted(1, 1));
    turns(before, 1_001);
    const after = RoundRobin.build(weighted(1, 1, 1), before);
    expect(count(turns(after, 9), 2)).toBe(3);
  });

  it("keeps the shares exact for as long as it runs", () => {
    const selection = RoundRobin.build(weighted(1, 2));
    for (let turn = 0; turn < 4_000_000; turn += 1) selection.first();
    const order = turns(selection, 3_000);
    expect(count(order, 0)).toBe(1_000);
    expect(longestRun(order, 1)).toBeLessThanOrEqual(2);
  });

  it("allocates nothing for a turn", () => {
    const selection = RoundRobin.build(weighted(1, 2, 3, 1));
    expect(allocatedBytesPerCall(() => selection.first())).toBeLessThan(1);
  });
});

function weighted(...weights: readonly number[]): Backend[] {
  return weights.map((weight, index) => new Backend(`127.0.0.1:${index + 1}`, { weight }));
}

function turns(selection: RoundRobin, length: number): number[] {
  return Array.from({ length }, () => selection.first());
}

function* candidates(selection: RoundRobin): Generator<number> {
  const first = selection.first();
  yield first;
  yield* selection.others(undefined, first);
}

function firstBut(selection: RoundRobin, ill: ReadonlySet<number>): number {
  for (const candidate of candidates(selection)) if (!ill.has(candidate)) return candidate;
  return -1;
}

function count(order: readonly number[], position: number): number {
  return order.filter((each) => each === position).length;
}

function longestRun(order: readonly number[], position: number): number {
  let longest = 0;
  let run = 0;
  for (const each of order) {
    run = each === position ? run + 1 : 0;
    longest = Math.max(longest, run);
  }
  return longest;
}
