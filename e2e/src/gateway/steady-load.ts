import type { ThreadClient } from "./thread-client.ts";

/** Requests of some clients, one after another, without pause, until it is stopped. */
export class SteadyLoad implements AsyncDisposable {
  readonly #failed: string[] = [];
  readonly #running: Promise<unknown>;
  readonly #progress = new Set<() => void>();
  #done = 0;
  #stopped = false;

  constructor(clients: readonly ThreadClient[]) {
    this.#running = Promise.all(clients.map((client) => this.#run(client)));
  }

  /** How many requests were answered well. */
  get succeeded(): number {
    return this.#done - this.#failed.length;
  }

  /** What failed, and why. */
  get failed(): readonly string[] {
    return this.#failed;
  }

  /** Resolves when so many more requests are over, well or not. */
  async more(requests: number): Promise<void> {
    const target = this.#done + requests;
    while (this.#done < target) await new Promise<void>((resolve) => this.#progress.add(resolve));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #run(client: ThreadClient): Promise<void> {
    while (!this.#stopped) {
      try {
        const { status } = await client.get();
        if (status !== 200) this.#failed.push(`answered ${status}`);
      } catch (error) {
        this.#failed.push(String(error));
      }
      this.#done++;
      for (const wake of this.#progress) wake();
      this.#progress.clear();
    }
  }
}
