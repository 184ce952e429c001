import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { fileURLToPath } from "node:url";

/** How a process ended, and all it wrote. */
export interface ProgramResult {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

const echoProgram = fileURLToPath(new URL("./echo-program.ts", import.meta.url));

/** A process that runs the echo server of `echo-program.ts`. It is killed at the end of its scope. */
export class Program implements AsyncDisposable {
  readonly process: ChildProcess;
  readonly #exited: Promise<ProgramResult>;
  #stdout = "";
  #stderr = "";

  constructor(args: readonly string[], options: SpawnOptions & { readonly shellPrefix?: string } = {}) {
    const { shellPrefix, ...spawnOptions } = options;
    const command = [process.execPath, echoProgram, ...args];
    const all: SpawnOptions = { stdio: ["ignore", "pipe", "pipe"], ...spawnOptions };
    this.process = shellPrefix
      ? spawn("/bin/sh", ["-c", `${shellPrefix}; exec "$0" "$@"`, ...command], all)
      : spawn(command[0] as string, command.slice(1), all);
    this.process.stdout?.on("data", (data) => {
      this.#stdout += data;
    });
    this.process.stderr?.on("data", (data) => {
      this.#stderr += data;
    });
    this.#exited = once(this.process, "close").then(([code, signal]) => {
      return { code, signal, stdout: this.#stdout, stderr: this.#stderr };
    });
  }

  /** Starts the program and waits until it serves. */
  static async running(
    args: readonly string[] = [],
    options?: ConstructorParameters<typeof Program>[1],
  ): Promise<Program> {
    const program = new Program(args, options);
    await program.line(/^running /m);
    return program;
  }

  exited(): Promise<ProgramResult> {
    return this.#exited;
  }

  /** The first match in what the program has written or will write to its output. */
  line(pattern: RegExp): Promise<RegExpExecArray> {
    return this.#match(pattern, this.process.stdout, () => this.#stdout);
  }

  /** The first match in what the program has written or will write to its error output. */
  errorLine(pattern: RegExp): Promise<RegExpExecArray> {
    return this.#match(pattern, this.process.stderr, () => this.#stderr);
  }

  /** The process itself has ended; its successors hold its outputs open. */
  async exitedItself(): Promise<void> {
    if (this.process.exitCode === null && this.process.signalCode === null) await once(this.process, "exit");
  }

  /** The processes that have said that they run: the one that was started, and its successors. */
  get runningProcesses(): readonly number[] {
    return Array.from(this.#stdout.matchAll(/^running ([0-9]+)$/gm), ([, pid]) => Number(pid));
  }

  /** What the program has written to its output so far. */
  get output(): string {
    return this.#stdout;
  }

  /** What the program has written to its error output so far. */
  get errors(): string {
    return this.#stderr;
  }

  /** A connection to the first address of a service. */
  async connect(service = "echo"): Promise<Socket> {
    const [, host = "", port] = await this.line(new RegExp(`^${service} ([0-9.]+):([0-9]+)$`, "m"));
    return this.connectTo({ host, port: Number(port) });
  }

  /** A connection to an address of the program. */
  async connectTo(
    address: { readonly path: string } | { readonly host: string; readonly port: number },
  ): Promise<Socket> {
    const socket = connect(address);
    socket.on("error", () => {});
    await once(socket, "connect");
    return socket;
  }

  async metrics(): Promise<string> {
    const [, address] = await this.line(/^metrics (.*)$/m);
    return (await fetch(`http://${address}/metrics`, { headers: { connection: "close" } })).text();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.process.kill("SIGKILL");
    for (const pid of this.runningProcesses) killIfAlive(pid);
    await this.#exited;
  }

  async #match(pattern: RegExp, stream: ChildProcess["stdout"], text: () => string): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(text());
      if (match) return match;
      const ended = this.#exited.then(({ stdout, stderr }) => {
        if (pattern.test(text())) return;
        throw new Error(`the program ended without ${pattern}:\n${stdout}\n${stderr}`);
      });
      // The stream exists: nobody looks at one that is not piped.
      await Promise.race([once(stream as NonNullable<typeof stream>, "data"), ended]);
    }
  }
}

function killIfAlive(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended.
  }
}

/** Resolves when the socket is closed, in order or not. */
export function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.closed) resolve();
    else socket.resume().once("close", () => resolve());
  });
}

/** Sends one line and waits for its echo. */
export async function echo(socket: Socket, line: string): Promise<string> {
  socket.write(`${line}\n`);
  const [data] = await once(socket, "data");
  return String(data).trimEnd();
}

/** A port on 127.0.0.1 that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo; // it listens on a port
  await new Promise((resolve) => server.close(resolve));
  return port;
}
