import { describe, expect, it } from "vitest";
import { BackendHealth } from "./backend-health.ts";

describe("BackendHealth", () => {
  it("starts healthy, enabled and ready", () => {
    expect(new BackendHealth()).toMatchObject({ healthy: true, enabled: true, ready: true });
  });

  it("turns at once with a threshold of one", () => {
    const health = new BackendHealth();
    expect(health.observe(false, 1)).toBe(true);
    expect(health.ready).toBe(false);
    expect(health.observe(false, 1)).toBe(false);
    expect(health.observe(true, 1)).toBe(true);
    expect(health.ready).toBe(true);
  });

  it("turns after as many contrary results in a row as the threshold says", () => {
    const health = new BackendHealth();
    expect([false, false, false].map((success) => health.observe(success, 3))).toEqual([false, false, true]);
    expect(health.healthy).toBe(false);
    expect([true, true].map((success) => health.observe(success, 2))).toEqual([false, true]);
    expect(health.healthy).toBe(true);
  });

  it("never turns when a flapping backend stays below the threshold", () => {
    const health = new BackendHealth();
    const results = Array.from({ length: 99 }, (_, check) => health.observe(check % 3 === 0, 3));
    expect(results).not.toContain(true);
    expect(health.healthy).toBe(true);
  });

  it("is ready only when it is healthy and enabled", () => {
    const health = new BackendHealth();
    health.enabled = false;
    expect(health).toMatchObject({ healthy: true, ready: false });
    health.observe(false, 1);
    health.enabled = true;
    expect(health).toMatchObject({ healthy: false, ready: false });
    health.observe(true, 1);
    expect(health.ready).toBe(true);
  });

  it("forgets what the checks said, and not what the operator said", () => {
    const health = new BackendHealth();
    health.observe(false, 1);
    health.observe(true, 2);
    health.enabled = false;
    health.forget();
    expect(health).toMatchObject({ healthy: true, enabled: false });
    expect(health.observe(false, 2)).toBe(false);
  });
});
