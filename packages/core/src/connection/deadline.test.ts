import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeClock } from "../../test/wire/fake-clock.ts";
import { Deadline } from "./deadline.ts";

let clock: FakeClock;
let expired: number;
let deadline: Deadline;

beforeEach(() => {
  clock = new FakeClock();
  expired = 0;
  deadline = new Deadline(() => expired++);
});

afterEach(() => clock[Symbol.dispose]());

describe("Deadline", () => {
  it("calls back once, when it is time", async () => {
    deadline.set(100);
    await clock.pass(99);
    expect(expired).toBe(0);
    await clock.pass(1);
    expect(expired).toBe(1);
    await clock.pass(1_000_000);
    expect(expired).toBe(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("moves later without another timer", async () => {
    deadline.set(100);
    const started = vi.getTimerCount();
    for (let i = 0; i < 5; i++) {
      await clock.pass(60);
      deadline.set(100);
      expect(vi.getTimerCount()).toBe(started);
    }
    await clock.pass(99);
    expect(expired).toBe(0);
    await clock.pass(1);
    expect(expired).toBe(1);
  });

  it("moves nearer, and the timer that it had is gone", async () => {
    deadline.set(100_000);
    await clock.pass(10);
    deadline.set(50);
    expect(vi.getTimerCount()).toBe(1);
    await clock.pass(49);
    expect(expired).toBe(0);
    await clock.pass(1);
    expect(expired).toBe(1);
    await clock.pass(200_000);
    expect(expired).toBe(1);
  });

  it("moves nearer and later again", async () => {
    deadline.set(1_000);
    deadline.set(10);
    await clock.pass(5);
    deadline.set(1_000);
    await clock.pass(999);
    expect(expired).toBe(0);
    await clock.pass(1);
    expect(expired).toBe(1);
  });

  it("that is cleared does not call back, and can be set again", async () => {
    deadline.set(100);
    deadline.clear();
    await clock.pass(1_000);
    expect(expired).toBe(0);
    deadline.set(100);
    await clock.pass(50);
    deadline.clear();
    deadline.set(100);
    await clock.pass(99);
    expect(expired).toBe(0);
    await clock.pass(1);
    expect(expired).toBe(1);
  });

  it("that is disposed of leaves no timer behind, and can be set again", async () => {
    deadline.set(100);
    deadline.dispose();
    expect(vi.getTimerCount()).toBe(0);
    await clock.pass(1_000);
    expect(expired).toBe(0);
    deadline.set(100);
    await clock.pass(100);
    expect(expired).toBe(1);
  });

  it.each([
    ["Infinity", Number.POSITIVE_INFINITY],
    ["more than a timer takes, which would fire at once", 2 ** 31],
  ])("of %s is none", async (_, ms) => {
    deadline.set(ms);
    expect(vi.getTimerCount()).toBe(0);
    await clock.pass(86_400_000);
    deadline.set(100);
    deadline.set(ms);
    await clock.pass(1_000);
    expect(expired).toBe(0);
  });

  it("of the longest that a timer takes is kept", async () => {
    deadline.set(2 ** 31 - 1);
    expect(vi.getTimerCount()).toBe(1);
    await clock.pass(2 ** 31 - 2);
    expect(expired).toBe(0);
    await clock.pass(1);
    expect(expired).toBe(1);
  });

  it.each([0, 0.2, -5])("of %d ms expires as soon as it can", async (ms) => {
    deadline.set(ms);
    expect(expired).toBe(0);
    await clock.pass(1);
    expect(expired).toBe(1);
  });

  it("can be set by what it calls", async () => {
    const every = new Deadline(() => {
      expired++;
      every.set(100);
    });
    every.set(100);
    for (let i = 0; i < 3; i++) await clock.pass(100);
    expect(expired).toBe(3);
    every.dispose();
  });
});
