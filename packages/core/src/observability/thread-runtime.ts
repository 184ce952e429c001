import { type EventLoopUtilization, monitorEventLoopDelay, performance } from "node:perf_hooks";
import { getHeapStatistics } from "node:v8";
import type { RuntimeFacts } from "./metric-messages.ts";

/** How often the delay is measured. */
const resolutionMs = 20;

/** How busy the event loop of this thread is, and how much memory it uses. Measures from its creation on. */
export class ThreadRuntime {
  readonly #delay = monitorEventLoopDelay({ resolution: resolutionMs });
  #utilization: EventLoopUtilization = performance.eventLoopUtilization();

  constructor() {
    this.#delay.enable();
  }

  stop(): void {
    this.#delay.disable();
  }

  /** The facts since the last call. */
  read(): RuntimeFacts {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, this.#utilization);
    this.#utilization = now;
    const facts = {
      utilization,
      delayP50: delaySeconds(this.#delay.percentile(50)),
      delayP99: delaySeconds(this.#delay.percentile(99)),
      delayMax: delaySeconds(this.#delay.max),
      heapUsedBytes: getHeapStatistics().used_heap_size,
    };
    this.#delay.reset();
    return facts;
  }
}

/** What was measured is the time between two timers, which is the resolution when nothing is late. */
function delaySeconds(nanoseconds: number): number {
  return Math.max(0, nanoseconds / 1e9 - resolutionMs / 1e3);
}
