import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const program = fileURLToPath(new URL("../../peers/cirque/soak-proxy.ts", import.meta.url));
const stopWithinMs = 15_000;
const lookEveryMs = 50;
const keptErrorBytes = 8_192;

/** A line that the server printed. */
export interface ServerEvent {
  readonly event: "serving" | "reloaded" | "delay";
  readonly pid: number;
  /** 0 for the main thread. */
  readonly thread: number;
  /** With `delay`. */
  readonly delaysMs?: readonly number[];
}

/** Where the server listens and forwards to, and its configuration file. */
export interface ServerSetup {
  readonly configurationFile: string;
  readonly listenPort: number;
  readonly originPort: number;
}

/** Cirque through reloads and upgrades: followed from process to process. All are ended when it is disposed of. */
export class ServerUnderSoak implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly #setup: ServerSetup;
  readonly #listeners = new Set<(event: ServerEvent) => void>();
  readonly #pids = new Set<number>();
  #pid = 0;
  #errorText = "";

  private constructor(setup: ServerSetup) {
    this.#setup = setup;
    const { configurationFile, listenPort, originPort } = setup;
    this.#process = spawn(
      process.execPath,
      [
        ...["--max-semi-space-size=2", program, "-c", configurationFile],
        ...["--listen", String(listenPort), "--origin", String(originPort)],
      ],
      { stdio: ["ignore", "pipe", "pipe"] },
    );
    // Its successors have the same output.
    if (this.#process.stdout) {
      createInterface({ input: this.#process.stdout }).on("line", (line) => this.#onLine(line));
    }
    this.#process.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#errorText = (this.#errorText + text).slice(-keptErrorBytes);
    });
    this.#process.on("error", (error) => {
      this.#errorText += error.message;
    });
    if (this.#process.pid !== undefined) this.#pids.add(this.#process.pid);
  }

  /**
   * Starts the server.
   *
   * @throws Error when it does not serve within 30 seconds
   */
  static async start(setup: ServerSetup): Promise<ServerUnderSoak> {
    const server = new ServerUnderSoak(setup);
    try {
      await server.events(
        ({ event, thread }) => event === "serving" && thread === 0,
        1,
        "start",
        () => {},
      );
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
    return server;
  }

  /** Process id of the process that serves. */
  get pid(): number {
    return this.#pid;
  }

  /** The end of what it has logged. */
  get errorText(): string {
    return this.#errorText.trim();
  }

  /** Calls back with each line it prints. */
  onEvent(listener: (event: ServerEvent) => void): void {
    this.#listeners.add(listener);
  }

  /** Sends a signal to the process that serves. */
  signal(signal: NodeJS.Signals): void {
    process.kill(this.#pid, signal);
  }

  /**
   * Does something, and waits until it has had so many events as an effect.
   *
   * @param what for the message of the error
   * @throws Error when they do not come within 30 seconds
   */
  async events(
    matches: (event: ServerEvent) => boolean,
    count: number,
    what: string,
    cause: () => void | Promise<void>,
    withinMs = 30_000,
  ): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    let left = count;
    const listener = (event: ServerEvent): void => {
      if (matches(event) && --left === 0) resolve();
    };
    const timer = setTimeout(
      () => reject(new Error(`${what}: not done after ${withinMs} ms; the log ends with:\n${this.errorText}`)),
      withinMs,
    );
    this.#listeners.add(listener);
    try {
      await Promise.all([promise, cause()]);
    } finally {
      clearTimeout(timer);
      this.#listeners.delete(listener);
    }
  }

  /**
   * Replaces the process by a new one, and waits until that serves.
   *
   * @returns the id of the process before, which still ends what is in flight.
   */
  async upgrade(): Promise<number> {
    const former = this.#pid;
    const isSuccessor = ({ event, pid, thread }: ServerEvent): boolean =>
      event === "serving" && thread === 0 && pid !== former;
    await this.events(isSuccessor, 1, "upgrade", () => this.signal("SIGUSR2"));
    return former;
  }

  /**
   * Waits until a process has ended.
   *
   * @throws Error when it has not after a minute
   */
  async ended(pid: number, withinMs = 60_000): Promise<void> {
    const deadline = performance.now() + withinMs;
    while (this.#lives(pid)) {
      if (performance.now() > deadline) throw new Error(`process ${pid} has not ended after ${withinMs} ms`);
      await delay(lookEveryMs);
    }
    this.#pids.delete(pid);
  }

  /** Ends all processes: gracefully, then not. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const pid of this.#pids) if (this.#lives(pid)) process.kill(pid, "SIGINT");
    for (const pid of this.#pids) {
      try {
        await this.ended(pid, stopWithinMs);
      } catch {
        if (this.#lives(pid)) process.kill(pid, "SIGKILL");
      }
    }
  }

  #onLine(line: string): void {
    let event: ServerEvent;
    try {
      event = JSON.parse(line);
    } catch {
      return;
    }
    this.#pids.add(event.pid);
    if (event.event === "serving" && event.thread === 0) this.#pid = event.pid;
    for (const listener of this.#listeners) listener(event);
  }

  /** Whether the process lives and is one of this server's: its number may have become another program's. */
  #lives(pid: number): boolean {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
      return words.includes(program) && words.includes(String(this.#setup.listenPort));
    } catch {
      return false;
    }
  }
}
