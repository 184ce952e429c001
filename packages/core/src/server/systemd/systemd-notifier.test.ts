import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { RecordingLogger } from "../../../test/server/recording-logger.ts";
import { type SystemdNotifier, type SystemdNotifierOptions, systemdNotifier } from "./systemd-notifier.ts";

// Each message starts a process, which takes its time on a busy machine.
vi.setConfig({ testTimeout: 30_000 });

let directory: string;
let logger: RecordingLogger;
let notifiers: SystemdNotifier[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cirque-notify-"));
  logger = new RecordingLogger();
  notifiers = [];
});

afterEach(async () => {
  for (const notifier of notifiers) notifier.close();
  await Promise.all(notifiers.map((notifier) => notifier.settled()));
  rmSync(directory, { recursive: true });
});

describe("systemdNotifier", () => {
  it("sends each message in its order, one at a time", async () => {
    fakeCommand(`mkdir "$NOTIFY_SOCKET.lock" || exit 1; ${record}; rmdir "$NOTIFY_SOCKET.lock"`);
    const notifier = create();
    const before = process.hrtime.bigint() / 1_000n;
    notifier.extendTimeout(1_500);
    notifier.ready("serves at 2 addresses");
    notifier.status("busy");
    notifier.reloading();
    notifier.ready();
    notifier.stopping(35_000);
    await notifier.settled();
    const messages = sent();
    const [, microseconds = ""] = /^RELOADING=1 MONOTONIC_USEC=(\d+)$/.exec(messages[3] ?? "") ?? [];
    expect(BigInt(microseconds)).toBeGreaterThanOrEqual(before);
    expect(BigInt(microseconds)).toBeLessThanOrEqual(process.hrtime.bigint() / 1_000n);
    expect(messages.toSpliced(3, 1)).toEqual([
      "EXTEND_TIMEOUT_USEC=1500000",
      "READY=1 STATUS=serves at 2 addresses",
      "STATUS=busy",
      "READY=1",
      "STOPPING=1 EXTEND_TIMEOUT_USEC=35000000",
    ]);
    expect(logger.records).toEqual([]);
  });

  it("keeps a status in one line, and short", async () => {
    fakeCommand(record);
    const notifier = create();
    notifier.status(`a\nMAINPID=1\0b\r\n${"x".repeat(100_000)}`);
    await notifier.settled();
    const [message = ""] = sent();
    expect(message).toMatch(/^STATUS=a MAINPID=1 b x+$/);
    expect(message.length).toBeLessThanOrEqual(1_010);
  });

  it("removes the variables, so that child processes do not speak for the server, and keeps them for a successor", () => {
    fakeCommand(record);
    const env = { ...environment(), WATCHDOG_USEC: "30000000", WATCHDOG_PID: String(process.pid) };
    const { successorEnvironment, handOverProblem } = create({}, env);
    expect(env).toEqual({ PATH: directory });
    expect(successorEnvironment).toEqual({ NOTIFY_SOCKET: join(directory, "socket"), WATCHDOG_USEC: "30000000" });
    expect(handOverProblem).toBeUndefined();
  });

  it("hands over to another process, and says nothing more then", async () => {
    fakeCommand(record);
    const notifier = create();
    notifier.ready();
    expect(await notifier.handOver(4711)).toBe(true);
    notifier.stopping();
    notifier.status("gone");
    await notifier.settled();
    expect(sent()).toEqual(["READY=1", "MAINPID=4711 READY=1"]);
  });

  it("tries a hand-over up to three times, since systemd would end both processes otherwise", async () => {
    fakeCommand(`echo >> "$NOTIFY_SOCKET.tries"; [ $(wc -l < "$NOTIFY_SOCKET.tries") -ge 3 ] || exit 1; ${record}`);
    expect(await create().handOver(4711)).toBe(true);
    expect(sent()).toEqual(["MAINPID=4711 READY=1"]);
    fakeCommand("exit 1");
    expect(await create().handOver(4711)).toBe(false);
    expect(logger.messages("warn")).toHaveLength(2);
  });

  it("replaces pings and status texts that wait while systemd is slow, and nothing else", async () => {
    fakeCommand(`while [ ! -e "$NOTIFY_SOCKET.go" ]; do sleep 0.01; done; ${record}`);
    const notifier = create();
    notifier.ready();
    for (let index = 0; index < 1_000; index++) notifier.status(`at ${index}`);
    notifier.reloading();
    notifier.ready();
    writeFileSync(join(directory, "socket.go"), "");
    await notifier.settled();
    expect(sent()).toEqual(["READY=1", "STATUS=at 999", expect.stringMatching(/^RELOADING=1/), "READY=1"]);
  });

  it("drops the oldest messages when systemd hangs", async () => {
    fakeCommand(`while [ ! -e "$NOTIFY_SOCKET.go" ]; do sleep 0.01; done; ${record}`);
    const notifier = create();
    for (let index = 0; index < 1_000; index++) notifier.ready(`reload ${index}`);
    writeFileSync(join(directory, "socket.go"), "");
    await notifier.settled();
    expect(sent()).toHaveLength(33);
    expect(sent().at(-1)).toBe("READY=1 STATUS=reload 999");
  });

  it("gives a message up that takes too long, says so once, and goes on", async () => {
    fakeCommand(`[ "$1" = READY=1 ] || exec sleep 60; ${record}`);
    const notifier = create({ deadlineMs: 1_000 });
    notifier.extendTimeout(1);
    notifier.stopping();
    await notifier.settled();
    notifier.ready();
    await notifier.settled();
    expect(sent()).toEqual(["READY=1"]);
    expect(logger.messages("warn")).toEqual([
      "systemd could not be notified: systemd-notify did not end within 1000 ms",
    ]);
  });

  it("says once why the program fails, with at most 1,000 characters of what it wrote", async () => {
    fakeCommand('echo "no such socket" >&2; head -c 100000 /dev/zero | tr "\\0" x >&2; exit 3');
    const notifier = create();
    notifier.ready();
    notifier.stopping();
    expect(await notifier.handOver(1)).toBe(false);
    await notifier.settled();
    const [warning, ...more] = logger.messages("warn");
    expect(more).toEqual([]);
    expect(warning).toMatch(
      /^systemd could not be notified: systemd-notify ended with code 3: no such socket\nx{1,1000}$/,
    );
  });

  it("survives a program that cannot be started", async () => {
    writeFileSync(join(directory, "systemd-notify"), "#!/does/not/exist\n");
    chmodSync(join(directory, "systemd-notify"), 0o755);
    const notifier = create();
    notifier.ready();
    await notifier.settled();
    expect(logger.messages("warn")).toEqual([expect.stringMatching(/^systemd could not be notified: .*ENOENT/)]);
  });

  it.each([
    ["", "empty"],
    ["/does/not/exist:", "of missing directories"],
  ])("warns once when PATH=%j has no systemd-notify (%s), and does nothing then", async (path) => {
    const notifier = create({}, { ...environment(), PATH: path, WATCHDOG_USEC: "1000" });
    notifier.ready();
    notifier.stopping();
    await notifier.settled();
    expect(logger.messages("warn")).toEqual([expect.stringContaining("there is no systemd-notify in PATH")]);
    expect(notifier.handOverProblem).toContain("no systemd-notify in PATH");
    expect(await notifier.handOver(1)).toBe(false);
  });

  it("does nothing without NOTIFY_SOCKET", async () => {
    fakeCommand(record);
    for (const env of [{}, { NOTIFY_SOCKET: "" }]) {
      const notifier = create({}, { PATH: directory, WATCHDOG_USEC: "1000", ...env });
      notifier.ready();
      notifier.reloading();
      notifier.status("x");
      notifier.extendTimeout(1);
      notifier.stopping();
      await notifier.settled();
      expect(await notifier.handOver(1)).toBe(true);
      expect(notifier).toMatchObject({ handOverProblem: undefined, successorEnvironment: {} });
    }
    expect(sent()).toEqual([]);
    expect(logger.records).toEqual([]);
  });

  it("knows that a service without notifications does not survive an upgrade", () => {
    const env = { SYSTEMD_EXEC_PID: "77" };
    expect(create({ pid: 77 }, env).handOverProblem).toContain("set Type=notify and NotifyAccess=all");
    expect(create({ pid: 78 }, env).handOverProblem).toBeUndefined();
  });
});

