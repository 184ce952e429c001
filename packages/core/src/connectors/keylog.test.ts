import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { RecordingLogger } from "../../test/server/recording-logger.ts";
import { keylogWriter } from "./keylog.ts";

let folder: string;
let logger: RecordingLogger;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "cirque-"));
  logger = new RecordingLogger();
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

describe("keylogWriter (CFG-20)", () => {
  it("appends each secret to the file, which nobody else can read, and warns of it", async () => {
    const file = join(folder, "keys");
    writeFileSync(file, "before\n", { mode: 0o600 });
    vi.stubEnv("SSLKEYLOGFILE", file);
    const write = keylogWriter(logger);
    write?.(Buffer.from("CLIENT_RANDOM 1 2\n"));
    write?.(Buffer.from("CLIENT_RANDOM 3 4\n"));
    await vi.waitFor(() => expect(readFileSync(file, "utf8")).toBe("before\nCLIENT_RANDOM 1 2\nCLIENT_RANDOM 3 4\n"));
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(logger.messages("warn")).toEqual([expect.stringContaining("debugging")]);
  });

  it.each(["", undefined])("says so when the variable is %j", (value) => {
    vi.stubEnv("SSLKEYLOGFILE", value);
    expect(keylogWriter(logger)).toBeUndefined();
    expect(logger.messages("warn")).toEqual([expect.stringContaining("SSLKEYLOGFILE")]);
  });

  it("says once that a file cannot be written, and goes on without", async () => {
    vi.stubEnv("SSLKEYLOGFILE", join(folder, "missing", "keys"));
    const write = keylogWriter(logger);
    write?.(Buffer.from("lost\n"));
    await vi.waitFor(() => expect(logger.messages("error")).toEqual(["TLS secrets cannot be written"]));
    write?.(Buffer.from("lost\n"));
    await new Promise(setImmediate);
    expect(logger.messages("error")).toHaveLength(1);
  });
});
