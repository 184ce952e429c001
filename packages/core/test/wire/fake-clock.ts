import { vi } from "vitest";
import { settled } from "./raw-peer.ts";

/**
 * Time that passes only when told to, for everything in this process that sets timers; sockets go on as ever. So a test
 * of a time-out takes no time, and knows what happens just before and just after.
 */
export class FakeClock implements Disposable {
  constructor() {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    // A real clock is never at 0.
    vi.advanceTimersByTime(1_000);
  }

  /** Lets `ms` pass once everything on its way has arrived, and what comes of it happen. */
  async pass(ms: number): Promise<void> {
    await settled();
    vi.advanceTimersByTime(ms);
    await settled();
  }

  [Symbol.dispose](): void {
    vi.useRealTimers();
  }
}
