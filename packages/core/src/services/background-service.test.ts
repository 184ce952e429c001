import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { testContext } from "../../test/server/test-context.ts";
import { backgroundService } from "./background-service.ts";

const never = new AbortController().signal;

describe("backgroundService", () => {
  it("names the service after the task, and shares the task", () => {
    const task = { start: () => {} };
    const service = backgroundService("health check", task);
    expect(service.name).toBe("BG health check");
    expect(service.task).toBe(task);
  });

  it("refuses a task without a method to start", () => {
    expect(() => backgroundService("empty", {})).toThrow(
      'the task of background service "empty" has neither start nor startWithReadyNotifier',
    );
  });

  it("is ready at once with start, runs until shutdown, and stops when the task has ended", async () => {
    const context = testContext();
    const events: string[] = [];
    const service = backgroundService("task", {
      async start(shutdown: AbortSignal) {
        events.push("started");
        await once(shutdown, "abort");
        events.push("ended");
      },
    });
    await service.start(context);
    expect(events).toEqual(["started"]);
    context.controller.abort();
    await service.stop(never);
    expect(events).toEqual(["started", "ended"]);
  });

  it("is ready when the notifier is called", async () => {
    const context = testContext();
    let notify: (() => void) | undefined;
    const service = backgroundService("task", {
      startWithReadyNotifier(shutdown: AbortSignal, notifyReady: () => void) {
        notify = notifyReady;
        return once(shutdown, "abort").then(() => {});
      },
    });
    let ready = false;
    const started = service.start(context).then(() => {
      ready = true;
    });
    await new Promise(setImmediate);
    expect(ready).toBe(false);
    notify?.();
    await started;
    context.controller.abort();
    await service.stop(never);
  });

  it("is ready when the task ends without having notified", async () => {
    const service = backgroundService("task", { startWithReadyNotifier: async () => {} });
    await service.start(testContext());
    await service.stop(never);
  });

  it("does not start when the task fails before it is ready", async () => {
    const service = backgroundService("task", {
      startWithReadyNotifier: () => Promise.reject(new Error("no discovery")),
    });
    await expect(service.start(testContext())).rejects.toThrow("no discovery");
    await service.stop(never);
  });

  it.each([
    [
      "throws",
      (): void => {
        throw new Error("broken");
      },
    ],
    ["rejects", (): Promise<void> => Promise.reject(new Error("broken"))],
  ])("logs and counts a task that %s", async (_how, start) => {
    const context = testContext();
    const service = backgroundService("task", { start });
    await service.start(context);
    await service.stop(never);
    expect(context.logger.messages("error")).toEqual(["the background task failed and does not run any more"]);
    expect(await context.metrics.exposition()).toContain(
      'cirque_background_task_failures_total{service="BG task"} 1\n',
    );
  });

  it("does not call it a failure when waiting was cut short by the shutdown", async () => {
    const context = testContext();
    const service = backgroundService("task", {
      async start(shutdown: AbortSignal) {
        await delay(1_000_000, undefined, { signal: shutdown });
      },
    });
    await service.start(context);
    context.controller.abort();
    await service.stop(never);
    expect(context.logger.messages("error")).toEqual([]);
  });

  it("does not wait for a task that ignores the shutdown once it is forced", async () => {
    const context = testContext();
    const service = backgroundService("task", { start: () => new Promise<void>(() => {}) });
    await service.start(context);
    context.controller.abort();
    const force = new AbortController();
    const stopped = service.stop(force.signal);
    force.abort();
    await stopped;
  });
});
