import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { openServer } from "../../../test/server/open-sockets.ts";
import { Program } from "../../../test/server/program.ts";

// Each test starts processes, which takes its time on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cirque-systemd-"));
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

describe("a server under systemd", () => {
  it("says that it is ready, reloads, has a successor, and, through that one, that it stops", async () => {
    const configuration = join(directory, "cirque.yaml");
    writeFileSync(configuration, "version: 1\n");
    await using program = await Program.running(["-c", configuration], { env: notifyEnvironment() });
    const first = program.process.pid;
    await eventually(messages).toEqual([`${first} READY=1`]);

    program.process.kill("SIGHUP");
    await eventually(messages).toHaveLength(3);
    expect(messages().slice(1)).toEqual([
      expect.stringMatching(new RegExp(`^${first} RELOADING=1 MONOTONIC_USEC=[0-9]+$`)),
      `${first} READY=1`,
    ]);

    program.process.kill("SIGUSR2");
    await eventually(messages).toHaveLength(5);
    const [, successor = 0] = program.runningProcesses;
    // The two processes send at the same time.
    expect(messages().slice(3).sort()).toEqual(
      [`${successor} READY=1`, `${first} MAINPID=${successor} READY=1`].sort(),
    );
    await program.exitedItself();

    process.kill(successor, "SIGTERM");
    await eventually(() => isRunning(successor)).toBe(false);
    expect(messages().slice(5)).toEqual([`${successor} STOPPING=1 EXTEND_TIMEOUT_USEC=35000000`]);
  });

  it("says that it goes on with the old configuration when the new one is wrong", async () => {
    const configuration = join(directory, "cirque.yaml");
    writeFileSync(configuration, "version: 1\n");
    await using program = await Program.running(["-c", configuration], { env: notifyEnvironment() });
    writeFileSync(configuration, "threads: none\n");
    program.process.kill("SIGHUP");
    await program.errorLine(/the configuration was not reloaded/);
    await eventually(messages).toHaveLength(3);
    expect(messages().at(-1)).toMatch(/ READY=1$/);
  });

  it("refuses an upgrade that would end the service, and serves on", async () => {
    const shellPrefix = "export SYSTEMD_EXEC_PID=$$";
    await using program = await Program.running([], { shellPrefix });
    program.process.kill("SIGUSR2");
    await program.errorLine(
      /the upgrade failed, and this process goes on: it is not possible here: .*set Type=notify and NotifyAccess=all/,
    );
    const socket = await program.connect();
    expect(await echoed(socket, "hello")).toBe("hello");
  });

  it("serves at the sockets that systemd has bound, and hands them to its successor", async () => {
    const bound = await openServer({ host: "127.0.0.1", port: 0, backlog: 100 });
    const address = { host: "127.0.0.1", port: bound.port };
    await using program = new Program([], {
      env: { ...process.env, ECHO_ADDRESSES: `127.0.0.1:${bound.port}` },
      shellPrefix: "export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=web",
      stdio: ["ignore", "pipe", "pipe", bound.descriptor],
    });
    await program.line(/^running /m);
    // This process would accept connections as well.
    bound.close();
    expect(await echoed(connect(address), "hello")).toBe("hello");

    program.process.kill("SIGUSR2");
    await program.exitedItself();
    expect(program.runningProcesses).toHaveLength(2);
    expect(await echoed(connect(address), "again")).toBe("again");
  });

  it("warns of a socket that no listener takes, and of sockets that npm or a shell keeps", async () => {
    const bound = await openServer({ host: "127.0.0.1", port: 0 });
    for (const [pid, warning] of [
      ["$$", /"systemd passes a socket that no service listens on"/],
      ["1", /systemd passed sockets to another process than this one; let ExecStart= run node itself/],
    ] as const) {
      await using program = new Program([], {
        shellPrefix: `export LISTEN_PID=${pid} LISTEN_FDS=1`,
        stdio: ["ignore", "pipe", "pipe", bound.descriptor],
      });
      await program.errorLine(warning);
      await program.line(/^running /m);
    }
    bound.close();
  });
});

/** With a program in place of the real one, which writes down who sent what. */
function notifyEnvironment(): NodeJS.ProcessEnv {
  const command = join(directory, "systemd-notify");
  writeFileSync(command, '#!/bin/sh\necho "$PPID $*" >> "$NOTIFY_SOCKET.log"\n');
  chmodSync(command, 0o755);
  return { ...process.env, PATH: `${directory}:${process.env.PATH}`, NOTIFY_SOCKET: join(directory, "notify") };
}

function messages(): string[] {
  try {
    return readFileSync(join(directory, "notify.log"), "utf8").trimEnd().split("\n");
  } catch {
    return [];
  }
}

function isRunning(pid: number): boolean {
  try {
    // A process that nobody has waited for still has an entry, as a zombie.
    return !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

async function echoed(socket: ReturnType<typeof connect>, text: string): Promise<string> {
  socket.end(text);
  let received = "";
  for await (const chunk of socket) received += chunk;
  return received;
}

function eventually<T>(read: () => T) {
  return expect.poll(read, { timeout: 20_000, interval: 10 });
}
