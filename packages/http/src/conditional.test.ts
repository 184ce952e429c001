import { describe, expect, it } from "vitest";
import { evaluatePreconditions, HeaderMap, ifRangeHolds, parseEntityTags, RequestHead } from "./index.ts";

const modified = "Sun, 06 Nov 1994 08:49:37 GMT";
const earlier = "Sun, 06 Nov 1994 08:49:36 GMT";
const later = "Sun, 06 Nov 1994 08:49:38 GMT";
const response = new HeaderMap({ etag: '"a"', "last-modified": modified, date: later });
const weak = new HeaderMap({ etag: 'W/"a"', "last-modified": modified });
const bare = new HeaderMap();

function evaluate(fields: Record<string, string>, of: HeaderMap = response): string {
  return evaluatePreconditions(new RequestHead("GET", "/", fields), of);
}

describe("preconditions (RFC 9110, 13.2.2)", () => {
  it.each<[string, Record<string, string>, string, HeaderMap?]>([
    ["none", {}, "proceed"],
    ["If-Match, the tag", { "if-match": '"b", "a"' }, "proceed"],
    ["If-Match, any", { "if-match": "*" }, "proceed"],
    ["If-Match, another", { "if-match": '"b"' }, "failed"],
    ["If-Match, a weak one", { "if-match": 'W/"a"' }, "failed", weak],
    ["If-Match, without a tag", { "if-match": '"a"' }, "failed", bare],
    ["If-Match, malformed", { "if-match": "a" }, "failed"],
    ["If-Match before If-Unmodified-Since", { "if-match": '"a"', "if-unmodified-since": earlier }, "proceed"],
    ["If-Unmodified-Since, then", { "if-unmodified-since": modified }, "proceed"],
    ["If-Unmodified-Since, before", { "if-unmodified-since": earlier }, "failed"],
    ["If-Unmodified-Since, no date", { "if-unmodified-since": "never" }, "proceed"],
    ["If-Unmodified-Since, nobody knows", { "if-unmodified-since": earlier }, "proceed", bare],
    ["If-None-Match, the tag", { "if-none-match": '"b","a"' }, "not-modified"],
    ["If-None-Match, weakly", { "if-none-match": 'W/"a"' }, "not-modified"],
    ["If-None-Match, of a weak one", { "if-none-match": '"a"' }, "not-modified", weak],
    ["If-None-Match, any", { "if-none-match": "*" }, "not-modified", bare],
    ["If-None-Match, another", { "if-none-match": '"b"' }, "proceed"],
    ["If-None-Match before If-Modified-Since", { "if-none-match": '"b"', "if-modified-since": later }, "proceed"],
    ["If-Modified-Since, then", { "if-modified-since": modified }, "not-modified"],
    ["If-Modified-Since, later", { "if-modified-since": later }, "not-modified"],
    ["If-Modified-Since, before", { "if-modified-since": earlier }, "proceed"],
    ["If-Modified-Since, no date", { "if-modified-since": "0" }, "proceed"],
    ["failed comes before not modified", { "if-match": '"b"', "if-none-match": '"a"' }, "failed"],
    ["holds, and is not modified", { "if-match": '"a"', "if-none-match": '"a"' }, "not-modified"],
  ])("%s", (_name, fields, expected, of) => expect(evaluate(fields, of)).toBe(expected));
});

describe("If-Range (RFC 9110, 13.1.5)", () => {
  const holds = (value: string, of: HeaderMap = response): boolean =>
    ifRangeHolds(new RequestHead("GET", "/", { "if-range": value }), of);

  it("holds for this very representation", () => {
    expect(ifRangeHolds(new RequestHead("GET", "/"), response)).toBe(true);
    expect([holds('"a"'), holds(modified)]).toEqual([true, true]);
  });

  it("does not hold for another, nor for what may be another", () => {
    expect([holds('"b"'), holds('W/"a"', weak), holds('"a"', bare)]).toEqual([false, false, false]);
    expect([holds(earlier), holds(later), holds("garbage"), holds(modified, bare)]).toEqual([
      false,
      false,
      false,
      false,
    ]);
    const young = new HeaderMap({ "last-modified": modified, date: modified });
    expect(holds(modified, young)).toBe(false);
  });
});

describe("a list of entity tags", () => {
  it("is read with its quotes", () => {
    expect(parseEntityTags('"a", W/"b,c" ,, ""')).toEqual(['"a"', 'W/"b,c"', '""']);
    expect(parseEntityTags("*")).toBe("*");
  });
  it.each(["", "a", '"a', '"a" "b"', '"a";', '*, "a"', 'w/"a"', '"a\u0000"', ","])("is not %j", (value) => {
    expect(parseEntityTags(value)).toBeUndefined();
  });
  it("is read in a time that grows with its length only", () => {
    expect(parseEntityTags(`${'"a",'.repeat(20_000)}x`)).toBeUndefined();
    expect(parseEntityTags(`"a"${" ".repeat(60_000)}x`)).toBeUndefined();
  });
});
