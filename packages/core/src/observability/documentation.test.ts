import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";

// A process with threads is started, which takes its time on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

const root = join(import.meta.dirname, "../..");
const page = await readFile(join(root, "../../docs/guide/metrics-and-logs.md"), "utf8");

describe("docs/guide/metrics-and-logs.md", () => {
  it("has each metric of this package, and no other", async () => {
    const source = join(root, "src");
    const files = (await readdir(source, { recursive: true })).filter((file) => /(?<!\.test)\.ts$/.test(file));
    const texts = await Promise.all(files.map((file) => readFile(join(source, file), "utf8")));
    const names = texts.flatMap((text) => Array.from(text.matchAll(/"(cirque_[a-z_]+)"/g), ([, name]) => name));
    const section = page.slice(page.indexOf("### What there is"), page.indexOf("## Logs"));
    const rows = Array.from(section.matchAll(/`(cirque_[a-z_]+)`/g), ([, name]) => name);
    expect(rows.sort()).toEqual([...new Set(names)].sort());
  });

  it("has a program that counts in all threads, and opens its log again", async () => {
    await using program = await GuideProgram.start();
    const proxy = await program.addressOf("HTTP proxy");
    const metrics = await program.addressOf("metrics");
    for (let request = 0; request < 30; request++) {
      const response = await fetch(`http://${proxy}/`, { method: "DELETE", headers: { connection: "close" } });
      expect(response.status).toBe(405);
      expect(await response.text()).toBe("not here\n");
    }
    const sum = await samples(`http://${metrics}/metrics`);
    expect(sum).toEqual(new Map([['gateway_refused_total{reason="method"}', 30]]));
    const perThread = await samples(`http://${metrics}/metrics?per=thread`);
    expect(perThread.get('gateway_refused_total{reason="method",thread="main"}')).toBe(0);
    const threads = ["1", "2"].map((thread) => {
      return perThread.get(`gateway_refused_total{reason="method",thread="${thread}"}`) ?? 0;
    });
    expect(threads.reduce((total, count) => total + count)).toBe(30);

    const before = await program.log();
    expect(before.map(({ thread }) => thread)).toContain(2);
    await program.moveLogAway();
    program.signal("SIGUSR1");
    await vi.waitUntil(() => program.log().catch(() => undefined), { timeout: 20_000 });
    program.signal("SIGTERM");
    await program.ended();
    const after = await program.log();
    expect(after.length).toBeGreaterThan(0);
    expect((await program.log("moved.log")).slice(0, before.length)).toEqual(before);
    const last = before.at(-1)?.time ?? Number.NaN;
    expect(after.every(({ time }) => time >= last)).toBe(true);
  });
});

interface LogRecord {
  readonly time: number;
  readonly msg: string;
  readonly thread?: number;
  readonly service?: string;
  readonly address?: string;
}

/** The program of the page, in two threads, with addresses and a folder of its own. */
class GuideProgram implements AsyncDisposable {
  static async start(): Promise<GuideProgram> {
    const [, code = ""] = /^```ts\n(\/\/ gateway\.ts\n.*?)^```$/ms.exec(page) ?? [];
    // Inside this package, so that the program finds what it imports.
    const parent = join(root, "out-tsc");
    await mkdir(parent, { recursive: true });
    const folder = await mkdtemp(join(parent, "guide-"));
    await writeFile(join(folder, "gateway.ts"), code.replace(/127\.0\.0\.1:61\d\d/g, "127.0.0.1:0"));
    await writeFile(join(folder, "cirque.yaml"), "threads: 2\n");
    return new GuideProgram(folder);
  }

  readonly #folder: string;
  readonly #child: ChildProcess;

  private constructor(folder: string) {
    this.#folder = folder;
    const command = ["--conditions=@cirque/source", "gateway.ts", "-c", "cirque.yaml"];
    this.#child = spawn(process.execPath, command, { cwd: folder, stdio: "ignore" });
  }

  /** Where a service listens, when it serves in all threads. */
  async addressOf(service: string): Promise<string> {
    const listening = await vi.waitUntil(
      async () => {
        const records = (await this.log().catch(() => undefined)) ?? [];
        return (
          records.some(({ msg }) => msg === "the server runs") &&
          records.find((record) => record.msg === "listening" && record.service === service)
        );
      },
      { timeout: 30_000 },
    );
    return String(listening.address);
  }

  /** The whole lines of the log. */
  async log(file = "gateway.log"): Promise<LogRecord[]> {
    const lines = (await readFile(join(this.#folder, file), "utf8")).split("\n").slice(0, -1);
    return lines.map((line) => JSON.parse(line));
  }

  moveLogAway(): Promise<void> {
    return rename(join(this.#folder, "gateway.log"), join(this.#folder, "moved.log"));
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async ended(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, "exit");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.signal("SIGKILL");
    await this.ended();
    await rm(this.#folder, { recursive: true });
  }
}

/** The samples of the program's own metric. */
async function samples(url: string): Promise<Map<string, number>> {
  const lines = (await (await fetch(url)).text()).split("\n").filter((line) => line.startsWith("gateway_"));
  return new Map(
    lines.map((line) => {
      const [name = "", value] = line.split(" ");
      return [name, Number(value)];
    }),
  );
}
