import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { reportUpgradeOutcome } from "./upgrade-outcome.ts";
import { requestUpgrade } from "./upgrade-request.ts";

// Most tests start processes, which takes its time on a busy machine.
vi.setConfig({ testTimeout: 30_000 });

const program = fileURLToPath(new URL("../../test/server/upgradable-program.ts", import.meta.url));
let directory: string;
let pidFile: string;
let upgradeSock: string;
let children: ChildProcess[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cirque-upgrade-"));
  // Some processes here run as another user.
  chmodSync(directory, 0o755);
  pidFile = join(directory, "a.pid");
  upgradeSock = join(directory, "a.sock");
  children = [];
});

afterEach(async () => {
  for (const child of children) {
    child.kill("SIGKILL");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  }
  rmSync(directory, { recursive: true });
});

describe("requestUpgrade", () => {
  it("resolves with the id of the new process", async () => {
    await running({ OUTCOME: '{"upgraded":4711}' });
    expect(await request()).toEqual({ pid: 4711 });
    expect(existsSync(upgradeSock)).toBe(false);
  });

  it("hears a server that ends right after its report", async () => {
    await running({ OUTCOME: '{"upgraded":4711}', END: "1" });
    expect(await request()).toEqual({ pid: 4711 });
  });

  it("rejects with the reason of a server that goes on", async () => {
    const reason = 'the new process said: "no\n\u2028 such file"';
    const { pid } = await running({ OUTCOME: JSON.stringify({ failed: reason }) });
    await expect(request()).rejects.toMatchObject({
      code: "UpgradeError",
      message: `process ${pid} could not be upgraded and goes on: ${reason}`,
    });
    expect(existsSync(upgradeSock)).toBe(false);
  });

  it("rejects when the server ends without a word", async () => {
    const { pid } = await running({ END: "1" });
    await expect(request()).rejects.toThrow(`process ${pid} ended before the upgrade was complete`);
  });

  it("rejects when the server says nothing in time", async () => {
    const { pid } = await running({});
    await expect(request(1_000)).rejects.toThrow(`process ${pid} was not upgraded within 1000 ms`);
  });

  it("replaces a socket that nobody listens on", async () => {
    leaveStaleSocket();
    await running({ OUTCOME: '{"upgraded":4711}' });
    expect(await request()).toEqual({ pid: 4711 });
  });

  it("refuses a second request at the same time, which does not disturb the first one", async () => {
    const { child } = await running({});
    const first = request();
    await line(child, "asked");
    await expect(request()).rejects.toMatchObject({
      code: "UpgradeError",
      message: expect.stringContaining("another upgrade is under way"),
    });
    await reportUpgradeOutcome(upgradeSock, { upgraded: 4711 });
    expect(await first).toEqual({ pid: 4711 });
  });

  it("lets nobody but the user of the server tell the outcome", async () => {
    const root = userInfo().uid === 0;
    const { child } = await running(root ? { BECOME: "nobody" } : {});
    const asked = request();
    await line(child, "asked");
    const { mode, uid } = statSync(upgradeSock);
    expect(mode & 0o777).toBe(0o600);
    expect(uid).toBe(root ? Number(execFileSync("id", ["-u", "nobody"], { encoding: "utf8" })) : userInfo().uid);
    await reportUpgradeOutcome(upgradeSock, { upgraded: 4711 });
    await asked;
  });

  it("is answered by a server that has become another user", async () => {
    await running({ OUTCOME: '{"upgraded":4711}', ...(userInfo().uid === 0 ? { BECOME: "nobody" } : {}) });
    expect(await request()).toEqual({ pid: 4711 });
  });

  it.each([
    ["a word", "nonsense\n", 'answered "nonsense"'],
    ["a negative id", "upgraded -1\n", 'answered "upgraded -1"'],
    ["the id 0", "upgraded 0\n", 'answered "upgraded 0"'],
    ["an object for a reason", "failed {}\n", 'answered "failed {}"'],
    ["no reason", "failed \n", 'answered "failed "'],
    ["an outcome that is cut off", "upgraded 4711 ", 'answered "upgraded 4711 "'],
    ["a line without end", "x".repeat(1_000_000), `answered "${"x".repeat(100)}", which`],
  ])("rejects when the answer is %s", async (_what, answer, message) => {
    const { child } = await running({});
    const asked = request();
    const failure = expect(asked).rejects.toThrow(message);
    await line(child, "asked");
    connect(upgradeSock)
      .on("error", () => {})
      .end(answer);
    await failure;
  });

  it("waits on when somebody connects and says nothing", async () => {
    const { child } = await running({});
    const asked = request();
    await line(child, "asked");
    const silent = Array.from({ length: 5 }, () => connect(upgradeSock).on("error", () => {}));
    await Promise.all(silent.map((socket) => once(socket, "connect")));
    silent[0]?.end();
    silent[1]?.destroy();
    await reportUpgradeOutcome(upgradeSock, { upgraded: 4711 });
    expect(await asked).toEqual({ pid: 4711 });
    for (const socket of silent) socket.destroy();
  });

  it.each([
    ["a file", () => writeFileSync(upgradeSock, "mine"), "not a socket"],
    ["a directory", () => mkdirSync(upgradeSock), "not a socket"],
    ["a link", () => symlinkSync("/etc/passwd", upgradeSock), "not a socket"],
  ])("leaves %s alone that has the name of the socket", async (_what, make, message) => {
    make();
    const { child } = await running({});
    await expect(request()).rejects.toThrow(message);
    expect(existsSync(upgradeSock)).toBe(true);
    expect(child.exitCode).toBe(null);
  });

  it("says that the socket has to be in a directory that exists", async () => {
    await running({});
    upgradeSock = join(directory, "missing", "a.sock");
    await expect(request()).rejects.toThrow(
      /cannot listen on .*missing\/a\.sock for the outcome: .*; the setting upgradeSock/,
    );
  });
});

