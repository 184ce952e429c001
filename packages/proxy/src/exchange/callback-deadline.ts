import { CirqueError } from "@cirque/core";
import { isPromise, type MaybePromise } from "../maybe-promise.ts";

/**
 * What a callback returned, if it does not promise it for ever: one request's callback that never settles must not hold
 * that request's memory and connections for good.
 *
 * @param timeoutMs `Infinity` waits without end.
 */
export function settledInTime<T>(result: MaybePromise<T>, timeoutMs: number): MaybePromise<T> {
  if (!isPromise(result) || timeoutMs > longestTimerMs) return result;
  return new Promise<T>((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(CirqueError.internal("CallbackTimedout", `a callback was not done after ${timeoutMs} ms`));
    }, timeoutMs);
    result.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

const longestTimerMs = 2 ** 31 - 1;
