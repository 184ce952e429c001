import type { GatewayProcess } from "./gateway-process.ts";

/** Looks at the counters in `/metrics` again and again, until it is stopped, and notes those that fall. */
export class CounterWatch implements AsyncDisposable {
  readonly #gateway: GatewayProcess;
  readonly #fallen = new Set<string>();
  readonly #running: Promise<void>;
  #last: ReadonlyMap<string, number> = new Map();
  #looks = 0;
  #stopped = false;

  constructor(gateway: GatewayProcess) {
    this.#gateway = gateway;
    this.#running = this.#run();
  }

  /** The counters that have shown less than before. */
  get fallen(): readonly string[] {
    return [...this.#fallen];
  }

  /** How often it has looked. */
  get looks(): number {
    return this.#looks;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const counters = await this.#gateway.counters();
      for (const [series, value] of this.#last) if ((counters.get(series) ?? 0) < value) this.#fallen.add(series);
      this.#last = counters;
      this.#looks++;
    }
  }
}
