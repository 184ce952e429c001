import { type ChildProcess, type StdioOptions, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { CirqueError } from "../errors/cirque-error.ts";
import { launchReportVariable } from "./launch-report.ts";

/** How this program is started again. */
export interface LaunchOptions {
  /** What the new process is, for messages: `the daemon`. */
  readonly name: string;
  /** The descriptors 0, 1 and 2. */
  readonly stdio: readonly ["ignore" | "inherit", "ignore" | "inherit", "ignore" | "inherit" | number];
  /** Descriptors that it inherits as 4, 5, … */
  readonly descriptors?: readonly number[];
  /** Whether it gets a session of its own. */
  readonly detached: boolean;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** The descriptor of the pipe on which the new process reports, and the first of those that it inherits. */
const reportDescriptor = 3;
export const firstInheritedDescriptor = 4;

/** This program, started again with the same arguments. */
export class Launch {
  readonly process: ChildProcess;
  readonly #name: string;

  constructor({ name, stdio, descriptors = [], detached, cwd, env }: LaunchOptions) {
    this.#name = name;
    const all: StdioOptions = [...stdio, "pipe", ...descriptors];
    this.process = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
      detached,
      stdio: all,
      cwd,
      env: { ...process.env, ...env, [launchReportVariable]: String(reportDescriptor) },
    });
  }

  /**
   * Waits until the new process has reported the event.
   *
   * @throws CirqueError `InternalError` with its reason when it fails or ends, or does not report in time; then it is
   * ended.
   */
  async reported(awaited: "started" | "ready", timeoutMs: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const fail = (reason: string, cause?: unknown): void => {
      reject(CirqueError.internal("InternalError", `${this.#name} did not start: ${reason}`, { cause }));
    };
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      void endProcess(this.process).then(() => fail(`it was not ${awaited} within ${timeoutMs} ms`));
    }, timeoutMs);
    this.process.once("error", (error) => fail(error.message, error));
    // "close" comes after the last line of the pipe, "exit" may come before it.
    this.process.once("close", (code, signal) => {
      if (late) return;
      fail(signal === null ? `it exited with code ${code}` : `${signal} ended it`);
    });
    // The constructor has a pipe there.
    const lines = createInterface({ input: this.process.stdio[reportDescriptor] as Readable });
    lines.on("line", (line) => {
      const [event, ...text] = line.split(" ");
      if (event === "failed") fail(reasonIn(text.join(" ")));
      else if (event === awaited) resolve();
    });
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      lines.close();
    }
  }

  /** Lets it live on by itself. */
  release(): void {
    this.process.stdio[reportDescriptor]?.destroy();
    this.process.unref();
  }
}

const endTimeoutMs = 5_000;

/** Tells the process to end, makes it when it does not, and resolves when it has. */
async function endProcess(child: ChildProcess): Promise<void> {
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), endTimeoutMs);
  await once(child, "exit");
  clearTimeout(timer);
}

function reasonIn(text: string): string {
  try {
    return String(JSON.parse(text));
  } catch {
    return text;
  }
}
