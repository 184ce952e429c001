import { CirqueError } from "@cirque/core";
import { type HeaderMap, isFieldValue, isToken } from "@cirque/http";
import type { Session } from "../session.ts";
import type { HttpModule, HttpModuleFactory, ModuleOptions } from "./http-module.ts";

/** A value, or what makes one of the request; undefined leaves the field alone. */
export type HeaderRuleValue = string | ((session: Session) => string | undefined);

/** What is done to the fields of a message, in this order. */
export interface HeaderRules {
  /** Names of fields that are removed; one that ends in `*` removes all that begin so. */
  readonly remove?: readonly string[];
  /** Fields that are set: what there was of the name is replaced. */
  readonly set?: Readonly<Record<string, HeaderRuleValue>>;
  /** Fields that are set where there are none of the name. */
  readonly setDefault?: Readonly<Record<string, HeaderRuleValue>>;
  /** Fields that are added to what there is of the name. */
  readonly append?: Readonly<Record<string, HeaderRuleValue>>;
}

/** Settings of {@link headerRules}. */
export interface HeaderRulesOptions extends ModuleOptions {
  /** What is done to each request. */
  readonly request?: HeaderRules;
  /** What is done to each response, those of this proxy included. */
  readonly response?: HeaderRules;
}

/**
 * Sets and removes fields of requests and responses.
 *
 * @throws CirqueError `InvalidArgument` for a name or a value that may not be sent.
 * @example
 * const modules = [
 *   headerRules({
 *     request: { remove: ["x-internal-*"], set: { "x-client": (session) => session.clientAddress } },
 *     response: { remove: ["server"], setDefault: { "x-content-type-options": "nosniff" } },
 *   }),
 * ];
 */
export function headerRules(options: HeaderRulesOptions): HttpModuleFactory<HttpModule> {
  const { name = "header rules", order, request, response } = options;
  const module: HttpModule = {};
  if (request !== undefined) {
    const apply = rulesOf(request);
    module.requestFilter = (session, head) => apply(session, head.headers);
  }
  if (response !== undefined) {
    const apply = rulesOf(response);
    module.responseFilter = (session, head) => apply(session, head.headers);
  }
  return { name, ...(order !== undefined && { order }), create: () => module };
}

function rulesOf({
  remove = [],
  set = {},
  setDefault = {},
  append = {},
}: HeaderRules): (session: Session, headers: HeaderMap) => undefined {
  const removals = remove.map((name) => checkedName(name.toLowerCase().replace(/\*$/, ""), name));
  const prefixes = removals.filter((_, i) => remove[i]?.endsWith("*"));
  const names = removals.filter((_, i) => !remove[i]?.endsWith("*"));
  const [sets, defaults, appends] = [checked(set), checked(setDefault), checked(append)];
  return (session, headers) => {
    for (const name of names) headers.delete(name);
    if (prefixes.length > 0) {
      headers.filter(({ name }) => !prefixes.some((prefix) => name.toLowerCase().startsWith(prefix)));
    }
    for (const [name, value] of sets) {
      const text = ruleValue(value, session);
      if (text !== undefined) headers.set(name, text);
    }
    for (const [name, value] of defaults) {
      const text = headers.has(name) ? undefined : ruleValue(value, session);
      if (text !== undefined) headers.append(name, text);
    }
    for (const [name, value] of appends) {
      const text = ruleValue(value, session);
      if (text !== undefined) headers.append(name, text);
    }
    return undefined;
  };
}

function ruleValue(value: HeaderRuleValue, session: Session): string | undefined {
  return typeof value === "string" ? value : value(session);
}

function checked(rules: Readonly<Record<string, HeaderRuleValue>>): readonly (readonly [string, HeaderRuleValue])[] {
  const entries = Object.entries(rules);
  for (const [name, value] of entries) {
    checkedName(name, name);
    if (typeof value === "string" && !isFieldValue(value)) {
      throw CirqueError.internal("InvalidArgument", `${JSON.stringify(value)} is not a value for the field ${name}`);
    }
  }
  return entries;
}

function checkedName(name: string, rule: string): string {
  if (isToken(name)) return name;
  throw CirqueError.internal("InvalidArgument", `${JSON.stringify(rule)} is not the name of a field`);
}
