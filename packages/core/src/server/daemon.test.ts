import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { readlink } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Program } from "../../test/server/program.ts";

// Each test starts processes, which takes its time on a busy machine.
vi.setConfig({ testTimeout: 30_000 });

let directory: string;
/** Processes that a test started through `-d`, which nobody else ends. */
let daemons: number[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cirque-daemon-"));
  daemons = [];
});

afterEach(async () => {
  for (const pid of daemons) await killAndWait(pid, "SIGKILL");
  rmSync(directory, { recursive: true });
});

describe("a daemon", () => {
  it("has a pid file, a session, an error log, a umask and a directory of its own, and outlives who started it", async () => {
    writeFileSync(join(directory, "a.pid"), "12345\n");
    const { pid, result } = await startDaemon({ working_directory: directory, daemon_wait_for_ready: true });
    expect(result).toMatchObject({ code: 0, stdout: "", stderr: "" });
    expect(readFileSync(join(directory, "a.pid.old"), "utf8")).toBe("12345\n");
    expect(errorLog()).toContain("the server runs");
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    expect(status).toMatch(/^Umask:\t0007$/m);
    const session = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ")[3];
    expect(Number(session)).toBe(pid);
    expect(await readlink(`/proc/${pid}/cwd`)).toBe(directory);
    expect(await readlink(`/proc/${pid}/fd/0`)).toBe("/dev/null");
    expect(await readlink(`/proc/${pid}/fd/1`)).toBe("/dev/null");
    expect(await echoThrough(join(directory, "echo.sock"))).toBe("hello");
  });

  it("removes its pid file when it leaves", async () => {
    const { pid } = await startDaemon({ daemon_wait_for_ready: true });
    await killAndWait(pid, "SIGTERM");
    expect(existsSync(join(directory, "a.pid"))).toBe(false);
  });

  it("leaves the pid file of a successor alone", async () => {
    const { pid } = await startDaemon({ daemon_wait_for_ready: true });
    writeFileSync(join(directory, "a.pid"), "1\n");
    await killAndWait(pid, "SIGTERM");
    expect(readFileSync(join(directory, "a.pid"), "utf8")).toBe("1\n");
  });

  it("has its pid file when -d returns, also when -d does not wait for it to serve", async () => {
    const { result, pid } = await startDaemon({}, { NEVER_READY: "1" });
    expect(result.code).toBe(0);
    expect(pid).toBeGreaterThan(1);
  });

  it("keeps the outputs of who started it when there is no error log", async () => {
    const configuration = writeConfiguration({ daemon_wait_for_ready: true }, false);
    await using program = new Program(["-d", "-c", configuration], { env: environment() });
    const [, pid] = await program.line(/^running (\d+)$/m);
    daemons.push(Number(pid));
    await program.errorLine(/the server runs/);
    expect(await exitCode(program)).toBe(0);
    // While the daemon holds the outputs, the program counts as open.
    await killAndWait(Number(pid), "SIGTERM");
  });

  it("passes the reason on when it cannot start, and leaves no pid file", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as { port: number };
    const configuration = writeConfiguration({ daemon_wait_for_ready: true });
    const env = { ...environment(), ECHO_ADDRESSES: `127.0.0.1:${port}` };
    await using program = new Program(["-d", "-c", configuration], { env });
    expect(await program.exited()).toMatchObject({
      code: 1,
      stderr:
        `the daemon did not start: cannot listen on 127.0.0.1:${port}: ` +
        "the address is in use; stop the program that listens there, or choose another\n",
    });
    taken.close();
    await expect.poll(errorLog).toContain("the server could not start");
    await expect.poll(() => existsSync(join(directory, "a.pid"))).toBe(false);
  });

  it("is given up when it is not ready in time", async () => {
    const configuration = writeConfiguration({ daemonWaitForReady: true, daemonReadyTimeoutMs: 700 });
    const env = { ...environment(), NEVER_READY: "1" };
    await using program = new Program(["-d", "-c", configuration], { env });
    expect(await program.exited()).toMatchObject({
      code: 1,
      stderr: "the daemon did not start: it was not ready within 700 ms\n",
    });
    await expect.poll(() => existsSync(join(directory, "a.pid")), { timeout: 15_000 }).toBe(false);
  });

  it.each([
    [
      "pid_file",
      "a directory",
      (path: string) => ({ pid_file: path }),
      /cannot write the pid file .*: it exists and is not a file/,
    ],
    ["error_log", "a directory", (path: string) => ({ error_log: path }), /cannot open the error log/],
    ["working_directory", "missing", () => ({ working_directory: "/does/not/exist" }), /no such file or directory/],
  ])("does not start when its %s is %s", async (_key, _what, settings, message) => {
    const configuration = writeConfiguration(settings(directory));
    await using program = new Program(["-d", "-c", configuration], { env: environment() });
    const { code, stderr } = await program.exited();
    expect(code).toBe(1);
    expect(stderr).toMatch(message);
  });

  it("becomes another user once everything is bound, or says that it cannot", async () => {
    const { pid, result } = await startDaemon({ daemon_wait_for_ready: true, user: "nobody" });
    expect(result.code).toBe(0);
    if (userInfo().uid === 0) {
      const status = readFileSync(`/proc/${pid}/status`, "utf8");
      const { uid, gid } = statSync(join(directory, "a.pid"));
      expect(uid).toBeGreaterThan(0);
      expect(status).toMatch(new RegExp(`^Uid:(\t${uid}){4}$`, "m"));
      expect(status).toMatch(new RegExp(`^Gid:(\t${gid}){4}$`, "m"));
      expect(status).toMatch(new RegExp(`^Groups:\t${gid} ?$`, "m"));
      expect(statSync(join(directory, "echo.sock")).uid).toBe(0);
    } else {
      expect(errorLog()).toContain("user and group are ignored");
    }
  });

  it("does not start as a user or group that does not exist", async () => {
    for (const key of ["user", "group"]) {
      const configuration = writeConfiguration({ [key]: "cirque-no-such-name" });
      await using program = new Program(["-d", "-c", configuration], { env: environment() });
      const { code, stderr } = await program.exited();
      if (userInfo().uid === 0) {
        expect(code).toBe(1);
        expect(stderr).toBe(`the daemon did not start: ${key}: "cirque-no-such-name" does not exist\n`);
      } else {
        expect(code).toBe(0);
        daemons.push(Number(readFileSync(join(directory, "a.pid"), "utf8")));
      }
    }
  });
});

