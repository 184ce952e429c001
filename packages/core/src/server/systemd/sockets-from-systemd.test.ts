import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type OpenSocket, openConnection, openServer, openUdp } from "../../../test/server/open-sockets.ts";
import { RecordingLogger } from "../../../test/server/recording-logger.ts";
import { socketsFromSystemd } from "./sockets-from-systemd.ts";

// Tests here start processes, which takes its time on a busy machine.
vi.setConfig({ testTimeout: 30_000 });

const program = fileURLToPath(new URL("../../../test/server/systemd-sockets-program.ts", import.meta.url));
let directory: string;
let sockets: OpenSocket[];
let children: ChildProcess[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cirque-systemd-"));
  sockets = [];
  children = [];
});

afterEach(async () => {
  for (const socket of sockets) socket.close();
  for (const child of children) {
    child.kill("SIGKILL");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  }
  rmSync(directory, { recursive: true });
});

describe("socketsFromSystemd", () => {
  it("takes sockets of all kinds, which serve then, and hides them from child processes", async () => {
    const tcp = await open(openServer({ host: "127.0.0.1", port: 0 }));
    const unix = await open(openServer({ path: join(directory, "a.sock") }));
    const udp = await open(openUdp("udp4", "127.0.0.1"));
    const child = start([tcp.descriptor, unix.descriptor, udp.descriptor], "LISTEN_FDS=3 LISTEN_FDNAMES=web:local:dns");
    const printed = JSON.parse(await firstLine(child));
    expect(printed.sockets).toEqual([
      { descriptor: 3, name: "web", kind: "tcp", boundAddress: `127.0.0.1:${tcp.port}` },
      { descriptor: 4, name: "local", kind: "unix", boundAddress: `unix:${directory}/a.sock` },
      { descriptor: 5, name: "dns", kind: "udp", boundAddress: `127.0.0.1:${udp.port}` },
    ]);
    expect(printed.child).toEqual([]);
    // The test's own copies of the sockets would accept as well.
    for (const socket of sockets.splice(0)) socket.close();
    expect(await readAll({ host: "127.0.0.1", port: tcp.port })).toBe("web\n");
  });

  it("calls sockets without a name unknown", async () => {
    const one = await open(openServer({ host: "127.0.0.1", port: 0 }));
    for (const [variables, names] of [
      ["LISTEN_FDS=2", ["unknown", "unknown"]],
      ["LISTEN_FDS=2 LISTEN_FDNAMES=web", ["web", "unknown"]],
      ["LISTEN_FDS=2 LISTEN_FDNAMES=:b:c:d", ["unknown", "b"]],
    ] as const) {
      const child = start([one.descriptor, one.descriptor], variables);
      const printed = JSON.parse(await firstLine(child)) as { sockets: { name: string }[] };
      expect(printed.sockets.map(({ name }) => name)).toEqual(names);
    }
  });

  it("takes a socket only when it listens, and says what to change in the unit", async () => {
    const connection = await open(openConnection());
    const file = openSync("/dev/null", "r");
    try {
      expect(await failure([connection.descriptor], 1)).toMatch(/descriptor 3 \(x\) from systemd .* Accept=no/);
      expect(await failure([file], 1)).toMatch(/descriptor 3 \(x\) from systemd is not a TCP, UDP or Unix socket/);
      expect(await failure([], 900)).toMatch(/descriptor \d+ \(\w+\) from systemd is not/);
    } finally {
      closeSync(file);
    }
  });

  it.each([
    ["LISTEN_PID", { LISTEN_PID: "x", LISTEN_FDS: "1" }],
    ["LISTEN_PID", { LISTEN_PID: "99999999999999999999", LISTEN_FDS: "1" }],
    ["LISTEN_FDS", { LISTEN_PID: "7", LISTEN_FDS: "" }],
    ["LISTEN_FDS", { LISTEN_PID: "7", LISTEN_FDS: "-1" }],
    ["LISTEN_FDS", { LISTEN_PID: "7", LISTEN_FDS: "1.5" }],
    ["LISTEN_FDS", { LISTEN_PID: "7", LISTEN_FDS: "0x10" }],
    ["LISTEN_FDS", { LISTEN_PID: "7", LISTEN_FDS: "1025" }],
    ["LISTEN_FDS", { LISTEN_PID: "7", LISTEN_FDS: "9".repeat(1_000_000) }],
  ])("refuses a malformed or absurd %s, and removes the variables", (name, variables) => {
    const env: NodeJS.ProcessEnv = { ...variables };
    expect(() => socketsFromSystemd(env, 7)).toThrow(
      expect.objectContaining({
        code: "InvalidConfiguration",
        message: expect.stringMatching(new RegExp(`^the environment variable ${name} has to be .{1,200}$`)),
      }),
    );
    expect(env).toEqual({});
  });

  it("leaves sockets for another process alone, and says so", () => {
    const logger = new RecordingLogger();
    const env: NodeJS.ProcessEnv = { LISTEN_PID: "1", LISTEN_FDS: "nonsense", HOME: "/" };
    expect(socketsFromSystemd(env, 7, logger)).toEqual([]);
    expect(env).toEqual({ HOME: "/" });
    expect(logger.messages("warn")).toEqual([expect.stringContaining("to another process")]);
  });

  it("finds nothing when systemd passed nothing", () => {
    const logger = new RecordingLogger();
    expect(socketsFromSystemd({}, 7, logger)).toEqual([]);
    expect(socketsFromSystemd({ LISTEN_PID: "7", LISTEN_FDS: "0" }, 7, logger)).toEqual([]);
    const env: NodeJS.ProcessEnv = { LISTEN_FDNAMES: "x", LISTEN_PIDFDID: "3" };
    expect(socketsFromSystemd(env, 7, logger)).toEqual([]);
    expect(env).toEqual({});
    expect(logger.records).toEqual([]);
  });
});

async function open(opening: Promise<OpenSocket>): Promise<OpenSocket> {
  const socket = await opening;
  sockets.push(socket);
  return socket;
}

/** Starts the program as systemd would, with these descriptors from 3 on. */
function start(descriptors: readonly number[], variables: string, ...args: string[]): ChildProcess {
  const command = `export LISTEN_PID=$$ ${variables}; exec "$0" "$@"`;
  const child = spawn("/bin/sh", ["-c", command, process.execPath, program, ...args], {
    stdio: ["ignore", "pipe", "pipe", ...descriptors],
  });
  children.push(child);
  return child;
}

async function failure(descriptors: readonly number[], count: number): Promise<string> {
  const child = start(descriptors, `LISTEN_FDS=${count} LISTEN_FDNAMES=x`, "exit");
  let text = "";
  child.stderr?.on("data", (data) => {
    text += data;
  });
  const [code] = await once(child, "close");
  expect(code).toBe(1);
  return text;
}

async function firstLine(child: ChildProcess): Promise<string> {
  // Both are pipes in start().
  child.stderr?.pipe(process.stderr);
  const [line] = await once(createInterface({ input: child.stdout as Readable }), "line");
  return line as string;
}

async function readAll(address: { host: string; port: number }): Promise<string> {
  const socket = connect(address);
  let text = "";
  for await (const chunk of socket) text += chunk;
  return text;
}
