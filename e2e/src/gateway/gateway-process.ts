import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { ConfigurationFile } from "../configuration-file.ts";
import { Log } from "../program-log.ts";

const program = join(import.meta.dirname, "gateway.ts");

/** What the configuration file of the gateway says. */
export interface GatewaySettings {
  readonly threads: number;
  readonly origins: readonly string[];
  readonly mark: string;
}

/** The gateway, and its successors after upgrades. */
export class GatewayProcess implements AsyncDisposable {
  /** Resolves when it serves. */
  static async start(settings: GatewaySettings): Promise<GatewayProcess> {
    const file = await ConfigurationFile.create(JSON.stringify(settings));
    const child = spawn(process.execPath, [program, "-c", file.path], { stdio: ["ignore", "pipe", "pipe"] });
    const gateway = new GatewayProcess(child, file, settings);
    await gateway.#printed(/^process (\d+) runs$/m);
    return gateway;
  }

  /** The log of all its processes. */
  readonly log: Log;
  readonly #child: ChildProcess;
  readonly #file: ConfigurationFile;
  readonly #processes: number[] = [];
  readonly #printedMore = new Set<() => void>();
  #settings: GatewaySettings;
  #output = "";

  private constructor(child: ChildProcess, file: ConfigurationFile, settings: GatewaySettings) {
    this.#child = child;
    this.#file = file;
    this.#settings = settings;
    this.log = new Log(child);
    if (!child.stdout) throw new Error("the standard output of the program is not a pipe");
    const lines = createInterface({ input: child.stdout });
    lines.on("line", (line) => this.#onLine(line));
    lines.on("close", () => this.#onLine(""));
  }

  get address(): string {
    return this.#addressOf("HTTP proxy");
  }

  get metricsAddress(): string {
    return this.#addressOf("metrics");
  }

  /** The process that serves. */
  get pid(): number {
    return this.#processes.at(-1) ?? 0;
  }

  /** Writes other settings, or a text, to the configuration file. */
  async configure(settings: Partial<GatewaySettings> | string): Promise<void> {
    if (typeof settings !== "string") this.#settings = { ...this.#settings, ...settings };
    await writeFile(this.#file.path, typeof settings === "string" ? settings : JSON.stringify(this.#settings));
  }

  signal(signal: NodeJS.Signals): void {
    process.kill(this.pid, signal);
  }

  /** Tells it to replace itself. Resolves when the new process serves; the old one may still finish what it has. */
  async upgrade(): Promise<{ readonly oldProcessEnded: () => Promise<void> }> {
    const old = this.pid;
    this.signal("SIGUSR2");
    await this.#until(() => this.pid !== old);
    return { oldProcessEnded: () => gone(old) };
  }

  /** Tells it to read its configuration again. Resolves when that is in force. */
  async reload(): Promise<void> {
    const before = this.log.length;
    this.signal("SIGHUP");
    await this.log.next(before, ({ msg }) => msg === "the configuration was reloaded");
  }

  /** Sends a signal whose work fails. Resolves when the log says so, and why. */
  async fails(signal: NodeJS.Signals, what: RegExp, why: RegExp): Promise<void> {
    const before = this.log.length;
    this.signal(signal);
    const { msg } = await this.log.next(before, (record) => what.test(record.msg));
    if (!why.test(msg)) throw new Error(`not because of ${why}: ${msg}`);
  }

  /** What `/metrics` says of counters and histograms, by name and labels. */
  async counters(): Promise<ReadonlyMap<string, number>> {
    const response = await fetch(`http://${this.metricsAddress}/metrics`);
    const families = (await response.text()).split(/^# HELP .*\n# TYPE /m);
    const lines = families.filter((family) => /^\S+ (?:counter|histogram)\n/.test(family)).join("");
    return new Map(
      Array.from(lines.matchAll(/^(\w+(?:\{.*\})?) (\S+)$/gm), ([, series = "", value]) => [series, Number(value)]),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#child, "close");
    for (const pid of new Set([this.#child.pid ?? 0, ...this.#processes])) killIfAlive(pid);
    await closed;
    await this.#file[Symbol.asyncDispose]();
  }

  #addressOf(service: string): string {
    const address = new RegExp(`^${service} at (.*)$`, "m").exec(this.#output)?.[1];
    if (address === undefined) throw new Error(`no address of ${service} in:\n${this.#output}`);
    return address;
  }

  #onLine(line: string): void {
    this.#output += `${line}\n`;
    const pid = /^process (\d+) runs$/.exec(line)?.[1];
    if (pid !== undefined) this.#processes.push(Number(pid));
    for (const wake of this.#printedMore) wake();
    this.#printedMore.clear();
  }

  async #printed(pattern: RegExp): Promise<void> {
    await this.#until(() => pattern.test(this.#output));
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.#child.stdout?.readableEnded) throw new Error(`the program ended:\n${this.#output}\n${this.log}`);
      await new Promise<void>((resolve) => this.#printedMore.add(resolve));
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

/** Resolves when no process has this id any more. A successor is not a child of this process, so there is no event. */
export async function gone(pid: number): Promise<void> {
  for (;;) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
