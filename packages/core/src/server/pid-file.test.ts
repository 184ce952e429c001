import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
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
import { join, relative } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { PidFile } from "./pid-file.ts";

let directory: string;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cirque-pid-"));
  path = join(directory, "a.pid");
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

describe("PidFile.write", () => {
  it("writes the id of the process, and keeps the file that was there", () => {
    writeFileSync(path, "1\n");
    PidFile.write(path);
    expect(readFileSync(path, "utf8")).toBe(`${process.pid}\n`);
    expect(readFileSync(`${path}.old`, "utf8")).toBe("1\n");
  });

  it("replaces a file that was kept before", () => {
    writeFileSync(path, "2\n");
    writeFileSync(`${path}.old`, "1\n");
    PidFile.write(path);
    expect(readFileSync(`${path}.old`, "utf8")).toBe("2\n");
  });

  it("moves a link away, and leaves alone what it leads to", () => {
    const target = join(directory, "target");
    writeFileSync(target, "precious");
    symlinkSync(target, path);
    PidFile.write(path);
    expect(readFileSync(target, "utf8")).toBe("precious");
    expect(lstatSync(path).isFile()).toBe(true);
    expect(lstatSync(`${path}.old`).isSymbolicLink()).toBe(true);
  });

  it("moves a link away that leads nowhere", () => {
    const target = join(directory, "missing");
    symlinkSync(target, path);
    PidFile.write(path);
    expect(existsSync(target)).toBe(false);
    expect(readFileSync(path, "utf8")).toBe(`${process.pid}\n`);
  });

  it("gives the file to the user that the server becomes", () => {
    const { uid, gid } = userInfo().uid === 0 ? { uid: 4711, gid: 4712 } : userInfo();
    PidFile.write(path, { user: "somebody", uid, gid });
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
    expect(() => PidFile.write(path)).toThrow(
      expect.objectContaining({ code: "FileCreateError", message: expect.stringContaining(reason) }),
    );
  });
});

describe("PidFile.remove", () => {
  it("removes the file of this process", () => {
    PidFile.write(path).remove();
    expect(existsSync(path)).toBe(false);
  });

  it.each(["1\n", "", `${process.pid}1`, "nonsense"])("leaves a file alone that says %j", (text) => {
    const file = PidFile.write(path);
    writeFileSync(path, text);
    file.remove();
    expect(readFileSync(path, "utf8")).toBe(text);
  });

  it("does nothing when the file is gone", () => {
    const file = PidFile.write(path);
    rmSync(path);
    file.remove();
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
      import { PidFile } from ${JSON.stringify(file)};
      chmodSync(${JSON.stringify(directory)}, 0o755);
      const owner = ${asRoot ? "{ user: 'nobody', uid: 65534, gid: 65534 }" : "undefined"};
      const file = PidFile.write(${JSON.stringify(path)}, owner);
      ${leave}
      file.remove();
    `;
    execFileSync(process.execPath, ["--input-type=module", "-e", script]);
    chmodSync(directory, 0o755);
    expect(readFileSync(path, "utf8")).toBe("");
  });

  it("writes the file in place when the directory is not the user's any more, and its successor so", () => {
    const asRoot = userInfo().uid === 0;
    const file = new URL("pid-file.ts", import.meta.url);
    const leave = asRoot
      ? "process.setgid('nogroup'); process.setuid('nobody');"
      : `chmodSync(${JSON.stringify(directory)}, 0o555);`;
    writeFileSync(path, "1234567\n");
    if (asRoot) chownSync(path, 65_534, 65_534);
    const script = `
      import { chmodSync } from "node:fs";
      import { PidFile } from ${JSON.stringify(file)};
      chmodSync(${JSON.stringify(directory)}, 0o755);
      ${leave}
      PidFile.write(${JSON.stringify(path)});
      console.log(process.pid);
    `;
    const pid = execFileSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
    chmodSync(directory, 0o755);
    expect(readFileSync(path, "utf8")).toBe(pid);
  });
});

describe("PidFile.restore", () => {
  it("puts the file of the process back that still runs", () => {
    writeFileSync(path, "1\n");
    PidFile.write(path).restore();
    expect(readFileSync(path, "utf8")).toBe("1\n");
    expect(existsSync(`${path}.old`)).toBe(false);
  });

  it("leaves nothing when there was nothing", () => {
    PidFile.write(path).restore();
    expect(existsSync(path)).toBe(false);
  });

  it("works after a change of directory", () => {
    const before = process.cwd();
    const file = PidFile.write(relative(before, path));
    try {
      process.chdir(tmpdir());
      file.restore();
    } finally {
      process.chdir(before);
    }
    expect(existsSync(path)).toBe(false);
  });
});
