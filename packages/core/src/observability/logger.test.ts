import { execFileSync } from "node:child_process";
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CirqueError } from "../errors/cirque-error.ts";
import { LogDestination, logsWritten } from "./log-destination.ts";
import { createLogger, silentLogger } from "./logger.ts";

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cirque-logger-"));
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

describe("createLogger", () => {
  it("appends JSON lines with level, fields and error facts to a file", async () => {
    const destination = join(directory, "a.log");
    const logger = createLogger({ destination });
    logger.debug("too detailed");
    logger.child({ service: "proxy" }).warn({ err: CirqueError.upstream("ReadError", "reset") }, "failed");
    createLogger({ destination, level: "debug" }).debug("detailed");
    await expect.poll(() => lines(destination).length).toBe(2);
    expect(lines(destination)).toMatchObject([
      { level: 40, pid: process.pid, service: "proxy", msg: "failed", err: { code: "ReadError", source: "upstream" } },
      { level: 20, msg: "detailed" },
    ]);
  });

  it("keeps a message with line breaks on one line", async () => {
    const destination = join(directory, "a.log");
    createLogger({ destination }).info({ path: 'a\n{"level":60}' }, "b\r\nc");
    await expect.poll(() => lines(destination).length).toBe(1);
    expect(lines(destination)).toMatchObject([{ path: 'a\n{"level":60}', msg: "b\r\nc" }]);
  });

  it("says why the file cannot be opened", () => {
    expect(() => createLogger({ destination: join(directory, "missing", "a.log") })).toThrow(
      expect.objectContaining({ code: "FileOpenError" }),
    );
  });
});

describe("LogDestination", () => {
  it("drops what exceeds 1 MiB while nothing can be written, and says how much", async () => {
    const file = join(directory, "a.log");
    const destination = new LogDestination(openSync(file, "a"));
    const line = `${JSON.stringify({ text: "x".repeat(1_000) })}\n`;
    for (let index = 0; index < 2_000; index++) destination.write(line);
    await expect.poll(() => lines(file).length).toBe(Math.floor((1024 * 1024) / line.length) + 1);
    const [notice] = lines(file);
    const dropped = 2_000 - Math.floor((1024 * 1024) / line.length);
    expect(notice).toMatchObject({ level: 40, msg: `${dropped} log records were dropped` });
  });

  it("tells when everything is written, and does not wait for ever", async () => {
    const file = join(directory, "a.log");
    const destination = new LogDestination(openSync(file, "a"));
    destination.write("{}\n");
    expect(lines(file)).toEqual([]);
    await logsWritten(1_000_000);
    expect(lines(file)).toEqual([{}]);
    await logsWritten(1_000_000);
  });

  it("waits for a slow reader in the background, and others need not wait with it", async () => {
    const pipe = fullPipe(join(directory, "pipe"));
    new LogDestination(pipe).write('{"late":true}\n');
    await logsWritten(20);
    expect(readAll(pipe)).not.toContain("late");
    await logsWritten(1_000_000);
    expect(readAll(pipe)).toBe('{"late":true}\n');
    closeSync(pipe);
  });

  it("writes what waits when it is flushed", () => {
    const file = join(directory, "a.log");
    const destination = new LogDestination(openSync(file, "a"));
    destination.write("{}\n");
    destination.flushSync();
    expect(lines(file)).toEqual([{}]);
  });
});

describe("silentLogger", () => {
  it("takes everything", () => {
    expect(() => silentLogger.child({ a: 1 }).fatal({ err: new Error("x") }, "y")).not.toThrow();
  });
});

function lines(file: string): unknown[] {
  return readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));
}

function fullPipe(path: string): number {
  execFileSync("mkfifo", [path]);
  const pipe = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  try {
    for (;;) writeSync(pipe, "x".repeat(4_096));
  } catch {
    return pipe;
  }
}

function readAll(pipe: number): string {
  const buffer = Buffer.alloc(1024 * 1024);
  let text = "";
  try {
    for (;;) text += buffer.toString("utf8", 0, readSync(pipe, buffer));
  } catch {
    return text;
  }
}
