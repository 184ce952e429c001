import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { Program } from "../../test/server/program.ts";

// Each test starts processes, which takes its time on a busy machine.
vi.setConfig({ testTimeout: 30_000 });

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "cirque-command-line-"));
});

afterAll(() => {
  rmSync(directory, { recursive: true });
});

describe("a server's process", () => {
  it.each(["--help", "-h"])("prints how it is called for %s, and exits with 0", async (flag) => {
    await using program = new Program([flag, "-u"]);
    expect(await program.exited()).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^Usage: echo-program\.ts \[options\]\n/),
      stderr: "",
    });
  });

  it("says what is wrong with its arguments, and exits with 2", async () => {
    await using program = new Program(["--port", "80"]);
    expect(await program.exited()).toMatchObject({
      code: 2,
      stdout: "",
      stderr: expect.stringMatching(/^Unknown option '--port'\n\nUsage: echo-program\.ts/),
    });
  });

  it("finds no server to upgrade, says where it looked, and exits with 1", async () => {
    const file = join(directory, "upgrade.yaml");
    writeFileSync(file, `pid_file: ${directory}/none.pid\n`);
    await using program = new Program(["-u", "-c", file]);
    const { code, stdout, stderr } = await program.exited();
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain(`${directory}/none.pid`);
  });

  it("says where the configuration is wrong, and exits with 1", async () => {
    const file = join(directory, "wrong.yaml");
    writeFileSync(file, "threads: two\npid_file: 7\n");
    for (const args of [
      ["-c", file],
      ["-t", "-c", file],
    ]) {
      await using program = new Program(args);
      expect(await program.exited()).toEqual({
        code: 1,
        signal: null,
        stdout: "",
        stderr:
          `${file}:1:10: threads: expected a whole number from 1 to 1024, found "two"\n` +
          `${file}:2:11: pid_file: expected a path, found 7\n`,
      });
    }
  });

  it("says that the configuration does not exist, and exits with 1", async () => {
    await using program = new Program(["-c", join(directory, "missing.yaml")]);
    expect(await program.exited()).toMatchObject({ code: 1, stderr: expect.stringContaining("it does not exist\n") });
  });

  it("tests the configuration without opening a socket or a pid file", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as { port: number };
    const file = join(directory, "right.yaml");
    writeFileSync(file, `daemon: true\nthread: 1\npid_file: ${directory}/never.pid\n`);
    await using program = new Program(["-t", "-c", file], {
      env: { ...process.env, ECHO_ADDRESSES: `127.0.0.1:${port}` },
    });
    expect(await program.exited()).toEqual({
      code: 0,
      signal: null,
      stdout: `${file} is right\n`,
      stderr: `${file}:2:1: thread: unknown key, kept but not used; did you mean threads?\n`,
    });
    taken.close();
  });

  it("fails to start when its port is in use, and says so", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as { port: number };
    await using program = new Program([], { env: { ...process.env, ECHO_ADDRESSES: `127.0.0.1:${port}` } });
    const { code, stderr } = await program.exited();
    expect(code).toBe(1);
    expect(stderr).toContain("the server could not start");
    expect(stderr).toContain(`cannot listen on 127.0.0.1:${port}: the address is in use`);
    taken.close();
  });
});
