import { fileURLToPath } from "node:url";
import { Child } from "./child.ts";
import { loadCore } from "./cores.ts";

const readyWithinMs = 60_000;

/**
 * A program of `load/`, which is told what to do over its message channel: it reports `{ ready }` when its
 * load is under way, and answers each message with figures.
 */
export class LoadProgram implements AsyncDisposable {
  readonly #child: Child;

  private constructor(child: Child) {
    this.#child = child;
  }

  /**
   * Starts the program, and waits until it is ready.
   *
   * @param name the file in `load/`, without its ending
   * @throws Error when it ends or is not ready within a minute
   */
  static async start(name: string, ...numbers: readonly number[]): Promise<LoadProgram> {
    const file = fileURLToPath(new URL(`load/${name}.ts`, import.meta.url));
    const words = [file, ...numbers.map(String)];
    const child = new Child({ program: process.execPath, arguments: words }, loadCore, { ipc: true });
    try {
      await child.message(readyWithinMs);
    } catch (error) {
      await child[Symbol.asyncDispose]();
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`the load ${name} could not begin: ${reason}`, { cause: error });
    }
    return new LoadProgram(child);
  }

  /**
   * Asks for the figures since the last time.
   *
   * @throws Error when one of them is missing, or the program has ended
   */
  async figures<const Name extends string>(...names: readonly Name[]): Promise<Readonly<Record<Name, number>>> {
    return askFor(this.#child, names);
  }

  /** Tells the program something that it does not answer. */
  tell(message: object): void {
    this.#child.send(message);
  }

  /** What the program printed to its standard error since the last call, the end of it. */
  takeErrorText(): string {
    return this.#child.takeErrorText();
  }

  /** Ends the program. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child[Symbol.asyncDispose]();
  }
}

/**
 * Asks a program for figures over its message channel.
 *
 * @throws Error when one of them is missing, or the program has ended
 */
export async function askFor<const Name extends string>(
  child: Child,
  names: readonly Name[],
): Promise<Readonly<Record<Name, number>>> {
  const answer = child.message();
  child.send({ report: true });
  const message: unknown = await answer;
  const entries = names.map((name) => {
    const value: unknown = typeof message === "object" && message !== null ? Reflect.get(message, name) : undefined;
    if (typeof value !== "number" && typeof value !== "boolean") throw new Error(`the program did not tell ${name}`);
    return [name, Number(value)] as const;
  });
  return Object.fromEntries(entries) as Record<Name, number>;
}
