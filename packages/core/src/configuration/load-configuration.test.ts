import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { loadConfiguration } from "./load-configuration.ts";

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cirque-configuration-"));
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

describe("loadConfiguration", () => {
  it("reads a file and names it in warnings", () => {
    const file = write("pid_file: /run/a.pid\nthread: 2\n");
    const { configuration, warnings } = loadConfiguration(file);
    expect(configuration.pidFile).toBe("/run/a.pid");
    expect(warnings).toEqual([`${file}:2:1: thread: unknown key, kept but not used; did you mean threads?`]);
  });

  it("reads a file with a byte order mark", () => {
    expect(loadConfiguration(write("\uFEFFthreads: 1")).configuration.threads).toBe(1);
  });

  it("looks for the trust roots", () => {
    const file = write('threads: 1\nca_file: "./missing.pem"');
    expect(() => loadConfiguration(file)).toThrow(
      `${file}:2:10: ca_file: cannot read "./missing.pem": it does not exist`,
    );
    const present = write(`caFile: ${file}`);
    expect(loadConfiguration(present).configuration.caFile).toBe(file);
  });

  it("says why a file cannot be read", () => {
    const missing = join(directory, "missing.yaml");
    expect(() => loadConfiguration(missing)).toThrow(
      `cannot read the configuration file ${missing}: it does not exist`,
    );
    expect(() => loadConfiguration(directory)).toThrow(
      `cannot read the configuration file ${directory}: it is a directory`,
    );
    const loop = join(directory, "loop");
    symlinkSync(loop, loop);
    expect(() => loadConfiguration(loop)).toThrow(expect.objectContaining({ code: "FileReadError" }));
  });

  it("reads at most 1 MiB, also from what has no end", () => {
    expect(() => loadConfiguration("/dev/zero")).toThrow(
      "the configuration file /dev/zero is larger than 1048576 bytes",
    );
    const file = write(`a: ${"x".repeat(1024 * 1024)}`);
    expect(() => loadConfiguration(file)).toThrow("is larger than 1048576 bytes");
  });

  it("refuses what is not UTF-8", () => {
    const file = write(Buffer.from([0x61, 0x3a, 0x20, 0xff, 0xfe]));
    expect(() => loadConfiguration(file)).toThrow(`the configuration file ${file} is not UTF-8 text`);
  });
});

function write(content: string | Buffer): string {
  const file = join(directory, `${Math.random()}.yaml`);
  writeFileSync(file, content);
  return file;
}
