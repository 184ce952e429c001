import { describe, expect, it } from "vitest";
import type { BackendSelection } from "./backend-selection.ts";
import { uniqueCandidates } from "./unique-candidates.ts";

describe("uniqueCandidates", () => {
  it("yields each candidate once, in the order of the selection", () => {
    expect([...uniqueCandidates(selectionOf([2, 2, 0, 2, 0, 1]), "key", 100)]).toEqual([2, 0, 1]);
  });

  it("counts repeated candidates as iterations", () => {
    const endless = selectionOf([3, 3, 3, 1, 0]);
    expect([...uniqueCandidates(endless, "key", 3)]).toEqual([3]);
    expect([...uniqueCandidates(endless, "key", 4)]).toEqual([3, 1]);
  });

  it("ends with an endless selection", () => {
    const same: BackendSelection = {
      first: () => 0,
      *others() {
        for (;;) yield 0;
      },
    };
    expect([...uniqueCandidates(same, undefined, 1_000)]).toEqual([0]);
  });

  it.each([0, -1, Number.NaN])("yields nothing and takes no turn for %s iterations", (maxIterations) => {
    const untouched: BackendSelection = {
      first: () => expect.unreachable(),
      others: () => expect.unreachable(),
    };
    expect([...uniqueCandidates(untouched, "key", maxIterations)]).toEqual([]);
  });

  it("asks for no others before the first was refused, and when there is none", () => {
    const only = (first: number): BackendSelection => ({ first: () => first, others: () => expect.unreachable() });
    for (const candidate of uniqueCandidates(only(4), "key", 10)) {
      expect(candidate).toBe(4);
      break;
    }
    expect([...uniqueCandidates(only(-1), "key", 10)]).toEqual([]);
    expect([...uniqueCandidates(only(4), "key", 1)]).toEqual([4]);
  });

  it("hands the key on, and closes the selection when the reader leaves early", () => {
    const seen: unknown[] = [];
    const selection: BackendSelection = {
      first: (key) => {
        seen.push(key);
        return 0;
      },
      *others(key, first) {
        seen.push(key, first);
        try {
          yield 1;
          yield 2;
        } finally {
          seen.push("closed");
        }
      },
    };
    for (const candidate of uniqueCandidates(selection, "a", 10)) if (candidate === 1) break;
    expect(seen).toEqual(["a", "a", 0, "closed"]);
  });
});

function selectionOf([first = -1, ...rest]: readonly number[]): BackendSelection {
  return { first: () => first, others: () => rest };
}