describe("the pid file of an upgrade", () => {
  it.each([
    ["missing", () => {}, "it does not exist; is the server running, as a daemon, and with the same pidFile?"],
    ["empty", () => writeFileSync(pidFile, ""), "is empty: the server has stopped; start it without --upgrade"],
    ["garbage", () => writeFileSync(pidFile, "hello"), 'holds no process id but "hello"'],
    ["a group of processes", () => writeFileSync(pidFile, "-1"), 'holds no process id but "-1"'],
    ["this group of processes", () => writeFileSync(pidFile, "0"), 'holds no process id but "0"'],
    ["two numbers", () => writeFileSync(pidFile, "1 2"), 'holds no process id but "1 2"'],
    ["huge", () => writeFileSync(pidFile, "9".repeat(10_000_000)), 'holds no process id but "9999999999'],
    ["a directory", () => mkdirSync(pidFile), "it is not a file"],
    ["a pipe", () => execFileSync("mkfifo", [pidFile]), "it is not a file"],
    ["an id beyond all", () => writeFileSync(pidFile, "4194999"), "no such process runs: the server has ended"],
    ["this process", () => writeFileSync(pidFile, String(process.pid)), "it names this very process"],
  ])("is refused when it is or names %s", async (_what, make, message) => {
    make();
    await expect(request()).rejects.toMatchObject({ code: "UpgradeError", message: expect.stringContaining(message) });
    expect(existsSync(upgradeSock)).toBe(false);
  });

  it("is refused when the process has ended but is not forgotten yet", async () => {
    // The shell becomes another program before the process that it starts ends: nobody waits for that one.
    const shell = start(
      spawn("/bin/sh", ["-c", "sleep 0.5 & echo $!; exec sleep 60"], { stdio: ["ignore", "pipe", "inherit"] }),
    );
    const pid = await line(shell, /^\d+$/);
    writeFileSync(pidFile, pid);
    await expect.poll(() => readFileSync(`/proc/${pid}/stat`, "utf8"), { timeout: 15_000 }).toContain(") Z ");
    await expect(request()).rejects.toThrow("no such process runs");
  });

  it("is refused when it names a program that SIGUSR2 would end", async () => {
    const other = start(spawn("sleep", ["60"]));
    writeFileSync(pidFile, String(other.pid));
    await expect(request()).rejects.toThrow("that process does not listen for SIGUSR2: it is another program");
    expect(other.signalCode).toBe(null);
  });

  it("is refused when it names a process of somebody else", async () => {
    if (userInfo().uid !== 0) {
      writeFileSync(pidFile, "1");
      await expect(request()).rejects.toThrow("it runs as user 0, whom you may not signal; try again as root");
      return;
    }
    const { pid } = await running({});
    const script = `
      import { requestUpgrade } from ${JSON.stringify(new URL("upgrade-request.ts", import.meta.url))};
      process.setuid("nobody");
      await requestUpgrade(${JSON.stringify({ pidFile, upgradeSock })}).catch(({ message }) => console.log(message));
    `;
    const output = execFileSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
    expect(output).toContain(`says ${pid}, but it runs as user 0, whom you may not signal; try again as root`);
  });
});

