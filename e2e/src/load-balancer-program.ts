import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { ConfigurationFile } from "./configuration-file.ts";
import { Log, type LogRecord } from "./program-log.ts";

const main = join(import.meta.dirname, "../../apps/load-balancer/dist/main.js");

/** Lets the system choose every port. */
export const portsOfItsOwn = `quickStart:
  address: 127.0.0.1:0
  metricsAddress: 127.0.0.1:0
  originPort: 0
`;

/** Runs the program to its end. */
export async function runToEnd(...args: readonly string[]) {
  const child = spawn(process.execPath, [main, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  const output = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output.stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    output.stderr += text;
  });
  const [code] = await once(child, "close");
  return { code: code as number | null, ...output };
}

/** Starts the program, returns the first record of its log that fits, and ends it. */
export async function firstRecord(args: readonly string[], fits: (record: LogRecord) => boolean): Promise<LogRecord> {
  const child = spawn(process.execPath, [main, ...args], { stdio: ["ignore", "ignore", "pipe"] });
  const closed = once(child, "close");
  try {
    return await new Log(child).next(0, fits);
  } finally {
    child.kill("SIGKILL");
    await closed;
  }
}

/** The running program, on ports of its own. */
export class LoadBalancerProgram implements AsyncDisposable {
  /** Resolves when the program has printed what to try. @param settings Lines of the configuration file. */
  static async start(settings = ""): Promise<LoadBalancerProgram> {
    const file = await ConfigurationFile.create(settings + portsOfItsOwn);
    const child = spawn(process.execPath, [main, "-c", file.path], { stdio: ["ignore", "pipe", "pipe"] });
    const log = new Log(child);
    const output = new Output(child);
    await output.until(/Ctrl\+C stops it/, log);
    return new LoadBalancerProgram(child, file, log, output);
  }

  /** Where the balancer listens. */
  readonly address: string;
  /** Where the metrics are. */
  readonly metricsAddress: string;
  /** Addresses of the origins, by name. */
  readonly origins: ReadonlyMap<string, string>;
  readonly log: Log;
  readonly #child: ChildProcess;
  readonly #file: ConfigurationFile;
  readonly #output: Output;
  readonly #control: string;

  private constructor(child: ChildProcess, file: ConfigurationFile, log: Log, output: Output) {
    const welcome = output.text;
    this.#output = output;
    this.#child = child;
    this.#file = file;
    this.log = log;
    this.address = found(welcome, /listens on http:\/\/(\S+),/);
    this.metricsAddress = found(welcome, /curl (\S+)\/metrics/);
    this.#control = found(welcome, /curl -X POST (\S+)\/two\/stop/);
    this.origins = new Map(
      Array.from(welcome.matchAll(/(\S+) +origin (\w+)/g), ([, address = "", name = ""]) => [name, address]),
    );
  }

  /** What it has printed so far. */
  get printed(): string {
    return this.#output.text;
  }

  /** Stops or starts an origin, as a person would. */
  async tell(name: string, action: "stop" | "start"): Promise<void> {
    const response = await fetch(`http://${this.#control}/${name}/${action}`, { method: "POST" });
    if (!response.ok) throw new Error(await response.text());
  }

  /** Sends the signal and returns the exit code. */
  async end(signal: NodeJS.Signals): Promise<number | null> {
    const closed = once(this.#child, "close");
    this.#child.kill(signal);
    const [code] = await closed;
    return code as number | null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await this.end("SIGKILL");
    await this.#file[Symbol.asyncDispose]();
  }
}

/** The standard output of a program. */
class Output {
  readonly #child: ChildProcess;
  #text = "";

  constructor(child: ChildProcess) {
    this.#child = child;
    child.stdout?.setEncoding("utf8").on("data", (piece: string) => {
      this.#text += piece;
    });
  }

  get text(): string {
    return this.#text;
  }

  /** Resolves when this was printed. Rejects when the program ends before. */
  until(pattern: RegExp, log: Log): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#child.stdout?.on("data", () => {
        if (pattern.test(this.#text)) resolve();
      });
      this.#child.once("close", () => reject(new Error(`the program ended:\n${this.#text}\n${log}`)));
    });
  }
}

function found(text: string, pattern: RegExp): string {
  const value = pattern.exec(text)?.[1];
  if (value === undefined) throw new Error(`${pattern} is not in what the program printed:\n${text}`);
  return value;
}
