/** Counts which threads have reported a thing, and tells when all have. */
export class Tally {
  readonly #threads: number;
  readonly #reports = new Map<string, { readonly from: Set<number>; readonly all: PromiseWithResolvers<void> }>();

  constructor(threads: number) {
    this.#threads = threads;
  }

  add(key: string, thread: number): void {
    const { from, all } = this.#report(key);
    from.add(thread);
    if (from.size >= this.#threads) all.resolve();
  }

  /** Resolves when all threads have reported it. */
  complete(key: string): Promise<void> {
    return this.#report(key).all.promise;
  }

  #report(key: string): { readonly from: Set<number>; readonly all: PromiseWithResolvers<void> } {
    let report = this.#reports.get(key);
    if (!report) {
      report = { from: new Set(), all: Promise.withResolvers() };
      this.#reports.set(key, report);
    }
    return report;
  }
}
