import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { closed, echo, Program } from "../../test/server/program.ts";

// Each test starts a process with threads, which takes its time on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

let directory: string;
let twoThreads: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "cirque-threads-"));
  twoThreads = file("two.yaml", "threads: 2\n");
});

afterAll(() => {
  rmSync(directory, { recursive: true });
});

describe("a server with two data threads", () => {
  it("serves from both of them at one address, and from the main thread only what belongs there", async () => {
    await using program = await Program.running(["-c", twoThreads]);
    const byThread = await connectionsToBoth(program);
    expect([...byThread.keys()].sort()).toEqual(["1", "2"]);
    expect(program.output).toMatch(/^metrics 127\.0\.0\.1:[0-9]+$/m);
    expect(program.output.match(/^echo /gm)).toHaveLength(1);
  });

  it("gives its threads names, which the tools of the system show (SVC-09)", async () => {
    await using program = await Program.running(["-c", twoThreads]);
    const tasks = `/proc/${program.process.pid}/task`;
    const names = readdirSync(tasks).map((task) => readFileSync(join(tasks, task, "comm"), "utf8").trim());
    expect(names).toEqual(expect.arrayContaining(["data 1", "data 2"]));
  });

  it("runs a service in as many of them as it says (SVC-01)", async () => {
    await using program = await Program.running(["-c", twoThreads], { env: { ...process.env, ECHO_THREADS: "1" } });
    const seen = new Set<string>();
    for (let i = 0; i < 30; i++) {
      const socket = await program.connect();
      seen.add(await echo(socket, "thread"));
      socket.destroy();
    }
    expect([...seen]).toEqual(["1"]);
  });

  it("loses only what was in flight on a thread that dies, and replaces it (P11)", async () => {
    await using program = await Program.running(["-c", twoThreads]);
    const byThread = await connectionsToBoth(program);
    const dying = byThread.get("1") ?? [];
    const living = byThread.get("2") ?? [];
    dying[0]?.write("exit\n");
    await Promise.all(dying.map(closed));
    for (const socket of living) expect(await echo(socket, "still here")).toBe("still here");
    for (let i = 0; i < 20; i++) {
      const socket = await program.connect();
      expect(await echo(socket, "fresh")).toBe("fresh");
      socket.destroy();
    }
    await program.errorLine(/"thread":1,.*the data thread died.*It is started again/);
    await program.errorLine(/"thread":1,"msg":"the data thread serves again"/);
    expect([...(await connectionsToBoth(program)).keys()].sort()).toEqual(["1", "2"]);
    for (const socket of living) expect(await echo(socket, "all the time")).toBe("all the time");
    program.process.kill("SIGINT");
    expect(await program.exited()).toMatchObject({ code: 0 });
  });

  it("loses only the request whose callback throws, and nothing at all with a rejection left alone", async () => {
    await using program = await Program.running(["-c", twoThreads]);
    const byThread = await connectionsToBoth(program);
    const [thrower, neighbour] = byThread.get("1") ?? [];
    thrower?.write("throw\n");
    await program.errorLine(/"thread":1,.*an exception was not caught/);
    thrower?.write("reject\n");
    await program.errorLine(/"thread":1,.*a rejection was not handled/);
    expect(await echo(required(neighbour), "here")).toBe("here");
    expect(program.errors).not.toContain("the data thread died");
  });

  it("finishes in all threads what is in flight when it is told to stop, and leaves when that is done", async () => {
    await using program = await Program.running(["-c", twoThreads]);
    const byThread = await connectionsToBoth(program);
    program.process.kill("SIGTERM");
    await program.errorLine(/stopping when what is in flight is finished/);
    for (const socket of [...byThread.values()].flat()) {
      expect(await echo(socket, "last words")).toBe("last words");
      socket.end();
    }
    expect(await program.exited()).toMatchObject({ code: 0 });
  });

  it("drops in all threads what is left with the second signal", async () => {
    await using program = await Program.running(["-c", twoThreads]);
    const sockets = [...(await connectionsToBoth(program)).values()].flat();
    program.process.kill("SIGTERM");
    await program.errorLine(/stopping when what is in flight is finished/);
    program.process.kill("SIGTERM");
    await Promise.all(sockets.map(closed));
    expect(await program.exited()).toMatchObject({ code: 0 });
  });

  it("does not start when one of them fails, and says why", async () => {
    await using program = new Program(["-c", twoThreads], { env: { ...process.env, FAIL_IN_THREAD: "2" } });
    const { code, stderr } = await program.exited();
    expect(code).toBe(1);
    expect(stderr).toContain("data thread 2 ended before it served: fails in this thread");
  });

  it("does not start on a port that another program listens on, though it would be let to share it", async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    const { port } = other.address() as { port: number };
    const env = { ...process.env, ECHO_ADDRESSES: `127.0.0.1:${port}` };
    await using program = new Program(["-c", twoThreads], { env });
    const { code, stderr } = await program.exited();
    other.close();
    expect(code).toBe(1);
    expect(stderr).toContain(`cannot listen on 127.0.0.1:${port}: the address is in use`);
  });

  it("serves a Unix socket from one thread, also after that one died", async () => {
    const path = join(directory, "echo.sock");
    const env = { ...process.env, ECHO_ADDRESSES: `unix:${path}` };
    await using program = await Program.running(["-c", twoThreads], { env });
    const socket = await program.connectTo({ path });
    expect(await echo(socket, "thread")).toBe("1");
    socket.write("exit\n");
    await closed(socket);
    await program.errorLine(/"thread":1,"msg":"the data thread serves again"/);
    const again = await program.connectTo({ path });
    expect(await echo(again, "thread")).toBe("1");
  });
});

/** Connections, some to each of two threads, by the number of the thread. */
async function connectionsToBoth(program: Program): Promise<Map<string, Socket[]>> {
  const byThread = new Map<string, Socket[]>();
  const enough = (): boolean => byThread.size === 2 && [...byThread.values()].every((sockets) => sockets.length >= 2);
  // The system chooses by a hash of the client's port.
  for (let i = 0; i < 200 && !enough(); i++) {
    const socket = await program.connect();
    const thread = await echo(socket, "thread");
    byThread.set(thread, [...(byThread.get(thread) ?? []), socket]);
  }
  return byThread;
}

function file(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

function required<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("a value is missing");
  return value;
}
