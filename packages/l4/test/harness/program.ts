import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

/** A program under test, and what it and its successors print. */
export class Program implements AsyncDisposable {
  readonly child: ChildProcess;
  output = "";
  readonly #onOutput: (() => void)[] = [];

  /** @param words What Node is given; a `-` reads the program from `code`. */
  constructor(
    words: readonly string[],
    options: { cwd?: string; env?: Readonly<Record<string, string>>; code?: string } = {},
  ) {
    const { cwd, env, code } = options;
    this.child = spawn(process.execPath, ["--conditions=@cirque/source", ...words], {
      env: { ...process.env, ...env },
      stdio: ["pipe", "pipe", "pipe"],
      ...(cwd !== undefined && { cwd }),
    });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.output += text;
        this.#changed();
      });
    }
    this.child.once("exit", () => this.#changed());
    this.child.stdin?.end(code);
  }

  /** What `find` finds in the output, once it does. */
  async until<T>(find: (output: string) => T | undefined | null): Promise<T> {
    for (;;) {
      const found = find(this.output);
      if (found !== undefined && found !== null) return found;
      if (this.child.exitCode !== null) throw new Error(`ended: ${this.output}`);
      await new Promise<void>((resolve) => {
        this.#onOutput.push(resolve);
      });
    }
  }

  /** Ends the program, and all that say in their log that they are its successors. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.child, "close");
    for (const pid of this.pids()) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It has left already.
      }
    }
    this.child.kill("SIGKILL");
    await closed;
  }

  /** The processes that have logged something, in their order. */
  pids(): readonly number[] {
    return [...new Set(Array.from(this.output.matchAll(/"pid":(\d+)/g), ([, pid]) => Number(pid)))];
  }

  #changed(): void {
    for (const resolve of this.#onOutput.splice(0)) resolve();
  }
}
