import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Log } from "./program-log.ts";

const guide = join(import.meta.dirname, "../../docs/guide");

/** The text of a page of the guide. */
export function guidePage(name: string): Promise<string> {
  return readFile(join(guide, name), "utf8");
}

/** The program `gateway.ts` of a page of the guide, on a port of its own, in a folder of its own. */
export class GuideProgram implements AsyncDisposable {
  /**
   * Resolves when it runs.
   *
   * @param page Such as `threads.md`.
   * @param settings The content of its configuration file.
   * @param files Further files of the folder, by name.
   */
  static async start(
    page: string,
    settings: string,
    files: Readonly<Record<string, string>> = {},
  ): Promise<GuideProgram> {
    const code = /^```ts\n(\/\/ gateway\.ts\n[\s\S]*?)^```$/m.exec(await guidePage(page))?.[1];
    if (code === undefined) throw new Error(`${page} has no gateway.ts`);
    // Inside this package, so that the program finds what it imports.
    const parent = join(import.meta.dirname, "../out-tsc");
    await mkdir(parent, { recursive: true });
    const folder = await mkdtemp(join(parent, "guide-"));
    const all = {
      ...files,
      "gateway.ts": code.replace(/127\.0\.0\.1:6\d{3}/g, "127.0.0.1:0"),
      "cirque.yaml": settings,
    };
    for (const [name, text] of Object.entries(all)) await writeFile(join(folder, name), text);
    const program = new GuideProgram(folder);
    await program.log.next(0, ({ msg }) => msg === "the server runs");
    return program;
  }

  readonly log: Log;
  readonly #folder: string;
  readonly #child: ChildProcess;
  #output = "";

  private constructor(folder: string) {
    this.#folder = folder;
    this.#child = spawn(process.execPath, ["gateway.ts", "-c", "cirque.yaml"], {
      cwd: folder,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.log = new Log(this.#child);
    this.#child.stdout?.on("data", (data) => {
      this.#output += data;
    });
  }

  /** What it has printed so far. */
  get printed(): string {
    return this.#output;
  }

  /** Where its proxy listens. */
  async address(): Promise<string> {
    const { address } = await this.log.next(0, ({ msg, service }) => msg === "listening" && service === "HTTP proxy");
    return String(address);
  }

  write(file: string, text: string): Promise<void> {
    return writeFile(join(this.#folder, file), text);
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Resolves when the process that was started has ended, its successors not. */
  async ended(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, "exit");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#child, "close");
    for (const pid of new Set([this.#child.pid, ...this.log.pids])) killIfAlive(pid);
    await closed;
    await rm(this.#folder, { recursive: true });
  }
}

function killIfAlive(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended.
  }
}
