import { MetricsRegistry, silentLogger } from "@cirque/core";
import { describe, expect, it } from "vitest";
import { backOffMs } from "./back-off.ts";
import { CircuitBreaker } from "./circuit-breaker.ts";
import { RetryBudget } from "./retry-budget.ts";
import type { RetryPolicy } from "./retry-policy.ts";
import { RetryRules } from "./retry-rules.ts";

describe("backOffMs", () => {
  it("doubles its bound with each attempt, up to the largest, and takes any part of it", () => {
    const bounds = [1, 2, 3, 4, 5].map((attempts) => backOffMs({ baseMs: 10, maxMs: 50 }, attempts, 1));
    expect(bounds).toEqual([10, 20, 40, 50, 50]);
    expect(backOffMs({ baseMs: 10 }, 30, 1)).toBe(100);
    expect(backOffMs({ baseMs: 10 }, 3, 0)).toBe(0);
  });
});

describe("RetryBudget", () => {
  it("grants a share of the requests of the last ten seconds, and a minimum", () => {
    const budget = new RetryBudget({ ratio: 0.2, minimumPerSecond: 1 });
    for (let i = 0; i < 100; i++) budget.onRequest(5_000);
    expect(granted(budget, 5_900)).toBe(30);
    expect(granted(budget, 14_900)).toBe(0);
    expect(granted(budget, 15_000)).toBe(10);
  });

  it("grants nothing with a ratio and a minimum of 0, and starts anew after a long pause", () => {
    expect(granted(new RetryBudget({ ratio: 0, minimumPerSecond: 0 }), 0)).toBe(0);
    const budget = new RetryBudget({ ratio: 1, minimumPerSecond: 0 });
    for (let i = 0; i < 5; i++) budget.onRequest(0);
    expect(granted(budget, 1_000_000)).toBe(0);
    budget.onRequest(1_000_001);
    expect(granted(budget, 1_000_002)).toBe(1);
  });
});

describe("CircuitBreaker", () => {
  it("opens after failures in a row, lets one request try after a while, and closes with its success", () => {
    const breaker = new CircuitBreaker({ failures: 3, openMs: 100 });
    expect([breaker.onFailure("a", 0), breaker.onFailure("a", 1)]).toEqual([false, false]);
    expect(breaker.allows("a", 2)).toBe(true);
    expect(breaker.onFailure("a", 2)).toBe(true);
    expect([breaker.allows("a", 101), breaker.allows("b", 101)]).toEqual([false, true]);
    expect([breaker.allows("a", 102), breaker.allows("a", 103)]).toEqual([true, false]);
    expect(breaker.onFailure("a", 110)).toBe(false);
    expect([breaker.allows("a", 209), breaker.allows("a", 210)]).toEqual([false, true]);
    breaker.onSuccess("a");
    expect(breaker.allows("a", 211)).toBe(true);
  });

  it("starts counting anew with each success", () => {
    const breaker = new CircuitBreaker({ failures: 2, openMs: 100 });
    for (let i = 0; i < 10; i++) {
      breaker.onFailure("a", i);
      breaker.onSuccess("a");
    }
    expect(breaker.allows("a", 10)).toBe(true);
  });

  it("tries again when nothing came of the one that tried", () => {
    const breaker = new CircuitBreaker({ failures: 1, openMs: 100 });
    breaker.onFailure("a", 0);
    expect([breaker.allows("a", 100), breaker.allows("a", 199), breaker.allows("a", 200)]).toEqual([true, false, true]);
  });

  it("keeps no more than the latest ten thousand", () => {
    const breaker = new CircuitBreaker({ failures: 1, openMs: 100 });
    for (let i = 0; i <= 10_000; i++) breaker.onFailure(`origin ${i}`, 0);
    expect([breaker.allows("origin 0", 1), breaker.allows("origin 1", 1)]).toEqual([true, false]);
  });
});

describe("a retry policy", () => {
  it.each<[RetryPolicy, string]>([
    [{ statuses: [99] }, "retry.statuses: expected statuses of responses, found 99"],
    [{ perTryTimeoutMs: 0 }, "retry.perTryTimeoutMs: expected milliseconds above 0, found 0"],
    [{ totalTimeoutMs: Number.NaN }, "retry.totalTimeoutMs"],
    [{ backOff: { baseMs: -1 } }, "retry.backOff.baseMs"],
    [{ hedge: { afterMs: Number.POSITIVE_INFINITY } }, "retry.hedge.afterMs"],
    [{ circuitBreaker: { failures: 1.5 } }, "retry.circuitBreaker.failures"],
    [{ budget: { ratio: 2 } }, "retry.budget.ratio: expected a number from 0 to 1, found 2"],
    [{ budget: { minimumPerSecond: -1 } }, "retry.budget.minimumPerSecond"],
  ])("is refused when it is %j", (policy, message) => {
    expect(() => new RetryRules(policy, silentLogger, new MetricsRegistry(), "test")).toThrow(message);
  });
});

function granted(budget: RetryBudget, nowMs: number): number {
  let count = 0;
  while (count < 1_000 && budget.withdraw(nowMs)) count++;
  return count;
}
