import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { echo, Program } from "../../test/server/program.ts";
import { RecordingLogger } from "../../test/server/recording-logger.ts";
import { createConfiguration } from "../configuration/create-configuration.ts";
import type { ServerConfiguration } from "../configuration/server-configuration.ts";
import type { Service } from "../services/service.ts";
import { needUpgrade } from "./reload.ts";
import { Server } from "./server.ts";

// Each test starts a process, which takes its time on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "cirque-reload-"));
});

afterAll(() => {
  rmSync(directory, { recursive: true });
});

describe("a reload (SIG-06)", () => {
  it("has the program and its services apply the settings of the file, while connections stay", async () => {
    const conf = file("one.yaml", "mine: 1\n");
    await using program = await Program.running(["-c", conf]);
    const socket = await program.connect();
    for (let mine = 2; mine <= 4; mine++) {
      writeFileSync(conf, `mine: ${mine}\n`);
      program.process.kill("SIGHUP");
      await program.line(new RegExp(`^reloaded 0 \\{"mine":${mine}\\}$`, "m"));
    }
    expect(await echo(socket, "the same connection")).toBe("the same connection");
  });

  it("changes nothing when the file is wrong, and says where", async () => {
    const conf = file("wrong.yaml", "mine: 1\n");
    await using program = await Program.running(["-c", conf]);
    writeFileSync(conf, "mine: 2\ngracePeriodMs: soon\n");
    program.process.kill("SIGHUP");
    await program.errorLine(
      /the configuration was not reloaded, and nothing has changed: .*wrong\.yaml:2:16: gracePeriodMs/,
    );
    rmSync(conf);
    program.process.kill("SIGHUP");
    await program.errorLine(
      /the configuration was not reloaded, and nothing has changed: [^"]*wrong\.yaml: it does not exist/,
    );
    expect(program.output).not.toContain("reloaded");
    writeFileSync(conf, "mine: 3\n");
    program.process.kill("SIGHUP");
    await program.line(/^reloaded 0 \{"mine":3\}$/m);
  });

  it("reaches all threads, or none when one of them refuses the settings", async () => {
    const conf = file("threads.yaml", "threads: 2\n");
    await using program = await Program.running(["-c", conf]);
    writeFileSync(conf, "threads: 2\nrefuse: 2\n");
    program.process.kill("SIGHUP");
    await program.errorLine(/nothing has changed: refused by thread 2/);
    expect(program.output).not.toContain("reloaded");
    writeFileSync(conf, "threads: 2\nmine: 5\n");
    program.process.kill("SIGHUP");
    for (const thread of [0, 1, 2]) await program.line(new RegExp(`^reloaded ${thread} \\{"mine":5\\}$`, "m"));
  });

  it("gives a thread that is started later the settings in force", async () => {
    const conf = file("later.yaml", "threads: 2\n");
    await using program = await Program.running(["-c", conf]);
    writeFileSync(conf, "threads: 2\nmine: 6\n");
    program.process.kill("SIGHUP");
    for (const thread of [0, 1, 2]) await program.line(new RegExp(`^reloaded ${thread} \\{"mine":6\\}$`, "m"));
    const socket = await program.connect();
    const thread = await echo(socket, "thread");
    socket.write("exit\n");
    await program.errorLine(new RegExp(`"thread":${thread},"msg":"the data thread serves again"`));
    // What a thread prints passes through the main thread, and comes later than what it logs.
    await program.line(new RegExp(`^starts ${thread} \\{"mine":6\\}$`, "m"));
  });

  it("warns of settings that only a new process can apply", async () => {
    const conf = file("fixed.yaml", "threads: 1\n");
    await using program = await Program.running(["-c", conf]);
    writeFileSync(conf, "threads: 2\npidFile: /tmp/another.pid\n");
    program.process.kill("SIGHUP");
    await program.errorLine(
      /"settings":\["pidFile","threads"\],"msg":"these settings have changed and take effect at the next/,
    );
  });

  it("of settings given in code reaches the services all the same, since they may read files of their own", async () => {
    const asked: ServerConfiguration[] = [];
    const applied: string[] = [];
    const server = new Server({ configuration: { maxRetries: 7 }, logger: new RecordingLogger() });
    server.addService({
      ...idleService("reads a file"),
      reload(configuration) {
        asked.push(configuration);
        return () => {
          applied.push("applied");
        };
      },
    });
    server.addService(idleService("has nothing to reload"));
    const stop = new AbortController();
    const run = server.run({ shutdownSignal: stop.signal });
    await vi.waitUntil(() => server.executionPhase === "Running");
    await server.reload();
    expect(asked).toEqual([server.configuration]);
    expect(applied).toEqual(["applied"]);
    const forget = server.onReload(() => {
      throw new Error("not these");
    });
    await expect(server.reload()).rejects.toThrow("not these");
    expect(applied).toEqual(["applied"]);
    forget();
    await Promise.all([server.reload(), server.reload()]);
    expect(applied).toHaveLength(3);
    stop.abort();
    await run;
  });

  it("is for a server that runs", async () => {
    const server = new Server({ configuration: {}, logger: new RecordingLogger() });
    await expect(server.reload()).rejects.toThrow("only a server that runs can reload the server");
  });
});

describe("needUpgrade", () => {
  it("names what has changed and is looked at only at the start", () => {
    const before = createConfiguration({ maxRetries: 2 });
    expect(needUpgrade(before, createConfiguration({ maxRetries: 3, user: "nobody" }))).toEqual(["user"]);
  });
});

function idleService(name: string): Service {
  return { name, start: async () => {}, stop: async () => {} };
}

function file(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}
