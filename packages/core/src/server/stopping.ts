import { whenAborted } from "../services/when-aborted.ts";
import type { StopMode } from "./shutdown-signal.ts";

/** How far a server has got with stopping: each step aborts a signal, and there is no way back. */
export class Stopping {
  readonly #stop = new AbortController();
  readonly #force = new AbortController();
  readonly #abandon = new AbortController();

  /** Aborts when the server is told to stop. */
  get started(): AbortSignal {
    return this.#stop.signal;
  }

  /** Aborts when what is left has to be dropped. */
  get force(): AbortSignal {
    return this.#force.signal;
  }

  /** Aborts when services are not waited for any longer. */
  get abandon(): AbortSignal {
    return this.#abandon.signal;
  }

  begin(mode: StopMode): void {
    this.#stop.abort();
    if (mode === "fast") this.#force.abort();
  }

  /** A signal: the first one stops, the second one drops what is left, the third one waits for nothing (`SIG-07`). */
  escalate(mode: StopMode): void {
    if (this.force.aborted) this.#abandon.abort();
    else this.begin(this.started.aborted ? "fast" : mode);
  }

  /** Waits for the work for the grace period, and then, when what is left was dropped, for a last time. */
  async waitFor(work: Promise<unknown>, times: StoppingTimes): Promise<void> {
    if (!this.force.aborted) {
      times.onGrace?.();
      await this.#within(times.graceMs, work, this.#force);
    }
    times.onForce?.();
    await this.#within(times.forcedMs, work, this.#abandon);
  }

  /** Waits for the work, until the time is over or the controller aborts; aborts it when the time is over. */
  async #within(timeMs: number, work: Promise<unknown>, controller: AbortController): Promise<void> {
    const timer = setTimeout(() => controller.abort(), timeMs);
    await Promise.race([work, whenAborted(controller.signal)]);
    clearTimeout(timer);
  }
}

/** How long {@link Stopping.waitFor} waits, and whom it tells. */
export interface StoppingTimes {
  readonly graceMs: number;
  readonly forcedMs: number;
  readonly onGrace?: () => void;
  readonly onForce?: () => void;
}