function environment(): NodeJS.ProcessEnv {
  return { ...process.env, ECHO_ADDRESSES: `unix:${directory}/echo.sock` };
}

/** Written in the background. */
function errorLog(): string {
  return readFileSync(join(directory, "error.log"), "utf8");
}

function writeConfiguration(settings: Record<string, unknown>, errorLog = true): string {
  const file = join(directory, "daemon.yaml");
  const all = {
    pid_file: `${directory}/a.pid`,
    ...(errorLog ? { error_log: `${directory}/error.log` } : {}),
    ...settings,
  };
  writeFileSync(file, JSON.stringify(all));
  return file;
}

async function startDaemon(settings: Record<string, unknown>, env: NodeJS.ProcessEnv = {}) {
  const configuration = writeConfiguration(settings);
  await using program = new Program(["-d", "-c", configuration], { env: { ...environment(), ...env } });
  const result = await program.exited();
  const pid = Number(readFileSync(join(directory, "a.pid"), "utf8"));
  daemons.push(pid);
  return { pid, result };
}

async function killAndWait(pid: number, signal: NodeJS.Signals): Promise<void> {
  try {
    process.kill(pid, signal);
  } catch {
    return;
  }
  await expect.poll(() => isRunning(pid), { timeout: 15_000, interval: 10 }).toBe(false);
}

function isRunning(pid: number): boolean {
  try {
    // A process that nobody has waited for still has an entry, as a zombie.
    return !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

async function exitCode(program: Program): Promise<number | null> {
  // The daemon holds the outputs, so "close" would not come.
  if (program.process.exitCode === null) await once(program.process, "exit");
  return program.process.exitCode;
}

async function echoThrough(path: string): Promise<string> {
  const socket = connect({ path });
  socket.end("hello");
  const [data] = await once(socket, "data");
  return String(data);
}
