import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { closed, echo, freePort, Program } from "../../test/server/program.ts";

// Each test starts several processes, which takes its time on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

// A thread that is started later reads the program as the other user.
const asRoot = userInfo().uid === 0 && readableByAll(import.meta.dirname);
let directory: string;
let log: string;
let pidFile: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cirque-daemon-upgrade-"));
  // The daemon's user gets there, and may change nothing.
  chmodSync(directory, 0o755);
  mkdirSync(join(directory, "run"), { mode: 0o755 });
  log = join(directory, "run", "error.log");
  pidFile = join(directory, "run", "a.pid");
});

afterEach(() => {
  if (existsSync(pidFile)) kill(pidOf(pidFile));
  rmSync(directory, { recursive: true });
});

describe("a daemon that has given up the rights of root", () => {
  it("replaces a thread that dies, and is upgraded", async () => {
    const user = asRoot ? { user: "nobody" } : {};
    const conf = configuration({ ...user, threads: 2, upgradeSock: join(directory, "upgrade.sock") });
    await start(conf);
    const first = pidOf(pidFile);
    await killThread();
    await logged(/"msg":"the data thread serves again"/);

    // What starts it has the rights of root; the running server has not.
    await using upgrade = new Program(["-c", conf, "-u"]);
    expect(await upgrade.exited()).toMatchObject({ code: 0, stdout: expect.stringMatching(/^upgraded: process/) });
    const second = pidOf(pidFile);
    expect(second).not.toBe(first);
    if (asRoot) expect(readFileSync(`/proc/${second}/status`, "utf8")).toMatch(/^Uid:\t[1-9]/m);
    await vi.waitUntil(() => !isAlive(first), { timeout: 20_000 });
    const before = matches(/serves again/);
    await killThread();
    await vi.waitUntil(() => matches(/serves again/) > before, { timeout: 20_000 });
  });

  it("opens its log again", async () => {
    const conf = configuration(asRoot ? { user: "nobody" } : {});
    await start(conf);
    process.kill(pidOf(pidFile), "SIGUSR1");
    await logged(/the log files were opened again/);
    expect(matches(/FileOpenError/)).toBe(0);
  });
});

describe("a second daemon", () => {
  it("that cannot start leaves the first one its pid file", async () => {
    const port = await freePort();
    const env = { ...process.env, ECHO_ADDRESSES: `127.0.0.1:${port}` };
    const conf = configuration({});
    await start(conf, env);
    const first = pidOf(pidFile);
    await using second = new Program(["-d", "-c", conf], { env });
    const { code, stderr } = await second.exited();
    expect(code).toBe(1);
    expect(stderr).toContain(`cannot listen on 127.0.0.1:${port}: the address is in use`);
    expect(pidOf(pidFile)).toBe(first);
    expect(isAlive(first)).toBe(true);
  });
});

function configuration(settings: Record<string, unknown>): string {
  const file = join(directory, "a.yaml");
  const all = { daemon: true, daemonWaitForReady: true, pidFile, errorLog: log, ...settings };
  writeFileSync(file, JSON.stringify(all));
  return file;
}

async function start(conf: string, env: NodeJS.ProcessEnv = process.env): Promise<void> {
  await using program = new Program(["-c", conf], { env });
  expect(await program.exited()).toMatchObject({ code: 0, stderr: "" });
}

/** Ends one data thread of the daemon. */
async function killThread(): Promise<void> {
  const port = Number(/"service":"echo","address":"127\.0\.0\.1:([0-9]+)"/.exec(readFileSync(log, "utf8"))?.[1]);
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  await echo(socket, "hello");
  socket.write("exit\n");
  await closed(socket);
}

async function logged(pattern: RegExp): Promise<void> {
  await vi.waitUntil(() => matches(pattern) > 0, { timeout: 20_000 });
}

function matches(pattern: RegExp): number {
  return readFileSync(log, "utf8").match(new RegExp(pattern, "g"))?.length ?? 0;
}

function readableByAll(path: string): boolean {
  const others = 0o005;
  return (statSync(path).mode & others) === others && (path === "/" || readableByAll(dirname(path)));
}

function pidOf(file: string): number {
  return Number(readFileSync(file, "utf8"));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function kill(pid: number): void {
  if (isAlive(pid)) process.kill(pid, "SIGKILL");
}
