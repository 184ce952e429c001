import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { DEFAULT_LIMITS, MalformedMessage, REFUSAL_REASONS } from "@cirque/http";
import { expect, it } from "vitest";

const root = join(import.meta.dirname, "..");
const readme = await readFile(join(root, "README.md"), "utf8");

it("the example of the README is the file, and prints what it says", async () => {
  const [, code, output] = /```ts\n(.*?)```.*?```text\n(.*?)```/s.exec(readme) ?? [];
  expect(code).toBe(await readFile(join(root, "examples/read-a-request.ts"), "utf8"));
  expect(await run("read-a-request.ts")).toBe(output);
});

it("the example of a relay sends a message on", async () => {
  expect(await run("relay-a-response.ts")).toBe(
    "HTTP/1.1 200 OK\r\nServer: demo\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nChecksum: 5d41\r\n\r\n",
  );
});

it("the README has every refusal, with its status, and nothing else", () => {
  const rows = Array.from(
    section("Why a message is refused").matchAll(/^\| `([a-z0-9.-]+)` \| (\d+) \|/gm),
    ([, reason, status]) => [reason, Number(status)],
  );
  expect(rows).toEqual(REFUSAL_REASONS.map((reason) => [reason, new MalformedMessage(reason, "").status]));
});

it("the README has every limit, with its default", () => {
  const rows = Array.from(section("Limits").matchAll(/^\| `([a-zA-Z]+)` \| (\d+) \|/gm), ([, name, limit]) => [
    name,
    Number(limit),
  ]);
  expect(Object.fromEntries(rows)).toEqual(DEFAULT_LIMITS);
});

function section(title: string): string {
  const start = readme.indexOf(`## ${title}\n`);
  return readme.slice(start, readme.indexOf("\n## ", start));
}

async function run(example: string): Promise<string> {
  const file = join(root, "examples", example);
  const { stdout } = await promisify(execFile)(process.execPath, ["--conditions=@cirque/source", file]);
  return stdout;
}
