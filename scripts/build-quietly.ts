// Builds the named projects (all when none is named) and what they depend on, and stays quiet unless that fails.
import { spawnSync } from "node:child_process";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const projects = process.argv.slice(2);

const selection = projects.length > 0 ? ["--projects", projects.join(",")] : [];
const nx = join(root, "node_modules/.bin/nx");
const build = spawnSync(nx, ["run-many", "--target", "build", "--output-style", "static", ...selection], {
  cwd: root,
  encoding: "utf8",
  env: { ...process.env, NX_DAEMON: "false", NX_NO_CLOUD: "true" },
});

if (build.status !== 0) {
  process.stderr.write(`${build.stdout ?? ""}${build.stderr ?? ""}`);
  console.error(build.error ? `The build could not start: ${build.error.message}` : "The build failed.");
  process.exit(1);
}
