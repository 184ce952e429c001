import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { logsWritten, reopenLogs } from "./log-destination.ts";
import { createLogger } from "./logger.ts";

let directory: string;
let file: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cirque-reopen-"));
  file = join(directory, "a.log");
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

describe("reopenLogs", () => {
  it("leaves the lines before it in the file that was moved, and writes those after it to a new one", async () => {
    const logger = createLogger({ destination: file });
    for (let i = 0; i < 1_000; i++) logger.info({ i }, "before");
    renameSync(file, `${file}.1`);
    expect(failuresOf(reopenLogs())).toEqual([]);
    for (let i = 0; i < 1_000; i++) logger.info({ i }, "after");
    await logsWritten(5_000);
    expect(messages(`${file}.1`)).toEqual(Array(1_000).fill("before"));
    expect(messages(file)).toEqual(Array(1_000).fill("after"));
  });

  it("does so again and again, also with nothing to write", async () => {
    const logger = createLogger({ destination: file });
    for (let i = 0; i < 5; i++) {
      logger.info(`line ${i}`);
      await logsWritten(5_000);
      renameSync(file, `${file}.${i}`);
      reopenLogs();
    }
    expect(Array.from({ length: 5 }, (_, i) => messages(`${file}.${i}`)[0])).toEqual(
      Array.from({ length: 5 }, (_, i) => `line ${i}`),
    );
    expect(readFileSync(file, "utf8")).toBe("");
  });

  it("stays with the file it has when the new one cannot be opened, and says why", async () => {
    const logger = createLogger({ destination: file });
    renameSync(file, `${file}.1`);
    mkdirSync(file);
    expect(failuresOf(reopenLogs())).toEqual([expect.stringContaining("EISDIR")]);
    logger.info("still written");
    await logsWritten(5_000);
    expect(messages(`${file}.1`)).toEqual(["still written"]);
    rmSync(file, { recursive: true });
    expect(failuresOf(reopenLogs())).toEqual([]);
    expect(existsSync(file)).toBe(true);
  });
});

/** Those of this test: loggers of others, whose files are gone, may still be around. */
function failuresOf(errors: readonly Error[]): string[] {
  return errors.map(({ message }) => message).filter((message) => message.includes(directory));
}

function messages(path: string): string[] {
  return readFileSync(path, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line).msg);
}
