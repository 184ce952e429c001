import { defineProject, type UserProjectConfigExport } from "vitest/config";
import type { InlineConfig } from "vitest/node";

const conditions = ["@cirque/source", "module", "node", "development|production"];

/**
 * Packages of the workspace resolve to their sources, also in the threads and processes that a test starts, so nothing
 * has to be built first.
 */
export const sourceConditions = { resolve: { conditions }, ssr: { resolve: { conditions } } };

/** What holds for every test of the workspace. */
export const sharedTestOptions = {
  environment: "node",
  pool: "forks",
  // On a busy machine, what takes a second takes five; what hangs is found out all the same.
  testTimeout: 30_000,
  hookTimeout: 30_000,
  exclude: ["**/*.services.test.ts", "**/node_modules/**", "**/dist/**"],
} satisfies InlineConfig;

/** The tests of one package: beside its sources, and in its folder `test`. */
export function sourceTests(name: string): UserProjectConfigExport {
  return defineProject({
    ...sourceConditions,
    test: { ...sharedTestOptions, name, include: ["src/**/*.test.ts", "test/**/*.test.ts"] },
  });
}

/** Tests that see the packages and programs as they are published: what `npm run build` made. */
export function builtTests(name: string): UserProjectConfigExport {
  return defineProject({ test: { ...sharedTestOptions, name, include: ["src/**/*.test.ts"] } });
}
