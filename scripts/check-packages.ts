// Packs every published package as npm would and checks the tarball: publint for its package.json and files,
// attw for what TypeScript makes of its types. Needs a build.
import { execFileSync, spawnSync } from "node:child_process";
import { globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

const root = join(import.meta.dirname, "..");
const packed = mkdtempSync(join(tmpdir(), "cirque-packed-"));
let failed = 0;

try {
  for (const manifest of globSync("packages/*/package.json", { cwd: root }).sort()) {
    const { name } = JSON.parse(readFileSync(join(root, manifest), "utf8")) as { name: string };
    const tarball = pack(join(root, dirname(manifest)));
    const good = run("publint", ["run", tarball, "--strict"]) && run("attw", [tarball, "--profile", "esm-only"]);
    console.log(`${good ? "good" : "bad "}  ${name}`);
    if (!good) failed++;
  }
} finally {
  rmSync(packed, { recursive: true, force: true });
}
process.exitCode = failed > 0 ? 1 : 0;

function pack(folder: string): string {
  const output = execFileSync("npm", ["pack", "--json", "--pack-destination", packed], {
    cwd: folder,
    encoding: "utf8",
  });
  return join(packed, packedFile(JSON.parse(output)));
}

/** npm prints a list of what it packed, newer versions an object by package name. */
function packedFile(report: object): string {
  const [first] = Object.values(report) as { filename: string }[];
  if (!first) throw new Error("npm pack reported no file");
  return first.filename;
}

/** Prints what the tool says only if it finds something. */
function run(tool: string, args: readonly string[]): boolean {
  const { status, stdout, stderr } = spawnSync(join(root, "node_modules/.bin", tool), args, { encoding: "utf8" });
  if (status !== 0) process.stderr.write(`${stdout}${stderr}`);
  return status === 0;
}
