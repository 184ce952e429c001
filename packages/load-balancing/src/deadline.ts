import { CirqueError } from "@cirque/core";

/** Limits of {@link withDeadline}. */
export interface Deadline {
  /** What the work is called in the error message. */
  readonly name: string;
  /** How long the work may take, in milliseconds. */
  readonly timeoutMs: number;
  /** Ends the work before its time. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs work that may hang, or not heed its signal. Settles at the latest when the time is over or the signal aborts,
 * and then aborts the signal that the work was given.
 *
 * @throws CirqueError `ReadTimedout` when the time is over; the reason of `signal` when it aborts; what the work
 *   throws.
 */
export function withDeadline<T>(deadline: Deadline, work: (signal: AbortSignal) => Promise<T> | T): Promise<T> {
  const { name, timeoutMs, signal } = deadline;
  const controller = new AbortController();
  return new Promise<T>((resolve, reject) => {
    const cut = (reason: unknown): void => {
      settle();
      controller.abort(reason);
      reject(reason);
    };
    const onTimeout = (): void => cut(new CirqueError("ReadTimedout", `${name} took longer than ${timeoutMs} ms`));
    const onAbort = (): void => cut(signal?.reason);
    const settle = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    };

    const timer = setTimeout(onTimeout, timeoutMs);
    if (signal?.aborted) {
      onAbort();
      return;
    }
    signal?.addEventListener("abort", onAbort, { once: true });
    // The executor turns what the work throws at once into a rejection.
    new Promise<T>((done) => done(work(controller.signal))).then(
      (value) => {
        settle();
        resolve(value);
      },
      (error: unknown) => {
        settle();
        reject(error);
      },
    );
  });
}
