import { spawnSync } from "node:child_process";

/** The core that the proxy has for itself. */
export const proxyCore = 0;
/** The core of the load generator, the origin, and this program. */
export const loadCore = 1;

/** The start of a command that runs the rest of it on one core. */
export function pinnedTo(core: number): readonly string[] {
  return ["taskset", "--cpu-list", String(core)];
}

/**
 * Moves this process, and with it all it starts, to the core of the load.
 *
 * @throws Error when the machine has one core only, or no taskset
 */
export function pinThisProcess(): void {
  const { status, error, stderr } = spawnSync(
    "taskset",
    ["--all-tasks", "--cpu-list", "--pid", String(loadCore), String(process.pid)],
    { encoding: "utf8" },
  );
  if (error) {
    throw new Error("taskset is missing: it comes with util-linux, on Linux; see bench/README.md", { cause: error });
  }
  if (status !== 0) {
    throw new Error(`the benchmarks need two cores, one of them for the proxy alone: ${stderr.trim()}`);
  }
}
