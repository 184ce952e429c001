import type { Options } from "tsup";

const everywhere: Options = {
  format: "esm",
  target: "node24",
  platform: "node",
  sourcemap: true,
  clean: true,
  silent: true,
  tsconfig: "tsconfig.lib.json",
};

/**
 * How a published package is built: one module with declarations for each entry of its `exports` map.
 * Dependencies stay imports.
 */
export function libraryBuild(entry: readonly string[] = ["src/index.ts"]): Options {
  return { ...everywhere, entry: [...entry], dts: true };
}

/** How a program is built: `dist/main.js`, without declarations. */
export function programBuild(entry: readonly string[] = ["src/main.ts"]): Options {
  return { ...everywhere, entry: [...entry], dts: false };
}
