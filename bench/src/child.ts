import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { pinnedTo } from "./cores.ts";

const startWithinMs = 15_000;
/** Enough for a proxy that finishes what is under way, and then writes a CPU profile. */
const stopWithinMs = 10_000;
const keptErrorBytes = 4_096;

/** What to run: the program and its arguments, without the pinning. */
export interface Command {
  readonly program: string;
  readonly arguments: readonly string[];
  /** What asks the program to end soon. Default: SIGTERM. */
  readonly stopSignal?: NodeJS.Signals;
  /** How many TCP sockets it listens on at its port once all of it is ready. Default: 1. */
  readonly listeningSockets?: number;
}

/** A program started on one core; it ends when the child is disposed of. */
export class Child implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly #stopSignal: NodeJS.Signals;
  readonly #listeningSockets: number;
  #errorText = "";

  /**
   * Starts the program with as many open files as the system lets it have.
   *
   * The shell replaces itself by taskset, and that by the program, so the pid is the program's own.
   *
   * @param core undefined leaves it to the system
   * @param options.ipc whether to open a message channel, for programs that run on Node
   */
  constructor(command: Command, core: number | undefined, options: { readonly ipc?: boolean } = {}) {
    const words = [...(core === undefined ? [] : pinnedTo(core)), command.program, ...command.arguments];
    this.#process = spawn("sh", ["-c", 'ulimit -n "$(ulimit -Hn)" && exec "$@"', "sh", ...words], {
      stdio: options.ipc ? ["ignore", "ignore", "pipe", "ipc"] : ["ignore", "pipe", "pipe"],
    });
    this.#stopSignal = command.stopSignal ?? "SIGTERM";
    this.#listeningSockets = command.listeningSockets ?? 1;
    this.#process.stdout?.resume();
    this.#process.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#errorText = (this.#errorText + text).slice(-keptErrorBytes);
    });
    // Without a listener a failed spawn would end the benchmark; `ended` and `message` report it.
    this.#process.on("error", (error) => {
      this.#errorText += error.message;
    });
  }

  /** Process id. */
  get pid(): number {
    const { pid } = this.#process;
    if (pid === undefined) throw new Error(`could not be started: ${this.#errorText}`);
    return pid;
  }

  /** What the program printed to its standard error, the end of it. */
  get errorText(): string {
    return this.#errorText.trim();
  }

  /** {@link errorText} since the last call. */
  takeErrorText(): string {
    const text = this.errorText;
    this.#errorText = "";
    return text;
  }

  /** Whether the program has ended. */
  get ended(): boolean {
    return this.#process.exitCode !== null || this.#process.signalCode !== null;
  }

  /** Sends a message over the channel. */
  send(message: object): void {
    this.#process.send?.(message);
  }

  /**
   * The next message of the program.
   *
   * @param withinMs how long to wait
   * @throws Error when the program ends first, or says nothing in time
   */
  async message(withinMs: number = startWithinMs): Promise<unknown> {
    const waiting = new AbortController();
    const signal = AbortSignal.any([waiting.signal, AbortSignal.timeout(withinMs)]);
    try {
      const [message] = await Promise.race([
        once(this.#process, "message", { signal }),
        once(this.#process, "exit", { signal }).then(() => {
          throw new Error(`ended early: ${this.errorText}`);
        }),
      ]);
      return message;
    } catch (error) {
      if (error instanceof Error && error.name === "AbortError") {
        throw new Error(`said nothing for ${withinMs} ms: ${this.errorText}`, { cause: error });
      }
      throw error;
    } finally {
      waiting.abort();
    }
  }

  /**
   * Waits until the program accepts connections on the port, with all the sockets that it has there.
   *
   * @throws Error when the program ends first, or does not listen in time
   */
  async listening(port: number): Promise<void> {
    const deadline = performance.now() + startWithinMs;
    while (!((await listeners(port)) >= this.#listeningSockets && (await accepts(port)))) {
      if (this.ended) throw new Error(`ended instead of listening on port ${port}: ${this.errorText}`);
      if (performance.now() > deadline) throw new Error(`does not listen on port ${port}: ${this.errorText}`);
      await delay(20);
    }
  }

  /**
   * Waits until something receives datagrams at the port.
   *
   * @throws Error when the program ends first, or does not in time
   */
  async receiving(port: number): Promise<void> {
    const deadline = performance.now() + startWithinMs;
    while (!(await receives(port))) {
      if (this.ended) throw new Error(`ended instead of receiving on port ${port}: ${this.errorText}`);
      if (performance.now() > deadline) throw new Error(`does not receive on port ${port}: ${this.errorText}`);
      await delay(20);
    }
  }

  /** Asks the program to end, and insists after ten seconds. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.ended || this.#process.pid === undefined) return;
    const exit = once(this.#process, "exit");
    this.#process.kill(this.#stopSignal);
    const timer = setTimeout(() => this.#process.kill("SIGKILL"), stopWithinMs);
    await exit;
    clearTimeout(timer);
  }
}

/** A port of the loopback address that nothing listens on. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("the system gave no port");
  return address.port;
}

/** The system's table of UDP sockets has the local port in hexadecimal. */
async function receives(port: number): Promise<boolean> {
  const table = await readFile("/proc/net/udp", "utf8");
  return table.includes(`:${port.toString(16).toUpperCase().padStart(4, "0")} 00000000:0000`);
}

/** How many sockets of 127.0.0.1 or of all addresses listen on the TCP port: state 0A in the system's table. */
async function listeners(port: number): Promise<number> {
  const table = await readFile("/proc/net/tcp", "utf8");
  const local = `:${port.toString(16).toUpperCase().padStart(4, "0")} 00000000:0000 0A`;
  return table.split(local).length - 1;
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
