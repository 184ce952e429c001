import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { okResponse, RawOrigin } from "./harness/raw-origin.ts";
import { RawPeer } from "./harness/raw-peer.ts";
import { readResponses } from "./harness/read-responses.ts";
import { get } from "./harness/test-proxy.ts";

const root = join(import.meta.dirname, "..");
const readme = await readFile(join(root, "README.md"), "utf8");
const phases = await readFile(join(root, "../../docs/guide/phases.md"), "utf8");
const declarations = await readFile(join(root, "src/proxy-http.ts"), "utf8");

/** The callbacks, in the order of their declarations, and whether they are declared as sync only. */
const callbacks = Array.from(
  declarations.matchAll(/^ {2}([a-zA-Z]+)\??\([^)]*\): (.*);$/gm),
  ([, name = "", result = ""]) => ({ name, sync: !/MaybePromise|unknown/.test(result) }),
);

it("the README has each callback, and marks those that cannot be async", () => {
  const rows = Array.from(section("The callbacks").matchAll(/^\| [^|]*\| `([a-zA-Z]+)`( \*)? \|/gm));
  expect(callbacks).toHaveLength(24);
  expect(rows.map(([, name, mark]) => `${name}${mark ?? ""}`).sort()).toEqual(
    callbacks.map(({ name, sync }) => `${name}${sync ? " *" : ""}`).sort(),
  );
});

it("the guide has each callback in its chart and in its text", () => {
  const [chart = "", text = ""] = [
    phases.slice(0, phases.indexOf("## The request")),
    phases.slice(phases.indexOf("## ")),
  ];
  for (const { name } of callbacks) {
    expect(text, name).toContain(name);
    if (name !== "suppressErrorLog" && name !== "requestSummary") expect(chart, name).toContain(name);
  }
});

it("the README has each metric", async () => {
  const source = join(root, "src");
  const files = (await readdir(source, { recursive: true })).filter((file) => /(?<!\.test)\.ts$/.test(file));
  const texts = await Promise.all(files.map((file) => readFile(join(source, file), "utf8")));
  const names = texts.flatMap((text) => Array.from(text.matchAll(/"(cirque_[a-z_]+)"/g), ([, name]) => name));
  const rows = Array.from(section("Metrics").matchAll(/^\| `([a-z_]+)`/gm), ([, name]) => name);
  expect(rows.sort()).toEqual([...new Set(names)].sort());
});

it("the README has each option", async () => {
  const source = await readFile(join(root, "src/http-proxy.ts"), "utf8");
  const options = source.slice(source.indexOf("export interface HttpProxyOptions"), source.indexOf("\n}\n"));
  const names = Array.from(options.matchAll(/^ {2}readonly ([a-zA-Z]+)\?:/gm), ([, name]) => name);
  const rows = Array.from(section("Settings").matchAll(/^\| `([a-zA-Z]+)` \|/gm), ([, name]) => name);
  expect(names.length).toBeGreaterThan(5);
  expect(rows.sort()).toEqual(names.sort());
});

it("the example of the README is the file, and does what it says", async () => {
  const [, code] = /```ts\n(.*?)```/s.exec(readme) ?? [];
  const file = join(root, "examples/gateway.ts");
  expect(code).toBe(await readFile(file, "utf8"));

  await using origin = await RawOrigin.answering((request) => okResponse(request.head.headers.toWire()));
  const program = spawn(process.execPath, ["--conditions=@cirque/source", file], {
    env: { ...process.env, ORIGIN: origin.address, LISTEN: "127.0.0.1:0" },
    stdio: ["ignore", "pipe", "ignore"],
  });
  try {
    let output = "";
    program.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
    while (!/listening on .*:(\d+)/.test(output)) await once(program.stdout, "data");
    const port = Number(/listening on .*:(\d+)/.exec(output)?.[1]);
    using denied = await RawPeer.connect(port);
    const [refusal] = readResponses((await denied.send(get("/tea")).whenClosed()).text);
    expect(refusal).toMatchObject({ status: 401, body: "a key, please\n" });

    using client = await RawPeer.connect(port);
    const [answer] = readResponses(
      (await client.send(get("/tea", "X-Key: 1\r\nConnection: close\r\n")).whenClosed()).text,
    );
    const id = answer?.headers.get("x-request-id") ?? "none";
    expect(answer).toMatchObject({ status: 200 });
    expect(answer?.body).toContain(`x-request-id: ${id}\r\n`);
    expect(answer?.body.toLowerCase()).not.toContain("x-key");
    while (!output.includes(`${id} GET /tea 200`)) await once(program.stdout, "data");
  } finally {
    program.kill("SIGKILL");
    await once(program, "close");
  }
});

function section(title: string): string {
  const start = readme.indexOf(`## ${title}\n`);
  const end = readme.indexOf("\n## ", start);
  return readme.slice(start, end < 0 ? undefined : end);
}
