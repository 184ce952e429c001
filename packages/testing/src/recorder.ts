/** A list of things that happened, which can be waited for. */
export class Recorder<T> {
  readonly items: T[] = [];
  readonly #waiting: { readonly count: number; readonly resolve: () => void }[] = [];

  get length(): number {
    return this.items.length;
  }

  add(item: T): void {
    this.items.push(item);
    for (const { count, resolve } of this.#waiting) if (this.items.length >= count) resolve();
  }

  /** The item at `index`, as soon as it is there. */
  async at(index: number): Promise<T> {
    await this.count(index + 1);
    return this.items[index] as T;
  }

  /** Resolves when there are `count` items, with all of them. */
  async count(count: number): Promise<readonly T[]> {
    if (this.items.length < count) await new Promise<void>((resolve) => this.#waiting.push({ count, resolve }));
    return this.items;
  }
}
