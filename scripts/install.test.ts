import { spawnSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "cirque-install-"));
  mkdirSync(join(root, "scripts"));
  copyFileSync(join(import.meta.dirname, "install.mjs"), join(root, "scripts/install.mjs"));
  writeFileSync(join(root, "package-lock.json"), "{}");
  npmThat('require("node:fs").writeFileSync("called", process.argv.slice(2).join(" "))');
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

test("a fresh clone is installed, with one line that says so", () => {
  expect(install()).toEqual({
    status: 0,
    stdout: "Installing dependencies (first run); this takes about a minute.\n",
    stderr: "",
  });
  expect(readFileSync(join(root, "called"), "utf8")).toMatch(/^ci /);
});

test("an installation older than the lock file is renewed", () => {
  installedAt(1_000);
  lockedAt(2_000);
  expect(install().stdout).toContain("package-lock.json has changed");
  expect(existsSync(join(root, "called"))).toBe(true);
});

test("an installation that is up to date is left alone, without a word", () => {
  lockedAt(1_000);
  installedAt(2_000);
  expect(install()).toEqual({ status: 0, stdout: "", stderr: "" });
  expect(existsSync(join(root, "called"))).toBe(false);
});

test("when npm fails, its words are shown and the exit code says so", () => {
  npmThat('console.error("no space left"); process.exit(7)');
  const { status, stderr } = install();
  expect(status).toBe(1);
  expect(stderr).toContain("no space left");
  expect(stderr).toContain(`Installing failed (exit code 7). Run "npm ci" in ${root} to see more.`);
});

function install(): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, "scripts/install.mjs")], {
    encoding: "utf8",
    env: { npm_execpath: join(root, "npm.cjs"), npm_node_execpath: process.execPath },
  });
  return { status, stdout, stderr };
}

function npmThat(source: string): void {
  writeFileSync(join(root, "npm.cjs"), source);
}

function lockedAt(seconds: number): void {
  utimesSync(join(root, "package-lock.json"), seconds, seconds);
}

function installedAt(seconds: number): void {
  mkdirSync(join(root, "node_modules"), { recursive: true });
  writeFileSync(join(root, "node_modules/.package-lock.json"), "{}");
  utimesSync(join(root, "node_modules/.package-lock.json"), seconds, seconds);
}
