// Checks that packages of the workspace depend on, and import, only what they may. Part of `npm run lint`.
import { join } from "node:path";
import { boundaryViolations } from "./package-boundaries.ts";

const violations = boundaryViolations(join(import.meta.dirname, ".."));
for (const violation of violations) console.error(violation);
if (violations.length > 0) {
  const breaches = violations.length === 1 ? "1 breach" : `${violations.length} breaches`;
  console.error(`\n${breaches} of the package boundaries. They are explained in ARCHITECTURE.md, "Packages".`);
  process.exit(1);
}
console.log("Package boundaries hold.");
