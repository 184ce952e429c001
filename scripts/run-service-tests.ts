// Runs the suites that need a server from outside npm (`*.services.test.ts`). Each suite says by itself what it misses.
import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const suites = globSync("{packages,apps,e2e}/**/*.services.test.ts", {
  cwd: root,
  exclude: ["**/node_modules", "**/dist"],
});

if (suites.length === 0) {
  console.log("There are no service tests: no file in packages, apps or e2e is named *.services.test.ts.");
} else {
  const vitest = join(root, "node_modules/vitest/vitest.mjs");
  const run = spawnSync(process.execPath, [vitest, "run", "--config", "vitest.services.config.ts"], {
    cwd: root,
    stdio: "inherit",
  });
  process.exitCode = run.status ?? 1;
}
