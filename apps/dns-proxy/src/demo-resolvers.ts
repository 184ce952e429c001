import type { Service } from "@cirque/core";
import { DemoResolver } from "./demo-resolver.ts";

/** The resolvers that the demonstration brings along, on ports one after the other. They run while the server does. */
export class DemoResolvers implements Service {
  readonly name = "demo resolvers";
  readonly #names: readonly string[];
  readonly #firstPort: number;
  readonly #running: DemoResolver[] = [];

  /** Nothing is started before `start`. */
  constructor(names: readonly string[], firstPort: number) {
    this.#names = names;
    this.#firstPort = firstPort;
  }

  get addresses(): readonly string[] {
    return this.#names.map((_name, index) => `127.0.0.1:${this.#firstPort + index}`);
  }

  async start(): Promise<void> {
    for (const [index, name] of this.#names.entries()) {
      const port = this.#firstPort + index;
      try {
        this.#running.push(await DemoResolver.start(name, port));
      } catch (cause) {
        await this.stop();
        throw new Error(`port ${port} is not free for a demo resolver; set demoPort in the section dnsProxy`, {
          cause,
        });
      }
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.#running.splice(0).map((resolver) => resolver[Symbol.asyncDispose]()));
  }
}
