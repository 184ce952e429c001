import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { closed, echo, freePort, Program } from "../../test/server/program.ts";

// Each test starts several processes, which takes its time on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "cirque-upgrade-"));
});

afterAll(() => {
  rmSync(directory, { recursive: true });
});

describe("an upgrade", () => {
  it.each(["SIGUSR2", "SIGQUIT"] as const)(
    "on %s, starts a new process at the same address, and the old one leaves",
    async (signal) => {
      await using program = await Program.running();
      const socket = await program.connect();
      program.process.kill(signal);
      const successor = await successorOf(program);
      await program.errorLine(/stopping when what is in flight is finished/);
      expect(await echo(socket, "still served")).toBe("still served");
      socket.end();
      await closed(socket);
      await program.exitedItself();
      const again = await program.connect();
      expect(await echo(again, "served anew")).toBe("served anew");
      expect(program.output.match(/^echo .*$/gm)).toEqual(
        expect.arrayContaining([program.output.match(/^echo .*$/m)?.[0]]),
      );
      expect(successor).not.toBe(program.process.pid);
    },
  );

  it("loses no connection, however often", async () => {
    await using program = await Program.running();
    let stop = false;
    const counts = { done: 0, failed: 0 };
    const client = async (): Promise<void> => {
      while (!stop) {
        try {
          const socket = await program.connect();
          const answer = await echo(socket, "hello");
          socket.end();
          await closed(socket);
          if (answer !== "hello") throw new Error(`answered ${answer}`);
          counts.done++;
        } catch {
          counts.failed++;
        }
      }
    };
    const clients = Array.from({ length: 8 }, client);
    let pid = program.process.pid as number;
    for (let i = 0; i < 3; i++) {
      process.kill(pid, "SIGUSR2");
      pid = await successorOf(program);
      const before = counts.done;
      await vi.waitUntil(() => counts.done > before + 100, { timeout: 20_000 });
    }
    stop = true;
    await Promise.all(clients);
    expect(counts.failed).toBe(0);
  });

  it("keeps a fixed port when the number of threads grows and shrinks", async () => {
    const port = await freePort();
    const conf = join(directory, "fixed.yaml");
    const env = { ...process.env, ECHO_ADDRESSES: `127.0.0.1:${port}` };
    writeFileSync(conf, "threads: 1\n");
    await using program = await Program.running(["-c", conf], { env });
    let pid = program.process.pid as number;
    for (const threads of [3, 2]) {
      writeFileSync(conf, `threads: ${threads}\n`);
      process.kill(pid, "SIGUSR2");
      const former = pid;
      pid = await successorOf(program);
      await vi.waitUntil(() => !isAlive(former), { timeout: 20_000 });
      for (let i = 0; i < 40; i++) await hello(program, { host: "127.0.0.1", port });
    }
  });

  it.each([
    [2, 3],
    [3, 2],
    [1, 2],
    [2, 1],
  ])("from %i to %i threads", async (before, after) => {
    const conf = join(directory, `threads-${before}-${after}.yaml`);
    writeFileSync(conf, `threads: ${before}\n`);
    await using program = await Program.running(["-c", conf]);
    writeFileSync(conf, `threads: ${after}\n`);
    program.process.kill("SIGUSR2");
    await successorOf(program);
    await program.exitedItself();
    const seen = new Set<string>();
    const expected = after === 1 ? ["0"] : Array.from({ length: after }, (_, index) => String(index + 1));
    // Also the sockets that are more than the threads have to be served: by chance, each of these gets some.
    for (let i = 0; i < 400 && (i < 40 || seen.size < expected.length); i++) {
      const socket = await program.connect();
      seen.add(await echo(socket, "thread"));
      socket.destroy();
    }
    expect([...seen].sort()).toEqual(expected);
  });

  it("leaves no socket alone when a service runs in fewer threads than before", async () => {
    const conf = join(directory, "fewer.yaml");
    writeFileSync(conf, "threads: 2\n");
    const marker = join(directory, "one-thread");
    await using program = await Program.running(["-c", conf], { env: { ...process.env, ONE_THREAD_IF: marker } });
    writeFileSync(marker, "");
    program.process.kill("SIGUSR2");
    await successorOf(program);
    await program.exitedItself();
    for (let i = 0; i < 30; i++) {
      const socket = await program.connect();
      expect(await echo(socket, "thread")).toBe("1");
      socket.destroy();
    }
  });

  it("takes a Unix socket along, and its file stays", async () => {
    const path = join(directory, "echo.sock");
    await using program = await Program.running([], { env: { ...process.env, ECHO_ADDRESSES: `unix:${path}` } });
    process.kill(program.process.pid as number, "SIGUSR2");
    const pid = await successorOf(program);
    await program.exitedItself();
    await hello(program, { path });
    process.kill(pid, "SIGUSR2");
    const last = await successorOf(program);
    await vi.waitUntil(() => !isAlive(pid), { timeout: 20_000 });
    await hello(program, { path });
    process.kill(last, "SIGINT");
    await vi.waitUntil(() => !existsSync(path), { timeout: 20_000 });
  });

  it("leaves the old process serving when the new one fails, and says why", async () => {
    const conf = join(directory, "fails.yaml");
    writeFileSync(conf, "threads: 1\n");
    await using program = await Program.running(["-c", conf]);
    writeFileSync(conf, "threads: none\n");
    program.process.kill("SIGUSR2");
    await program.errorLine(
      /the upgrade failed, and this process goes on: the new process did not start: it exited with code 1/,
    );
    await hello(program);
    writeFileSync(conf, "threads: 1\n");
    program.process.kill("SIGUSR2");
    await successorOf(program);
    await program.exitedItself();
    await hello(program);
  });

  it("gives a new process up that is not ready in time", async () => {
    const conf = join(directory, "late.yaml");
    writeFileSync(conf, "threads: 1\n");
    const marker = join(directory, "be-late");
    await using program = await Program.running(["-c", conf], { env: { ...process.env, NEVER_READY_IF: marker } });
    writeFileSync(marker, "");
    writeFileSync(conf, "threads: 1\ndaemonReadyTimeoutMs: 700\n");
    program.process.kill("SIGHUP");
    await program.errorLine(/the configuration was reloaded/);
    program.process.kill("SIGUSR2");
    await program.errorLine(/the new process did not start: it was not ready within 700 ms/);
    await hello(program);
  });

  it("of a daemon leaves a daemon, and -u tells how it went", async () => {
    const pidFile = join(directory, "daemon.pid");
    const conf = join(directory, "daemon.yaml");
    const errorLog = join(directory, "daemon.log");
    const upgradeSock = join(directory, "upgrade.sock");
    const text = `daemon: true\npidFile: ${pidFile}\nerrorLog: ${errorLog}\nupgradeSock: ${upgradeSock}\ndaemonWaitForReady: true\n`;
    writeFileSync(conf, text);
    await using started = new Program(["-c", conf]);
    expect(await started.exited()).toMatchObject({ code: 0 });
    const first = readPid(pidFile);
    let last = first;
    try {
      await using upgrade = new Program(["-c", conf, "-u"]);
      const { code, stdout, stderr } = await upgrade.exited();
      expect(stderr).toBe("");
      expect(code).toBe(0);
      last = readPid(pidFile);
      expect(stdout).toBe(`upgraded: process ${last} serves\n`);
      expect(last).not.toBe(first);
      await vi.waitUntil(() => !isAlive(first), { timeout: 20_000 });
      expect(readPid(pidFile)).toBe(last);

      writeFileSync(conf, `${text}threads: none\n`);
      // Its own copy of the configuration has to be right for -u to find the server.
      const right = join(directory, "right.yaml");
      writeFileSync(right, text);
      await using failing = new Program(["-c", right, "-u"]);
      expect(await failing.exited()).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/could not be upgraded and goes on: .*it exited with code 1/),
      });
      expect(readPid(pidFile)).toBe(last);
      expect(isAlive(last)).toBe(true);
    } finally {
      if (isAlive(last)) process.kill(last, "SIGKILL");
    }
  });
});

async function hello(program: Program, address?: Parameters<Program["connectTo"]>[0]): Promise<void> {
  const socket = address ? await program.connectTo(address) : await program.connect();
  expect(await echo(socket, "hello")).toBe("hello");
  socket.end();
  await closed(socket);
}

/** The process id of the process that was the last to say that it runs, once that is another one. */
async function successorOf(program: Program): Promise<number> {
  const known = program.runningProcesses.length;
  await vi.waitUntil(() => program.runningProcesses.length > known, { timeout: 30_000, interval: 10 });
  return program.runningProcesses.at(-1) as number; // there is one more than before
}

function readPid(file: string): number {
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
