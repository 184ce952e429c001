import { execFileSync } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { logsWritten, reopenLogs } from "./log-destination.ts";
import { createLogger } from "./logger.ts";

// Some tests start threads, which takes its time on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

// A disk that is full is not to be had without mounting one, so that writing is made to fail here.
vi.mock("node:fs", async (original) => {
  const actual = await original<typeof fs>();
  return { ...actual, write: vi.fn(actual.write), close: vi.fn(actual.close) };
});

let directory: string;
let file: string;

beforeEach(() => {
  directory = fs.mkdtempSync(join(tmpdir(), "cirque-log-writing-"));
  file = join(directory, "a.log");
  vi.clearAllMocks();
});

afterEach(() => {
  fs.rmSync(directory, { recursive: true });
});

describe("createLogger", () => {
  it("writes the fields it is given with each record", async () => {
    createLogger({ destination: file, fields: { thread: 2 } }).info({ a: 1 }, "hello");
    await logsWritten(30_000);
    expect(recordsIn(file)).toMatchObject([{ level: 30, pid: process.pid, thread: 2, a: 1, msg: "hello" }]);
  });

  it("does not wait for ever for somebody to read a pipe", () => {
    execFileSync("mkfifo", [file]);
    expect(() => createLogger({ destination: file })).toThrow(expect.objectContaining({ code: "FileOpenError" }));
  });
});

describe("lines of several threads", () => {
  it("stay whole in one file", async () => {
    await Promise.all([1, 2, 3].map((thread) => logInThread(thread, file)));
    expectAllLines(recordsIn(file));
  });

  it("stay whole in one pipe", async () => {
    execFileSync("mkfifo", [file]);
    const pipe = fs.openSync(file, fs.constants.O_RDWR | fs.constants.O_NONBLOCK);
    let text = "";
    const reading = setInterval(() => {
      text += readAll(pipe);
    }, 1);
    await Promise.all([1, 2, 3].map((thread) => logInThread(thread, pipe)));
    clearInterval(reading);
    text += readAll(pipe);
    fs.closeSync(pipe);
    expectAllLines(parse(text));
  });

  it("go to a pipe in pieces that it takes as a whole, unless a line is longer than that", async () => {
    execFileSync("mkfifo", [file]);
    const pipe = fs.openSync(file, fs.constants.O_RDWR | fs.constants.O_NONBLOCK);
    const logger = createLogger({ destination: pipe });
    for (let line = 0; line < 100; line++) logger.info("x".repeat(line));
    logger.info("y".repeat(10_000));
    logger.info("z");
    await logsWritten(30_000);
    fs.closeSync(pipe);
    const pieces = vi.mocked(fs.write).mock.calls.map((call) => pieceOf(call));
    expect(pieces.every((piece) => piece.endsWith("\n"))).toBe(true);
    const long = pieces.filter((piece) => piece.length > 4096);
    expect(long.map((piece) => parse(piece))).toMatchObject([[{ msg: "y".repeat(10_000) }]]);
    expect(parse(pieces.join(""))).toHaveLength(102);
    expect(pieces.length).toBeLessThan(20);
  });
});

describe("a disk that is full", () => {
  it("spoils only the line that could not be written to its end, and says how many were lost", async () => {
    const logger = createLogger({ destination: file, fields: { thread: 3 } });
    writeOnly(100);
    for (const message of ["first", "second", "third"]) logger.info(message);
    await logsWritten(30_000);
    logger.info("fourth");
    await logsWritten(30_000);
    const lines = fs.readFileSync(file, "utf8").trimEnd().split("\n");
    expect(lines).toHaveLength(4);
    expect(JSON.parse(lines[0] ?? "")).toMatchObject({ msg: "first" });
    expect(() => JSON.parse(lines[1] ?? "")).toThrow();
    expect(JSON.parse(lines[2] ?? "")).toMatchObject({ level: 40, thread: 3, msg: "2 log records were dropped" });
    expect(JSON.parse(lines[3] ?? "")).toMatchObject({ msg: "fourth" });
  });

  it("does not make the log forget how many were lost", async () => {
    const logger = createLogger({ destination: file });
    for (let failure = 0; failure < 3; failure++) {
      writeOnly(0);
      logger.info("lost");
      await logsWritten(30_000);
    }
    logger.info("written");
    await logsWritten(30_000);
    expect(recordsIn(file)).toMatchObject([{ msg: "3 log records were dropped" }, { msg: "written" }]);
  });

  it("is left behind when the file is opened again", async () => {
    const logger = createLogger({ destination: file });
    writeOnly(10);
    logger.info("lost");
    await logsWritten(30_000);
    fs.renameSync(file, `${file}.1`);
    expect(failures()).toEqual([]);
    logger.info("written");
    await logsWritten(30_000);
    expect(recordsIn(file)).toMatchObject([{ msg: "1 log records were dropped" }, { msg: "written" }]);
  });
});

