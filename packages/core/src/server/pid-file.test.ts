import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { removePidFile, writePidFile } from "./pid-file.ts";

let directory: string;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cirque-pid-"));
  path = join(directory, "a.pid");
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

describe("writePidFile", () => {
  it("writes the id of the process, and keeps the file that was there", () => {
    writeFileSync(path, "1\n");
    writePidFile(path);
    expect(readFileSync(path, "utf8")).toBe(`${process.pid}\n`);
    expect(readFileSync(`${path}.old`, "utf8")).toBe("1\n");
  });

  it("replaces a file that was kept before", () => {
    writeFileSync(path, "2\n");
    writeFileSync(`${path}.old`, "1\n");
    writePidFile(path);
    expect(readFileSync(`${path}.old`, "utf8")).toBe("2\n");
  });

  it("moves a link away, and leaves alone what it leads to", () => {
    const target = join(directory, "target");
    writeFileSync(target, "precious");
    symlinkSync(target, path);
    writePidFile(path);
    expect(readFileSync(target, "utf8")).toBe("precious");
    expect(lstatSync(path).isFile()).toBe(true);
    expect(lstatSync(`${path}.old`).isSymbolicLink()).toBe(true);
  });

  it("moves a link away that leads nowhere", () => {
    const target = join(directory, "missing");
    symlinkSync(target, path);
    writePidFile(path);
    expect(existsSync(target)).toBe(false);
    expect(readFileSync(path, "utf8")).toBe(`${process.pid}\n`);
  });

  it("gives the file to the user that the server becomes", () => {
    const { uid, gid } = userInfo().uid === 0 ? { uid: 4711, gid: 4712 } : userInfo();
    writePidFile(path, { user: "somebody", uid, gid });
    expect(statSync(path)).toMatchObject({ uid, gid });
    expect(statSync(path).mode & 0o022).toBe(0);
  });

  it.each([
    ["is a directory", () => mkdirSync(path), "it exists and is not a file"],
    ["is a pipe", () => execFileSync("mkfifo", [path]), "it exists and is not a file"],
    ["has no directory", () => (path = join(directory, "missing", "a.pid")), "no such file or directory"],
    ["cannot be a path", () => (path = "x".repeat(5_000)), "name too long"],
  ])("says what is wrong when the path %s", (_what, make, reason) => {
    make();
    expect(() => writePidFile(path)).toThrow(
      expect.objectContaining({ code: "FileCreateError", message: expect.stringContaining(reason) }),
    );
  });
});

describe("removePidFile", () => {
  it("removes the file of this process", () => {
    writePidFile(path);
    removePidFile(path);
    expect(existsSync(path)).toBe(false);
  });

  it.each(["1\n", "", `${process.pid}1`, "nonsense"])("leaves a file alone that says %j", (text) => {
    writeFileSync(path, text);
    removePidFile(path);
    expect(readFileSync(path, "utf8")).toBe(text);
  });

  it("does nothing when the file is gone", () => {
    removePidFile(path);
    expect(existsSync(path)).toBe(false);
  });

  it("empties the file when the directory is not the user's any more", () => {
    const asRoot = userInfo().uid === 0;
    const file = new URL("pid-file.ts", import.meta.url);
    const leave = asRoot
      ? "process.setgid('nogroup'); process.setuid('nobody');"
      : `chmodSync(${JSON.stringify(directory)}, 0o555);`;
    const script = `
      import { chmodSync, statSync } from "node:fs";
      import { removePidFile, writePidFile } from ${JSON.stringify(file)};
      chmodSync(${JSON.stringify(directory)}, 0o755);
      const owner = ${asRoot ? "{ user: 'nobody', uid: 65534, gid: 65534 }" : "undefined"};
      writePidFile(${JSON.stringify(path)}, owner);
      ${leave}
      removePidFile(${JSON.stringify(path)});
    `;
    execFileSync(process.execPath, ["--input-type=module", "-e", script]);
    chmodSync(directory, 0o755);
    expect(readFileSync(path, "utf8")).toBe("");
  });
});
