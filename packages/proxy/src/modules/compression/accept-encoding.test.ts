import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AcceptEncoding } from "./accept-encoding.ts";
import type { ContentCoding } from "./content-coding.ts";

const offers: readonly ContentCoding[] = ["dcz", "dcb", "zstd", "br", "gzip"];

describe("the choice of a coding", () => {
  const cases: readonly [value: string | undefined, chosen: string | undefined][] = [
    [undefined, undefined],
    ["", undefined],
    ["gzip", "gzip"],
    ["gzip, br", "br"],
    ["gzip, br, zstd", "zstd"],
    ["gzip;q=1.0, br;q=0.9", "gzip"],
    ["br;q=0.5, gzip;q=0.5", "br"],
    ["x-gzip", "gzip"],
    ["GZIP ; Q=0.3", "gzip"],
    ["*", "zstd"],
    ["*;q=0.1, gzip;q=0.2", "gzip"],
    ["zstd;q=0, *", "br"],
    ["dcz, dcb, gzip;q=0.9", "dcz"],
    ["dcb, br", "dcb"],
    ["gzip;q=0", undefined],
    ["gzip;q=0, identity;q=0", undefined],
    ["identity, gzip;q=0.5", undefined],
    ["identity;q=0.5, gzip", "gzip"],
    ["identity, gzip", "gzip"],
    ["deflate, compress", undefined],
    ["gzip;q=1.1, br;q=x, zstd;q=0.1234", undefined],
    ["gzip;level=9;q=0.5", "gzip"],
    [", ,;q=1,gzip,,", "gzip"],
    ["gzip;q=0, gzip", undefined],
  ];
  for (const [value, chosen] of cases) {
    it(`of ${value === undefined ? "no field" : JSON.stringify(value)} is ${chosen ?? "none"}`, () => {
      expect(AcceptEncoding.parse(value).choose(offers)).toBe(chosen);
    });
  }

  it("never is one that is refused, whatever is sent", () => {
    const member = fc.oneof(
      fc.tuple(
        fc.constantFrom("gzip", "br", "zstd", "dcz", "identity", "*", "x"),
        fc.constantFrom("", ";q=0", ";q=0.5", ";q=1", ";q=2"),
      ),
      fc.string().map((text) => [text, ""] as const),
    );
    fc.assert(
      fc.property(fc.array(member), (members) => {
        const accepted = AcceptEncoding.parse(members.map((each) => each.join("")).join(","));
        const chosen = accepted.choose(offers);
        if (chosen !== undefined) expect(accepted.accepts(chosen)).toBe(true);
      }),
    );
  });
});

describe("a body without coding", () => {
  for (const [value, refused] of [
    ["gzip", false],
    ["identity;q=0", true],
    ["*;q=0", true],
    ["*;q=0, identity;q=0.1", false],
    ["gzip, *;q=0.0", true],
    ["", false],
  ] as const) {
    it(`is ${refused ? "refused" : "accepted"} by ${JSON.stringify(value)}`, () => {
      expect(AcceptEncoding.parse(value).refusesIdentity).toBe(refused);
    });
  }
});
