import { describe, expect, it } from "vitest";
import { UsageError } from "../arguments.ts";
import { DelayHistogram } from "./delay-histogram.ts";
import { planRound, type Round } from "./round.ts";
import type { SoakOutcome } from "./soak.ts";
import { parseSoakArguments } from "./soak-arguments.ts";
import { formatFinding, judge, slope } from "./verdict.ts";

describe("parseSoakArguments", () => {
  it("turns minutes into rounds", () => {
    expect(parseSoakArguments([])).toEqual({ kind: "run", rounds: 60, threads: 2 });
    expect(parseSoakArguments(["--minutes", "1", "--threads", "4"])).toEqual({ kind: "run", rounds: 6, threads: 4 });
    expect(parseSoakArguments(["-h"])).toEqual({ kind: "help" });
  });

  it.each([[["--minutes", "0"]], [["--minutes", "1.5"]], [["--threads", "17"]], [["--hours", "1"]], [["10"]]])(
    "refuses %j",
    (words) => {
      expect(() => parseSoakArguments(words)).toThrow(UsageError);
    },
  );
});

describe("planRound", () => {
  const plans = Array.from({ length: 24 }, (_, index) => planRound(index + 1, 24, 2));

  it("upgrades in the first third only", () => {
    expect(plans.flatMap(({ upgrade }, index) => (upgrade ? [index + 1] : []))).toEqual([1, 3, 5, 7]);
  });

  it("kills each thread in turn, and each of them seldom", () => {
    expect(plans.flatMap(({ kill }, index) => (kill === undefined ? [] : [[index + 1, kill]]))).toEqual([
      [2, 2],
      [6, 1],
      [10, 2],
      [14, 1],
      [18, 2],
      [22, 1],
    ]);
  });

  it("kills nothing where the main thread serves", () => {
    expect(planRound(2, 24, 1).kill).toBeUndefined();
  });
});

describe("DelayHistogram", () => {
  it("has the quantiles of all that was added", () => {
    const histogram = new DelayHistogram();
    histogram.add(Array.from({ length: 98 }, () => 0.5));
    histogram.add([7.25, 20_000]);
    expect(histogram.quantile(0.5)).toBe(0.5);
    expect(histogram.quantile(0.99)).toBe(7.3);
    expect(histogram.quantile(1)).toBe(10_000);
  });

  it("has none without delays", () => {
    expect(new DelayHistogram().quantile(0.5)).toBeNaN();
  });
});

describe("slope", () => {
  it("is that of the best line", () => {
    expect(slope([1, 3, 5, 7])).toBe(2);
    expect(slope([5, 5, 5])).toBe(0);
    expect(slope([0, 9, 0])).toBe(0);
    expect(slope([4])).toBe(0);
  });
});

describe("judge", () => {
  const round: Round = {
    number: 1,
    pid: 1,
    requests: 1_000,
    failed: 0,
    resent: 1,
    failedByKill: 0,
    failures: "",
    killed: false,
    upgraded: false,
    rssBytes: 100 * 1024 ** 2,
    descriptors: 30,
    pooled: 12,
  };
  const outcome: SoakOutcome = {
    rounds: Array.from({ length: 120 }, () => round),
    descriptorsAtRest: 30,
    delayP50Ms: 0.1,
    delayP99Ms: 5,
    delayMaxMs: 300,
  };
  const marks = (changed: Partial<SoakOutcome>): string =>
    judge({ ...outcome, ...changed })
      .map((finding) => formatFinding(finding).slice(0, 1))
      .join("");
  const withRounds = (change: (index: number) => Partial<Round>, length = 120): Partial<SoakOutcome> => ({
    rounds: Array.from({ length }, (_, index) => ({ ...round, ...change(index) })),
  });

  it("finds nothing wrong where nothing is", () => {
    expect(marks({})).toBe("o   ooo");
    expect(formatFinding(judge(outcome)[0] ?? { text: "", good: undefined })).toBe("ok    0 of 120000 requests failed");
  });

  it("finds a failed request, and lets those in flight on a killed thread be", () => {
    expect(marks(withRounds((index) => ({ failed: index === 3 ? 1 : 0 })))).toBe("W   ooo");
    expect(marks(withRounds(() => ({ killed: true, failedByKill: 3 })))).toBe("o   ooo");
  });

  it("finds memory that grows in the second half, when there are rounds enough", () => {
    const growing = (index: number): Partial<Round> => ({ rssBytes: index * 200 * 1024 });
    expect(marks(withRounds(growing))).toBe("o   Woo");
    expect(marks(withRounds(growing, 100))).toBe("o    oo");
    expect(marks(withRounds((index) => growing(Math.min(index, 60))))).toBe("o   ooo");
  });

  it("finds descriptors that stay, and late event loops", () => {
    expect(marks(withRounds((index) => ({ descriptors: index === 7 ? 31 : 30 })))).toBe("o   oWo");
    expect(marks({ delayP99Ms: 20.1 })).toBe("o   ooW");
    expect(marks({ delayP99Ms: Number.NaN })).toBe("o   ooW");
  });
});
