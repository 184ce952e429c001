/** What a callback may return: a value, or a promise of one. */
export type MaybePromise<T> = T | Promise<T>;

/**
 * Whether a callback's result has to be waited for. Waiting for what is there already would cost each request a turn of
 * the event loop's microtask queue, many times over.
 */
export function isPromise<T>(value: MaybePromise<T>): value is Promise<T> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}
