import { defineConfig } from "vitest/config";
import { PlainSummaryReporter } from "./scripts/plain-summary-reporter.ts";
import { sourceConditions } from "./vitest.shared.ts";

/** The suites that talk to a server which npm cannot bring (dnsmasq, etcd, redis and the like). */
export default defineConfig({
  ...sourceConditions,
  test: {
    environment: "node",
    pool: "forks",
    include: ["{packages,apps,e2e}/**/*.services.test.ts"],
    exclude: ["**/node_modules/**", "**/dist/**"],
    reporters: [new PlainSummaryReporter()],
  },
});