describe("reportUpgradeOutcome", () => {
  it("does nothing when nobody listens, or the path cannot be one of a socket", async () => {
    leaveStaleSocket();
    for (const path of [upgradeSock, join(directory, "missing"), directory, "x".repeat(10_000), "a\0b", ""]) {
      await expect(reportUpgradeOutcome(path, { upgraded: 1 })).resolves.toBeUndefined();
    }
  });

  it("leaves a listener that never ends the connection", async () => {
    const server = createServer({ allowHalfOpen: true }, (socket) => void socket.on("error", () => {}).resume());
    server.listen(upgradeSock);
    await once(server, "listening");
    await expect(reportUpgradeOutcome(upgradeSock, { upgraded: 1 }, 100)).resolves.toBeUndefined();
    server.close();
  });

  it("passes on a reason of any length, shortened, in one line", async () => {
    const { child, pid } = await running({});
    const asked = request();
    const reason = '"\n\0é'.repeat(100_000);
    const failure = expect(asked).rejects.toThrow(
      `process ${pid} could not be upgraded and goes on: ${reason.slice(0, 1_000)}`,
    );
    await line(child, "asked");
    await reportUpgradeOutcome(upgradeSock, { failed: reason });
    await failure;
  });
});

function request(timeoutMs = 20_000): Promise<{ readonly pid: number }> {
  return requestUpgrade({ pidFile, upgradeSock, timeoutMs });
}

async function running(variables: Record<string, string>): Promise<{ child: ChildProcess; pid: number }> {
  const env = { ...process.env, PID_FILE: pidFile, UPGRADE_SOCK: upgradeSock, ...variables };
  const child = start(spawn(process.execPath, [program], { env, stdio: ["ignore", "pipe", "inherit"] }));
  await line(child, "running");
  return { child, pid: child.pid ?? 0 };
}

function start(child: ChildProcess): ChildProcess {
  children.push(child);
  return child;
}

/** The next line of the output that is, or matches, the text. */
async function line(child: ChildProcess, wanted: string | RegExp): Promise<string> {
  if (!child.stdout) throw new Error("the output of the process is not read");
  for await (const text of createInterface({ input: child.stdout })) {
    if (typeof wanted === "string" ? text === wanted : wanted.test(text)) return text;
  }
  throw new Error("the process ended");
}

/** A process that was killed leaves its socket behind. */
function leaveStaleSocket(): void {
  const script = `require("node:net").createServer().listen(${JSON.stringify(upgradeSock)}, () => process.kill(process.pid, "SIGKILL"))`;
  try {
    execFileSync(process.execPath, ["-e", script], { stdio: "ignore" });
  } catch {
    // By the signal.
  }
}
