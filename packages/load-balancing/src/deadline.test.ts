import { getEventListeners } from "node:events";
import { describe, expect, it } from "vitest";
import { withDeadline } from "./deadline.ts";

describe("withDeadline", () => {
  it("returns what the work returns, at once or later", async () => {
    await expect(withDeadline({ name: "work", timeoutMs: 60_000 }, () => 1)).resolves.toBe(1);
    await expect(withDeadline({ name: "work", timeoutMs: 60_000 }, async () => 2)).resolves.toBe(2);
  });

  it("throws what the work throws, at once or later", async () => {
    const now = withDeadline({ name: "work", timeoutMs: 60_000 }, () => {
      throw new Error("now");
    });
    await expect(now).rejects.toThrow("now");
    const later = withDeadline({ name: "work", timeoutMs: 60_000 }, () => Promise.reject(new Error("later")));
    await expect(later).rejects.toThrow("later");
  });

  it("gives up work that hangs, and tells it", async () => {
    let told: AbortSignal | undefined;
    const hanging = withDeadline({ name: "the work", timeoutMs: 1 }, (signal) => {
      told = signal;
      return new Promise<never>(() => {});
    });
    await expect(hanging).rejects.toMatchObject({ code: "ReadTimedout", message: "the work took longer than 1 ms" });
    expect(told?.aborted).toBe(true);
  });

  it("ends at once when the signal aborts, and lets go of it", async () => {
    const shutdown = new AbortController();
    const { signal } = shutdown;
    const hanging = withDeadline({ name: "work", timeoutMs: 60_000, signal }, () => new Promise<never>(() => {}));
    shutdown.abort(new Error("stop"));
    await expect(hanging).rejects.toThrow("stop");
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });

  it("does not begin when the signal has aborted", async () => {
    const begun = withDeadline({ name: "work", timeoutMs: 60_000, signal: AbortSignal.abort(new Error("stop")) }, () =>
      expect.unreachable(),
    );
    await expect(begun).rejects.toThrow("stop");
  });

  it("lets go of the signal when the work ends", async () => {
    const { signal } = new AbortController();
    await withDeadline({ name: "work", timeoutMs: 60_000, signal }, () => 1);
    await withDeadline({ name: "work", timeoutMs: 60_000, signal }, () => Promise.reject(new Error())).catch(() => {});
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });

  it("survives work that fails after it was given up", async () => {
    const late = Promise.withResolvers<never>();
    const given = withDeadline({ name: "work", timeoutMs: 1 }, () => late.promise);
    await expect(given).rejects.toThrow("took longer");
    late.reject(new Error("late"));
    // An unhandled rejection would fail the run.
    await new Promise((resolve) => setImmediate(resolve));
  });
});
