import { CirqueError } from "@cirque/core";
import type { HttpModule, HttpModuleFactory, ModuleOptions } from "../http-module.ts";
import { type PathRule, pathRewriter } from "./path-rule.ts";

/** Sends clients elsewhere. */
export interface RedirectRule extends PathRule {
  /** 301 and 308 are for good, and remembered; 301, 302 and 303 may turn a POST into a GET. Default 308. */
  readonly status?: 301 | 302 | 303 | 307 | 308;
}

/**
 * Answers requests with redirects: the first rule that is for a request is taken.
 *
 * @throws CirqueError `InvalidArgument` for a rule that could not work, or that clients could have lead anywhere.
 * @example
 * const modules = [
 *   redirects([
 *     { from: "/old/*", to: "https://www.example.com/new/*" },
 *     { from: /^\/item-(\d+)$/, to: "/items/$1", status: 302 },
 *   ]),
 * ];
 */
export function redirects(
  rules: readonly RedirectRule[],
  { name = "redirects", order = 600 }: ModuleOptions = {},
): HttpModuleFactory<HttpModule> {
  const prepared = rules.map((rule) => {
    const { status = 308 } = rule;
    if (![301, 302, 303, 307, 308].includes(status)) {
      throw CirqueError.internal("InvalidArgument", `${status} is no status of a redirect: 301, 302, 303, 307 or 308`);
    }
    return { status, rewrite: pathRewriter(rule, true) };
  });
  const module: HttpModule = {
    requestFilter(_session, request) {
      for (const { status, rewrite } of prepared) {
        const location = rewrite(request);
        if (location !== undefined) return new Response(null, { status, headers: { location } });
      }
      return undefined;
    },
  };
  return { name, order, create: () => module };
}

/**
 * Changes the path that origins are asked for: by the first rule that is for a request. The callbacks behind it see the new
 * one.
 *
 * @throws CirqueError `InvalidArgument` for a rule that could not work.
 * @example
 * const modules = [rewrites([{ from: "/api/*", to: "/*" }])];
 */
export function rewrites(
  rules: readonly PathRule[],
  { name = "rewrites", order = 500 }: ModuleOptions = {},
): HttpModuleFactory<HttpModule> {
  const prepared = rules.map((rule) => pathRewriter(rule, false));
  const module: HttpModule = {
    requestFilter(_session, request) {
      for (const rewrite of prepared) {
        const target = rewrite(request);
        if (target === undefined) continue;
        request.target = target;
        return;
      }
    },
  };
  return { name, order, create: () => module };
}
