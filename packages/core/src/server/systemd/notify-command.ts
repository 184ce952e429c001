import { spawn } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import type { Logger } from "../../observability/logger.ts";

export interface NotifyCommandOptions {
  /** `NOTIFY_SOCKET`. */
  readonly socket: string;
  /** How long one run may take. */
  readonly deadlineMs: number;
  readonly logger: Logger;
}

interface Message {
  readonly assignments: readonly string[];
  readonly finish: (delivered: boolean) => void;
}

/** Sends messages to systemd through the program `systemd-notify`, one run at a time, in order. */
export class NotifyCommand {
  readonly #program: string;
  readonly #options: NotifyCommandOptions;
  readonly #waiting: Message[] = [];
  #sending: Promise<void> | undefined;
  #failed = false;

  private constructor(program: string, options: NotifyCommandOptions) {
    this.#program = program;
    this.#options = options;
  }

  /** Undefined when `systemd-notify` is not in the path. */
  static find(path: string | undefined, options: NotifyCommandOptions): NotifyCommand | undefined {
    const program = (path ?? "/usr/local/bin:/usr/bin:/bin")
      .split(delimiter)
      .filter((directory) => directory !== "")
      .map((directory) => join(directory, "systemd-notify"))
      .find(isProgram);
    return program === undefined ? undefined : new NotifyCommand(program, options);
  }

  /**
   * Queues a message of lines like `READY=1`. A ping or status text that still waits is replaced by the next one, so
   * that they do not pile up while systemd is slow.
   *
   * @returns Whether it was delivered. Never rejects.
   */
  send(...assignments: readonly string[]): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const replaced = this.#waiting.findIndex((message) => isReplacedBy(message, assignments));
    if (replaced !== -1) this.#drop(replaced);
    else if (this.#waiting.length >= mostWaiting) this.#drop(0);
    this.#waiting.push({ assignments, finish: resolve });
    this.#sending ??= this.#sendAll();
    return promise;
  }

  /** Resolves when nothing is left to send. */
  async settled(): Promise<void> {
    await this.#sending;
  }

  #drop(index: number): void {
    const [message] = this.#waiting.splice(index, 1);
    message?.finish(false);
  }

  async #sendAll(): Promise<void> {
    for (let message = this.#waiting.shift(); message; message = this.#waiting.shift()) {
      const problem = await run(this.#program, message.assignments, this.#options);
      if (problem !== undefined) this.#report(problem, message);
      else this.#failed = false;
      message.finish(problem === undefined);
    }
    this.#sending = undefined;
  }

  /** Once until it works again: a ping fails every few seconds. */
  #report(problem: string, { assignments }: Message): void {
    const { logger } = this.#options;
    const level = this.#failed ? "debug" : "warn";
    this.#failed = true;
    logger[level]({ message: assignments, program: this.#program }, `systemd could not be notified: ${problem}`);
  }
}

/** Far more than a server has to say at a time; when systemd hangs, the oldest are dropped. */
const mostWaiting = 32;

const replaceable = ["WATCHDOG=", "STATUS=", "EXTEND_TIMEOUT_USEC="];

function isReplacedBy(
  { assignments: [old = "", ...oldRest] }: Message,
  [first = "", ...rest]: readonly string[],
): boolean {
  if (oldRest.length > 0 || rest.length > 0) return false;
  return replaceable.some((key) => old.startsWith(key) && first.startsWith(key));
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** What went wrong, if anything. */
function run(
  program: string,
  assignments: readonly string[],
  { socket, deadlineMs }: NotifyCommandOptions,
): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  try {
    const child = spawn(program, assignments, {
      env: { NOTIFY_SOCKET: socket },
      stdio: ["ignore", "ignore", "pipe"],
    });
    let output = "";
    child.stderr.on("data", (data: Buffer) => {
      output = (output + data.toString()).slice(0, 1_000);
    });
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      // A process of its own that it left behind may hold the pipe.
      child.stderr.destroy();
      resolve(`systemd-notify did not end within ${deadlineMs} ms`);
    }, deadlineMs);
    const finish = (problem: string | undefined): void => {
      clearTimeout(timer);
      resolve(problem);
    };
    child.once("error", (error) => finish(error.message));
    child.once("close", (code, signal) => {
      if (code === 0) finish(undefined);
      else finish(`systemd-notify ended with ${signal ?? `code ${code}`}: ${output.trim()}`);
    });
  } catch (error) {
    // For want of descriptors or memory, spawn throws.
    resolve(error instanceof Error ? error.message : String(error));
  }
  return promise;
}
