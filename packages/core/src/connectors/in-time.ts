import { Cancellation } from "./cancellation.ts";

/**
 * Runs a step that may take so long. It is cancelled when the time is up, or when the outer signal is aborted; what it
 * comes to after that, if it is a stream, is destroyed: it belongs to nobody.
 * @param late Makes the error for a step that is late.
 * @param givenUp Makes the error of the outer signal's reason.
 */
export function inTime<T>(
  ms: number,
  late: () => Error,
  outer: AbortSignal | undefined,
  givenUp: (reason: unknown) => Error,
  run: (cancellation: Cancellation) => Promise<T>,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancellation = new Cancellation();
    let over = false;
    const finish = (): void => {
      over = true;
      clearTimeout(timer);
      outer?.removeEventListener("abort", onAbort);
    };
    const stop = (error: Error): void => {
      finish();
      // What the step has to tell of its end, it tells at once: it may know more than that it was late.
      cancellation.cancel(error);
      setImmediate(reject, error);
    };
    const onAbort = (): void => stop(givenUp(outer?.reason));
    // A timer beyond this would fire at once, and 24 days are as good as never.
    const timer = ms < 2 ** 31 ? setTimeout(() => stop(late()), ms) : undefined;
    if (outer?.aborted) {
      finish();
      reject(givenUp(outer.reason));
      return;
    }
    outer?.addEventListener("abort", onAbort);
    run(cancellation).then(
      (value) => {
        if (over) destroy(value);
        else {
          finish();
          resolve(value);
        }
      },
      (error: unknown) => {
        if (!over) finish();
        reject(error);
      },
    );
  });
}

function destroy(value: unknown): void {
  if (typeof value !== "object" || value === null || !("destroy" in value)) return;
  if ("on" in value && typeof value.on === "function") value.on("error", () => {});
  if (typeof value.destroy === "function") value.destroy();
}
