import { matchStrongly, matchWeakly, parseEntityTags } from "./entity-tag.ts";
import type { HeaderMap } from "./header-map.ts";
import { parseHttpDate } from "./parse-http-date.ts";
import type { RequestHead } from "./request-head.ts";

/** What the preconditions of a request come to: send the response, 304, or 412. */
export type Precondition = "proceed" | "not-modified" | "failed";

/**
 * Evaluates the preconditions of a GET or HEAD request against the response it would get (RFC 9110, 13.2.2), in their
 * order: `If-Match`, else `If-Unmodified-Since`; then `If-None-Match`, else `If-Modified-Since`. A field that is
 * malformed matches nothing; a date that is none is as if it were absent. `If-Range` is a matter of the range.
 *
 * @param response The fields of a 200, which say what is the current representation.
 */
export function evaluatePreconditions(request: RequestHead, response: HeaderMap): Precondition {
  const { headers } = request;
  const tag = response.get("etag");
  const ifMatch = headers.get("if-match");
  if (ifMatch !== undefined) {
    if (!matchesAny(ifMatch, tag, matchStrongly)) return "failed";
  } else {
    const since = dateOf(headers, "if-unmodified-since");
    const modified = since === undefined ? undefined : dateOf(response, "last-modified");
    if (since !== undefined && modified !== undefined && modified > since) return "failed";
  }
  const ifNoneMatch = headers.get("if-none-match");
  if (ifNoneMatch !== undefined) return matchesAny(ifNoneMatch, tag, matchWeakly) ? "not-modified" : "proceed";
  const since = dateOf(headers, "if-modified-since");
  const modified = since === undefined ? undefined : dateOf(response, "last-modified");
  return since !== undefined && modified !== undefined && modified <= since ? "not-modified" : "proceed";
}

/**
 * Whether the range of a request may be applied (RFC 9110, 13.1.5): there is no `If-Range`, or it names this very
 * representation, by a strong entity tag or by the exact value of `Last-Modified`.
 */
export function ifRangeHolds(request: RequestHead, response: HeaderMap): boolean {
  const ifRange = request.headers.get("if-range");
  if (ifRange === undefined) return true;
  if (ifRange.endsWith('"')) return matchStrongly(ifRange, response.get("etag") ?? "");
  const date = parseHttpDate(ifRange);
  return date !== undefined && ifRange === response.get("last-modified") && isStrongDate(date, response);
}

/**
 * A second may hold two representations. A date is only strong if the response was made at least one second later
 * (RFC 9110, 8.8.2.2); of a response without a date nobody knows.
 */
function isStrongDate(modified: number, response: HeaderMap): boolean {
  const date = dateOf(response, "date");
  return date === undefined || date - modified >= 1000;
}

function matchesAny(value: string, tag: string | undefined, match: (one: string, other: string) => boolean): boolean {
  const tags = parseEntityTags(value);
  if (tags === "*") return true;
  return tag !== undefined && tags?.some((each) => match(each, tag)) === true;
}

function dateOf(headers: HeaderMap, name: string): number | undefined {
  const value = headers.get(name);
  return value === undefined ? undefined : parseHttpDate(value);
}
