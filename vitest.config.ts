import { defineConfig } from "vitest/config";
import { PlainSummaryReporter } from "./scripts/plain-summary-reporter.ts";
import { sharedTestOptions } from "./vitest.shared.ts";

export default defineConfig({
  test: {
    projects: [
      "packages/*/vitest.config.ts",
      "apps/*/vitest.config.ts",
      "e2e/vitest.config.ts",
      { test: { ...sharedTestOptions, name: "bench", include: ["bench/src/**/*.test.ts"] } },
      { test: { ...sharedTestOptions, name: "scripts", include: ["scripts/**/*.test.ts"] } },
    ],
    reporters: [new PlainSummaryReporter()],
  },
});