describe("the watchdog", () => {
  it("is pinged while the server is ready and healthy", async () => {
    fakeCommand(record);
    let healthy = true;
    let asked = 0;
    const isHealthy = (): boolean => {
      asked++;
      return healthy;
    };
    const notifier = create({ isHealthy }, { ...environment(), WATCHDOG_USEC: "20000" });
    notifier.status("starting");
    notifier.ready();
    await eventually(pings).toBeGreaterThan(2);
    healthy = false;
    const askedBefore = asked;
    await eventually(() => asked).toBeGreaterThan(askedBefore + 1);
    await notifier.settled();
    const pingsBefore = pings();
    const askedAfter = asked;
    await eventually(() => asked).toBeGreaterThan(askedAfter + 3);
    expect(pings()).toBe(pingsBefore);
    expect(logger.messages("error")).toEqual([expect.stringContaining("the server is not healthy")]);
    healthy = true;
    await eventually(pings).toBeGreaterThan(pingsBefore);
    expect(sent().slice(0, 2)).toEqual(["STATUS=starting", "READY=1"]);
  });

  it("is not pinged when asking for the health fails, which is logged once", async () => {
    fakeCommand(record);
    let asked = 0;
    const isHealthy = (): boolean => {
      asked++;
      throw new Error("no idea");
    };
    const notifier = create({ isHealthy }, { ...environment(), WATCHDOG_USEC: "2000" });
    notifier.ready();
    await eventually(() => asked).toBeGreaterThan(3);
    await notifier.settled();
    expect(sent()).toEqual(["READY=1"]);
    expect(logger.messages("error")).toHaveLength(2);
  });

  it("is pinged no more after a hand-over", async () => {
    fakeCommand(record);
    const notifier = create({}, { ...environment(), WATCHDOG_USEC: "20000" });
    notifier.ready();
    await eventually(pings).toBeGreaterThan(0);
    await notifier.handOver(4711);
    await notifier.settled();
    expect(sent().at(-1)).toBe("MAINPID=4711 READY=1");
    notifier.ready();
    await notifier.settled();
    expect(sent().at(-1)).toBe("MAINPID=4711 READY=1");
  });

  it.each([
    ["another process", { WATCHDOG_USEC: "2000", WATCHDOG_PID: "1" }, 0],
    ["nobody", {}, 0],
    ["nobody, with 0", { WATCHDOG_USEC: "0" }, 0],
    ["a malformed interval", { WATCHDOG_USEC: "2s" }, 1],
  ])("is not pinged when it is for %s", async (_whom, variables, warnings) => {
    fakeCommand(record);
    let asked = 0;
    const isHealthy = (): boolean => ++asked > 0;
    const notifier = create({ isHealthy }, { ...environment(), ...variables });
    notifier.ready();
    await notifier.settled();
    expect(asked).toBe(0);
    expect(sent()).toEqual(["READY=1"]);
    expect(logger.messages("warn")).toHaveLength(warnings);
  });
});

function eventually<T>(read: () => T) {
  return expect.poll(read, { timeout: 15_000, interval: 5 });
}

/** Writes down the arguments, one line for each run. */
const record = 'echo "$*" >> "$NOTIFY_SOCKET.log"';

function fakeCommand(script: string): void {
  const path = join(directory, "systemd-notify");
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
}

function environment(): NodeJS.ProcessEnv {
  return { PATH: directory, NOTIFY_SOCKET: join(directory, "socket") };
}

function create(options: SystemdNotifierOptions = {}, env = environment()): SystemdNotifier {
  const notifier = systemdNotifier(env, logger, options);
  notifiers.push(notifier);
  return notifier;
}

function sent(): string[] {
  try {
    return readFileSync(join(directory, "socket.log"), "utf8").trimEnd().split("\n");
  } catch {
    return [];
  }
}

function pings(): number {
  return sent().filter((message) => message === "WATCHDOG=1").length;
}
