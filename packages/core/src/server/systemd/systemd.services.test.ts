import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { RecordingLogger } from "../../../test/server/recording-logger.ts";
import { systemdNotifier } from "./systemd-notifier.ts";

// These start programs of systemd, which need no running systemd.
vi.setConfig({ testTimeout: 30_000 });

const unitFiles = fileURLToPath(new URL("../../../../../docs/systemd/", import.meta.url));
const program = fileURLToPath(new URL("../../../test/server/systemd-sockets-program.ts", import.meta.url));
let directory: string;
let children: ChildProcess[];

beforeAll(() => {
  for (const [command, package_] of [
    ["systemd-notify", "systemd"],
    ["systemd-analyze", "systemd"],
    ["systemd-socket-activate", "systemd"],
    ["perl", "perl-base"],
  ] as const) {
    if (spawnSync(command, ["--version"]).error) {
      throw new Error(`this suite runs ${command}, which is not there; install the Debian package ${package_}`);
    }
  }
});

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cirque-systemd-"));
  children = [];
});

afterEach(async () => {
  for (const child of children) {
    child.kill("SIGKILL");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  }
  rmSync(directory, { recursive: true });
});

describe("systemd-notify", () => {
  it("delivers each message of the notifier, in order", async () => {
    const socket = join(directory, "notify");
    const messages = receive(socket);
    expect(await messages.next()).toMatchObject({ value: "listening" });
    const logger = new RecordingLogger();
    const env = { PATH: process.env.PATH, NOTIFY_SOCKET: socket, WATCHDOG_USEC: "100000" };
    const notifier = systemdNotifier(env, logger);
    notifier.ready("serves at 2 addresses; -x is no option");
    notifier.status("busy");
    notifier.reloading();
    notifier.ready();
    notifier.stopping(35_000);
    await notifier.settled();
    expect(await notifier.handOver(4711)).toBe(true);
    const received: string[] = [];
    for await (const message of messages) {
      if (message !== "BARRIER=1" && message !== "WATCHDOG=1") received.push(message);
      if (message.startsWith("MAINPID=")) break;
    }
    expect(received).toEqual([
      "READY=1 STATUS=serves at 2 addresses; -x is no option",
      "STATUS=busy",
      expect.stringMatching(/^RELOADING=1 MONOTONIC_USEC=[0-9]+$/),
      "READY=1",
      "STOPPING=1 EXTEND_TIMEOUT_USEC=35000000",
      "MAINPID=4711 READY=1",
    ]);
    expect(logger.records).toEqual([]);
  });

  it("pings the watchdog", async () => {
    const socket = join(directory, "notify");
    const messages = receive(socket);
    await messages.next();
    const env = { PATH: process.env.PATH, NOTIFY_SOCKET: socket, WATCHDOG_USEC: "100000" };
    const notifier = systemdNotifier(env, new RecordingLogger());
    notifier.ready();
    let pings = 0;
    for await (const message of messages) {
      if (message === "WATCHDOG=1" && ++pings === 3) break;
    }
    notifier.close();
    await notifier.settled();
    expect(pings).toBe(3);
  });

  it("says why nothing arrives when nobody listens", async () => {
    const logger = new RecordingLogger();
    const env = { PATH: process.env.PATH, NOTIFY_SOCKET: join(directory, "missing") };
    const notifier = systemdNotifier(env, logger);
    expect(await notifier.handOver(4711)).toBe(false);
    expect(logger.messages("warn")).toEqual([
      expect.stringMatching(/^systemd could not be notified: systemd-notify ended with code 1: .*No such file/),
    ]);
  });
});

describe("systemd-socket-activate", () => {
  it("starts a program that takes the sockets, first connection included", async () => {
    const paths = ["a.sock", "b.sock"].map((name) => join(directory, name));
    const listen = paths.flatMap((path) => ["--listen", path]);
    const activator = start(
      spawn("systemd-socket-activate", [...listen, "--fdname=a:b", process.execPath, program], {
        stdio: ["ignore", "pipe", "pipe"],
      }),
    );
    // It says what it listens on, there.
    await once(createInterface({ input: activator.stderr as Readable }), "line");
    const answers = Promise.all(paths.map(readAll));
    const [line] = await once(createInterface({ input: activator.stdout as Readable }), "line");
    expect(JSON.parse(line)).toEqual({
      sockets: paths.map((path, index) => ({
        descriptor: 3 + index,
        name: "ab"[index],
        kind: "unix",
        boundAddress: `unix:${path}`,
      })),
      child: [],
    });
    expect(await answers).toEqual(["a\n", "b\n"]);
  });
});

describe("docs/systemd", () => {
  it("has units that systemd finds no fault with", () => {
    copyFileSync(join(unitFiles, "cirque.socket"), join(directory, "cirque.socket"));
    const service = readFileSync(join(unitFiles, "cirque.service"), "utf8");
    // Its absence would be a fault of this machine.
    writeFileSync(join(directory, "cirque.service"), service.replace("/usr/bin/node", process.execPath));
    expect(verify()).toBe("");
    writeFileSync(join(directory, "cirque.service"), `${service}\nNoSuchKey=1\n`);
    expect(verify()).toContain("NoSuchKey");
  });
});

function verify(): string {
  const units = ["cirque.service", "cirque.socket"].map((name) => join(directory, name));
  const { stdout, stderr } = spawnSync("systemd-analyze", ["--man=no", "verify", ...units], { encoding: "utf8" });
  return stdout + stderr;
}

/** Binds a datagram socket, which Node cannot, and gives each message as one line; the first one says that it is bound. */
function receive(path: string): AsyncIterator<string> & AsyncIterable<string> {
  const script = `
    $| = 1;
    socket(my $socket, AF_UNIX, SOCK_DGRAM, 0) or die;
    bind($socket, sockaddr_un($ARGV[0])) or die;
    print "listening\\n";
    while (defined recv($socket, my $message, 8192, 0)) { $message =~ tr/\\n/ /; print "$message\\n" }
  `;
  const child = start(spawn("perl", ["-MSocket", "-e", script, path], { stdio: ["ignore", "pipe", "inherit"] }));
  const lines = createInterface({ input: child.stdout as Readable })[Symbol.asyncIterator]();
  return { next: () => lines.next(), [Symbol.asyncIterator]: () => ({ next: () => lines.next() }) };
}

function start(child: ChildProcess): ChildProcess {
  children.push(child);
  return child;
}

async function readAll(path: string): Promise<string> {
  const socket = connect(path);
  let text = "";
  for await (const chunk of socket) text += chunk;
  return text;
}
