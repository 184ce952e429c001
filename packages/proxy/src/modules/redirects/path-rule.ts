import { CirqueError } from "@cirque/core";
import type { RequestHead } from "@cirque/http";

/** Which requests a rule is for, and where they go. */
export interface PathRule {
  /**
   * The path, undecoded and without query: exactly this one (`/old`); all that begin so (`/old/*`, and `/*` for all); or a
   * pattern, looked for as it stands: begin it with `^`, and keep it free of nested repetitions, which take for ever.
   */
  readonly from: string | RegExp;
  /** Only for requests to this host, without port; in any case. Default: all. */
  readonly host?: string;
  /**
   * The new path, or, for redirects, URL. `*` stands for what `*` matched; `$1` to `$9` and `$<name>` for what the pattern
   * captured, `$$` for a dollar. The host of a URL is always a part of this text: what clients send cannot choose it.
   */
  readonly to: string;
  /** Whether the query of the request stays, behind that of `to`. Default true. */
  readonly keepQuery?: boolean;
}

/** The new target of a request that a rule is for; undefined for others. */
export type PathRewriter = (request: RequestHead) => string | undefined;

/** @throws CirqueError `InvalidArgument` for a rule that could not work, or could be used to lead clients elsewhere. */
export function pathRewriter(rule: PathRule, allowUrls: boolean): PathRewriter {
  const { from, to, keepQuery = true } = rule;
  const host = rule.host?.toLowerCase();
  const [, origin = "", path = ""] = /^(https?:\/\/[^/?#*$\\\s]+(?=[/?]|$))?(.*)$/s.exec(to) ?? [];
  if (origin !== "" && (!allowUrls || !URL.canParse(origin))) throw invalid(rule, "`to` has to be a path");
  if (!/^(?:\/|$)/.test(path) || (origin === "" && path === "")) {
    throw invalid(rule, "`to` has to begin with `/`, or with http(s):// and a host that is written out");
  }
  const match = matcher(rule);
  return (request) => {
    // `*` and the target of CONNECT are no paths.
    if (!request.path.startsWith("/") || (host !== undefined && hostOf(request) !== host)) return undefined;
    const found = match(request.path);
    if (found === undefined) return undefined;
    const filled = typeof from === "string" ? path.replace("*", () => found[1] ?? "") : expand(path, found);
    const query = keepQuery ? request.query : "";
    const separator = query === "" ? "" : filled.includes("?") ? "&" : "?";
    return `${origin}${encoded(filled)}${separator}${encodedCharacters(query)}`;
  };
}

function matcher(rule: PathRule): (path: string) => RegExpExecArray | readonly string[] | undefined {
  const { from } = rule;
  if (typeof from !== "string") {
    if (/[gy]/.test(from.flags)) throw invalid(rule, "a pattern with the flag g or y remembers what it matched last");
    return (path) => from.exec(path) ?? undefined;
  }
  if (!from.startsWith("/")) throw invalid(rule, "`from` has to begin with `/`");
  if (!from.endsWith("*")) return (path) => (path === from ? [path] : undefined);
  const prefix = from.slice(0, -1);
  return (path) => (path.startsWith(prefix) ? [path, path.slice(prefix.length)] : undefined);
}

function expand(template: string, found: RegExpExecArray | readonly string[]): string {
  const groups = "groups" in found ? found.groups : undefined;
  return template.replace(/\$(?:(\$)|(\d)|<([^>]*)>)/g, (_, dollar, index, name) => {
    if (dollar !== undefined) return "$";
    return (index !== undefined ? found[Number(index)] : groups?.[name]) ?? "";
  });
}

/** A path that is a path to every reader: `//elsewhere.example` and `/\elsewhere.example` name a host to browsers. */
function encoded(path: string): string {
  return encodedCharacters(path).replace(/^[/\\]+/, "/");
}

/** What may stand in neither a target nor a Location, percent-encoded. */
function encodedCharacters(text: string): string {
  return text.replace(
    /[^\x21-\x7e]|[\\"<>^`{|}#]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`,
  );
}

function hostOf(request: RequestHead): string | undefined {
  return request.authority?.replace(/:\d*$/, "").toLowerCase();
}

function invalid({ from, to }: PathRule, message: string): CirqueError {
  return CirqueError.internal("InvalidArgument", `the rule from ${String(from)} to ${JSON.stringify(to)}: ${message}`);
}