describe("reopenLogs", () => {
  it("lets each file have its lines when it is called again before anything could be written", async () => {
    const logger = createLogger({ destination: file });
    for (const name of ["1", "2", "3"]) {
      logger.info(`in ${name}`);
      fs.renameSync(file, `${file}.${name}`);
      expect(failures()).toEqual([]);
    }
    logger.info("in the last");
    await logsWritten(30_000);
    for (const name of ["1", "2", "3"]) expect(recordsIn(`${file}.${name}`)).toMatchObject([{ msg: `in ${name}` }]);
    expect(recordsIn(file)).toMatchObject([{ msg: "in the last" }]);
    await expect.poll(() => vi.mocked(fs.close).mock.calls.length, { timeout: 30_000 }).toBe(3);
  });

  it("opens only so many files while nothing can be written, and says so", async () => {
    const logger = createLogger({ destination: file });
    logger.info("before");
    const outcomes = Array.from({ length: 10 }, () => failures());
    expect(outcomes.slice(0, 4)).toEqual([[], [], [], []]);
    for (const outcome of outcomes.slice(4)) expect(outcome).toEqual([expect.stringContaining("is not opened again")]);
    await logsWritten(30_000);
    expect(failures()).toEqual([]);
    expect(recordsIn(file)).toMatchObject([{ msg: "before" }]);
  });

  it("closes the old file though there are always lines to write", async () => {
    const logger = createLogger({ destination: file });
    let logging = true;
    vi.mocked(fs.close).mockClear();
    const busy = (async () => {
      while (logging) {
        logger.info("busy");
        await new Promise(setImmediate);
      }
    })();
    expect(failures()).toEqual([]);
    await expect.poll(() => vi.mocked(fs.close).mock.calls.length, { timeout: 30_000 }).toBe(1);
    logging = false;
    await busy;
  });

  it("does not wait for somebody to read a pipe that has taken the place of the file", async () => {
    const logger = createLogger({ destination: file });
    fs.renameSync(file, `${file}.1`);
    execFileSync("mkfifo", [file]);
    expect(failures()).toEqual([expect.stringContaining("ENXIO")]);
    logger.info("still written");
    await logsWritten(30_000);
    expect(recordsIn(`${file}.1`)).toMatchObject([{ msg: "still written" }]);
  });

  it("leaves descriptors alone that it has not opened", async () => {
    const descriptor = fs.openSync(file, "a");
    const logger = createLogger({ destination: descriptor });
    fs.renameSync(file, `${file}.1`);
    expect(failures()).toEqual([]);
    logger.info("after");
    await logsWritten(30_000);
    expect(recordsIn(`${file}.1`)).toMatchObject([{ msg: "after" }]);
    expect(fs.existsSync(file)).toBe(false);
    fs.closeSync(descriptor);
  });
});

/** Opens the logs again. @returns what failed in this test: loggers of others, whose files are gone, may be around. */
function failures(): string[] {
  return reopenLogs()
    .map(({ message }) => message)
    .filter((message) => message.includes(directory));
}

/** The next write takes so many bytes, and the one after it fails; the first one when there are none. */
function writeOnly(length: number): void {
  const { write } = vi.mocked(fs);
  const actual = write.getMockImplementation() as typeof fs.write;
  if (length > 0) {
    write.mockImplementationOnce(((...[descriptor, bytes, start, , position, callback]: WriteCall) => {
      actual(descriptor, bytes, start, length, position, callback);
    }) as typeof fs.write);
  }
  write.mockImplementationOnce(((...call: WriteCall) => {
    const error = Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
    setImmediate(() => call[5](error, 0, call[1]));
  }) as typeof fs.write);
}

type WriteCall = [
  descriptor: number,
  bytes: Buffer,
  start: number,
  length: number,
  position: null,
  callback: (error: NodeJS.ErrnoException | null, written: number, bytes: Buffer) => void,
];

function pieceOf(call: unknown): string {
  const [, bytes, start, length] = call as WriteCall;
  return String(bytes.subarray(start, start + length));
}

async function logInThread(thread: number, destination: string | number): Promise<void> {
  const program = new URL("../../test/observability/logging-thread.ts", import.meta.url);
  const worker = new Worker(program, { workerData: { thread, destination, lines: 300 } });
  await once(worker, "message");
  await worker.terminate();
}

function expectAllLines(records: readonly { readonly thread?: number; readonly line?: number }[]): void {
  for (const thread of [1, 2, 3]) {
    const lines = records.filter((record) => record.thread === thread).map(({ line }) => line);
    expect(lines).toEqual(Array.from({ length: 300 }, (_, line) => line));
  }
}

function recordsIn(path: string): Record<string, unknown>[] {
  return parse(fs.readFileSync(path, "utf8"));
}

function parse(text: string): Record<string, unknown>[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));
}

function readAll(pipe: number): string {
  const buffer = Buffer.alloc(64 * 1024);
  let text = "";
  try {
    for (;;) text += buffer.toString("latin1", 0, fs.readSync(pipe, buffer));
  } catch {
    return text;
  }
}
