// Installs what package-lock.json names when it is missing or out of date, and does nothing otherwise.
// Runs before `npm start` and `npm test`, with whatever Node the machine has: only what Node 20 offers.
import { spawnSync } from "node:child_process";
import { statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

const wanted = modifiedAt("package-lock.json");
const installed = modifiedAt("node_modules/.package-lock.json");
if (installed === undefined || (wanted !== undefined && installed < wanted)) {
  install(installed === undefined ? "first run" : "package-lock.json has changed");
}

function modifiedAt(file) {
  return statSync(join(root, file), { throwIfNoEntry: false })?.mtimeMs;
}

function install(reason) {
  console.log(`Installing dependencies (${reason}); this takes about a minute.`);
  const { npm_execpath: npm, npm_node_execpath: node } = process.env;
  // npm has to run on the Node that started it: the one in node_modules is about to be replaced.
  const [command, prefix] = npm && node ? [node, [npm]] : ["npm", []];
  const args = [...prefix, "ci", "--no-audit", "--no-fund", "--loglevel=error"];
  const result = spawnSync(command, args, { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  if (result.status === 0) return;
  process.stderr.write(`${result.stdout ?? ""}${result.stderr ?? ""}`);
  const why = result.error?.message ?? `exit code ${result.status ?? result.signal}`;
  console.error(`Installing failed (${why}). Run "npm ci" in ${root} to see more.`);
  process.exit(1);
}
