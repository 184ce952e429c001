import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Program } from "../../test/server/program.ts";

// Each test starts processes, which takes its time on a busy machine.
vi.setConfig({ testTimeout: 30_000 });

let directory: string;
let pidFile: string;
let errorLog: string;
/** Processes that a test started through `-d`, which nobody else ends. */
let daemons: number[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cirque-daemon-"));
  pidFile = join(directory, "a.pid");
  errorLog = join(directory, "error.log");
  daemons = [];
});

afterEach(() => {
  for (const daemon of daemons) if (isRunning(daemon)) process.kill(daemon, "SIGKILL");
  rmSync(directory, { recursive: true });
});

describe("a daemon that is awaited", () => {
  it.each(["SIGINT", "SIGTERM"] as const)("ends when %s reaches the command that starts it", async (signal) => {
    await using program = start({ daemon_wait_for_ready: true }, { NEVER_READY: "1" });
    await eventually(pid).toBeGreaterThan(1);
    const daemon = pid();
    daemons.push(daemon);
    program.process.kill(signal);
    expect(await program.exited()).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^the daemon did not start: it exited with code 0\n$/),
    });
    await eventually(() => isRunning(daemon)).toBe(false);
    expect(existsSync(pidFile)).toBe(false);
  });

  it("is reported when it is killed", async () => {
    await using program = start({ daemon_wait_for_ready: true }, { NEVER_READY: "1" });
    await eventually(pid).toBeGreaterThan(1);
    process.kill(pid(), "SIGKILL");
    expect(await program.exited()).toMatchObject({
      code: 1,
      stderr: "the daemon did not start: SIGKILL ended it\n",
    });
  });
});

describe("a daemon's error log", () => {
  it("is appended to", async () => {
    writeFileSync(errorLog, "from before\n");
    const daemon = await running();
    expect(readFileSync(errorLog, "utf8")).toMatch(/^from before\n.*the server runs/s);
    await end(daemon);
  });

  it("is not for everybody to read", async () => {
    const daemon = await running();
    expect(statSync(errorLog).mode & 0o007).toBe(0);
    await end(daemon);
  });

  it("takes the records of the stop", async () => {
    const daemon = await running();
    await end(daemon);
    expect(readFileSync(errorLog, "utf8")).toContain("stopping when what is in flight is finished");
  });
});

describe("a daemon that is started where a server runs", () => {
  it("keeps the pid file of that one beside its own", async () => {
    const first = await running();
    const second = await running();
    expect(readFileSync(`${pidFile}.old`, "utf8")).toBe(`${first}\n`);
    await end(first);
    expect(pid()).toBe(second);
    await end(second);
  });
});

function start(settings: Record<string, unknown>, env: NodeJS.ProcessEnv = {}): Program {
  const file = join(directory, "daemon.yaml");
  writeFileSync(file, JSON.stringify({ pid_file: pidFile, error_log: errorLog, ...settings }));
  return new Program(["-d", "-c", file], { env: { ...process.env, ECHO_ADDRESSES: "127.0.0.1:0", ...env } });
}

/** Starts a daemon that serves, and gives its process id. */
async function running(): Promise<number> {
  await using program = start({ daemon_wait_for_ready: true });
  expect(await program.exited()).toMatchObject({ code: 0, stderr: "" });
  daemons.push(pid());
  return pid();
}

async function end(daemon: number): Promise<void> {
  process.kill(daemon, "SIGTERM");
  await eventually(() => isRunning(daemon)).toBe(false);
}

function pid(): number {
  try {
    return Number(readFileSync(pidFile, "utf8"));
  } catch {
    return 0;
  }
}

function isRunning(daemon: number): boolean {
  try {
    // A process that nobody has waited for still has an entry, as a zombie.
    return !/^State:\tZ/m.test(readFileSync(`/proc/${daemon}/status`, "utf8"));
  } catch {
    return false;
  }
}

function eventually<T>(read: () => T) {
  return expect.poll(read, { timeout: 15_000, interval: 10 });
}
