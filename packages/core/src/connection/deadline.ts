import { turnTime } from "./turn-time.ts";

/**
 * A deadline that is moved often and met seldom: one for each connection, moved several times a request.
 *
 * Moving it later is one assignment: the timer that is already running looks at the new time when it fires. Only moving
 * it nearer sets a timer anew. It may fire up to one timer resolution late, never early.
 */
export class Deadline {
  readonly #onExpired: () => void;
  #expiresAt = Number.POSITIVE_INFINITY;
  #timerAt = Number.POSITIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;

  constructor(onExpired: () => void) {
    this.#onExpired = onExpired;
  }

  /** Calls back in `ms` milliseconds unless moved or cleared; `Infinity` clears. */
  set(ms: number): void {
    // setTimeout beyond this fires at once (a known defect of proxies), and 24 days are as good as never.
    if (ms > LONGEST_TIMER_MS) {
      this.clear();
      return;
    }
    this.#expiresAt = turnTime() + ms;
    if (this.#timerAt <= this.#expiresAt) return;
    clearTimeout(this.#timer);
    this.#start(ms);
  }

  /** Never calls back, unless set again. The timer is left to run out: it is likely to be wanted again soon. */
  clear(): void {
    this.#expiresAt = Number.POSITIVE_INFINITY;
  }

  /** Lets go of the timer. */
  dispose(): void {
    this.clear();
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#timerAt = Number.POSITIVE_INFINITY;
  }

  #start(ms: number): void {
    this.#timerAt = turnTime() + ms;
    this.#timer = setTimeout(fire, Math.max(1, Math.ceil(ms)), this);
  }

  /** The timer ran out: is it time? */
  check(): void {
    this.#timer = undefined;
    this.#timerAt = Number.POSITIVE_INFINITY;
    if (this.#expiresAt === Number.POSITIVE_INFINITY) return;
    const left = this.#expiresAt - performance.now();
    if (left > 0) {
      this.#start(left);
      return;
    }
    this.clear();
    this.#onExpired();
  }
}

const LONGEST_TIMER_MS = 2 ** 31 - 1;

function fire(deadline: Deadline): void {
  deadline.check();
}
