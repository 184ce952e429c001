/** What services of other threads have published, and who listens to it, by the key of the service. */
export class PublishedValues {
  readonly #values: Map<string, unknown>;
  readonly #listeners = new Map<string, ((value: unknown) => void)[]>();

  constructor(values: ReadonlyMap<string, unknown> = new Map()) {
    this.#values = new Map(values);
  }

  /** @param keep Whether later listeners are told as well. */
  deliver(key: string, value: unknown, keep: boolean): void {
    if (keep) this.#values.set(key, value);
    for (const listener of this.#listeners.get(key) ?? []) listener(value);
  }

  listen(key: string, listener: (value: unknown) => void): void {
    this.#listeners.set(key, [...(this.#listeners.get(key) ?? []), listener]);
    if (this.#values.has(key)) listener(this.#values.get(key));
  }

  /** Another service may get the key of one that has gone. */
  forget(key: string): void {
    this.#listeners.delete(key);
    this.#values.delete(key);
  }
}
