import { setImmediate as turnOfTheLoop } from "node:timers/promises";
import { expect, it } from "vitest";
import { TurnBudget } from "./turn-budget.ts";

/** A budget of 2 ms, and work that takes 1 and says when it was done. */
function budgetOfTwo() {
  let now = 0;
  const budget = new TurnBudget(2, () => now);
  const done: string[] = [];
  const work = (name: string) =>
    budget.run(() => {
      now++;
      done.push(name);
      return name;
    });
  return { budget, done, work };
}

it("what does not fit into a turn waits for the next ones, in order, with others in between", async () => {
  const { done, work } = budgetOfTwo();
  const results = ["a", "b", "c", "d", "e"].map(work);
  expect(done).toEqual(["a", "b"]);
  expect(results.slice(0, 2)).toEqual(["a", "b"]);
  const counts = [done.length];
  while (done.length < 5) {
    await turnOfTheLoop();
    counts.push(done.length);
  }
  expect(counts.filter((count, i) => i > 0 && count - (counts[i - 1] ?? 0) > 2)).toEqual([]);
  expect(await Promise.all(results.map(async (result) => result))).toEqual(["a", "b", "c", "d", "e"]);
  expect(done).toEqual(["a", "b", "c", "d", "e"]);
});

it("a turn begins with all of it, whatever was used in the former one", async () => {
  const { work } = budgetOfTwo();
  for (let turn = 0; turn < 3; turn++) {
    expect(work("a")).toBe("a");
    await turnOfTheLoop();
    await turnOfTheLoop();
  }
});

it("what throws throws, now or later, and takes nothing else along", async () => {
  const { budget, work } = budgetOfTwo();
  const fail = () =>
    budget.run(() => {
      throw new Error("no");
    });
  expect(fail).toThrow("no");
  expect([work("a"), work("b")]).toEqual(["a", "b"]);
  const later = fail();
  const last = work("c");
  await expect(later).rejects.toThrow("no");
  expect(await last).toBe("c");
});
