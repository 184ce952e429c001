import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";

const workspace = join(import.meta.dirname, "..");
const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

test("a good run ends with the count of its tests and exit code 0", () => {
  expect(runVitest({ "a.test.js": 'test("1", () => {}); test("2", () => {});' })).toEqual({
    lastLine: "2 passed, 0 failed",
    status: 0,
  });
});

test("failed and skipped tests are counted", () => {
  const a =
    'test("1", () => {}); test("2", () => { throw new Error("no"); }); test.skip("3", () => {}); test.todo("4");';
  expect(runVitest({ "a.test.js": a })).toEqual({ lastLine: "1 passed, 1 failed, 2 skipped", status: 1 });
});

test.each([
  ["a file that does not load", 'throw new Error("no");'],
  ["a hook that throws", 'describe("d", () => { afterAll(() => { throw new Error("no"); }); test("1", () => {}); });'],
  ["an error that nobody catches", 'test("1", () => { setTimeout(() => { throw new Error("no"); }); });'],
])("%s is a failure", (_case, source) => {
  const { lastLine, status } = runVitest({ "a.test.js": 'test("good", () => {});', "b.test.js": source });
  expect(lastLine).toMatch(/^[12] passed, 1 failed$/);
  expect(status).toBe(1);
});

test("a run without any test is not a good run", () => {
  expect(runVitest({}).status).toBe(1);
});

function runVitest(files: Record<string, string>): { lastLine: string | undefined; status: number | null } {
  const folder = mkdtempSync(join(tmpdir(), "cirque-summary-"));
  folders.push(folder);
  const reporter = JSON.stringify(join(import.meta.dirname, "plain-summary-reporter.ts"));
  const config = `import { PlainSummaryReporter } from ${reporter};
    export default { test: { globals: true, include: ["*.test.js"], reporters: [new PlainSummaryReporter()] } };`;
  for (const [file, content] of Object.entries({ ...files, "vitest.config.mjs": config })) {
    writeFileSync(join(folder, file), content);
  }
  const vitest = join(workspace, "node_modules/vitest/vitest.mjs");
  const { stdout, status } = spawnSync(process.execPath, [vitest, "run", "--root", folder], {
    encoding: "utf8",
    env: { PATH: process.env.PATH, NO_COLOR: "1" },
  });
  return { lastLine: stdout.trimEnd().split("\n").at(-1), status };
}
