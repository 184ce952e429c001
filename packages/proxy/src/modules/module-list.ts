import { CirqueError } from "@cirque/core";
import type { HttpModuleFactory } from "./http-module.ts";

/**
 * The modules of a proxy in the order in which they run (MOD-03); undefined when there are none.
 * @throws CirqueError `InvalidArgument` when one is there twice.
 */
export function orderedModules(
  option: "modules" | "upstreamModules",
  factories: readonly HttpModuleFactory[] | undefined,
): readonly HttpModuleFactory[] | undefined {
  if (factories === undefined || factories.length === 0) return undefined;
  const names = new Set<string>();
  for (const { name, order = 0 } of factories) {
    if (names.has(name)) {
      throw CirqueError.internal(
        "InvalidArgument",
        `the module "${name}" is twice in \`${option}\`: remove one, or give it another name`,
      );
    }
    if (Number.isNaN(order)) {
      throw CirqueError.internal("InvalidArgument", `the order of the module "${name}" is not a number`);
    }
    names.add(name);
  }
  return factories.toSorted((a, b) => (b.order ?? 0) - (a.order ?? 0));
}

/** All modules that a proxy has, on either side. */
export function modulesOf(options: {
  readonly modules?: readonly HttpModuleFactory[];
  readonly upstreamModules?: readonly HttpModuleFactory[];
}): ReadonlySet<HttpModuleFactory> {
  return new Set([...(options.modules ?? []), ...(options.upstreamModules ?? [])]);
}
