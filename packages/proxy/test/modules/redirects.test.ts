import { RequestHead } from "@cirque/http";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type PathRule, redirects, rewrites } from "../../src/index.ts";
import { pathRewriter } from "../../src/modules/redirects/path-rule.ts";
import { ask, through } from "./through.ts";

const location = (rule: PathRule, target: string, host = "a.example"): string | undefined =>
  pathRewriter(rule, true)(new RequestHead("GET", target, { host }));

describe("a rule", () => {
  it.each<[PathRule, string, string | undefined]>([
    [{ from: "/old", to: "/new" }, "/old", "/new"],
    [{ from: "/old", to: "/new" }, "/old/", undefined],
    [{ from: "/old", to: "/new" }, "/old?a=1", "/new?a=1"],
    [{ from: "/old", to: "/new?b=2" }, "/old?a=1", "/new?b=2&a=1"],
    [{ from: "/old", to: "/new", keepQuery: false }, "/old?a=1", "/new"],
    [{ from: "/old/*", to: "/new/*" }, "/old/a/b?c", "/new/a/b?c"],
    [{ from: "/old/*", to: "/new/" }, "/old/a", "/new/"],
    [{ from: "/*", to: "https://b.example/*" }, "/a?b", "https://b.example/a?b"],
    [{ from: "/*", to: "https://b.example" }, "/a?b", "https://b.example?b"],
    [{ from: /^\/item-(\d+)$/, to: "/items/$1" }, "/item-7", "/items/7"],
    [{ from: /^\/(?<year>\d+)\/(.*)$/, to: "/$2/$<year>/$$/$9" }, "/2026/x", "/x/2026/$/"],
    [{ from: /^\/item-(\d+)$/i, to: "/items/$1" }, "/ITEM-x", undefined],
    [{ from: "/a", to: "/b", host: "A.example" }, "/a", "/b"],
    [{ from: "/a", to: "/b", host: "b.example" }, "/a", undefined],
    [{ from: "/a/*", to: "/*" }, "/a/\u00e9<>", "/%E9%3C%3E"],
    [{ from: "/a/*", to: "/b/*" }, "/a/$1*", "/b/$1*"],
  ])("%o of %s", (rule, target, expected) => expect(location(rule, target)).toBe(expected));

  it("is for paths alone", () => {
    const rewrite = pathRewriter({ from: /^/, to: "/x" }, true);
    expect(rewrite(new RequestHead("CONNECT", "a.example:443"))).toBeUndefined();
    expect(rewrite(new RequestHead("OPTIONS", "*"))).toBeUndefined();
    expect(rewrite(new RequestHead("GET", "http://a.example/y?z"))).toBe("/x?z");
  });

  it("never leads to a host that the client names", () => {
    const rules: readonly PathRule[] = [
      { from: "/out*", to: "/*" },
      { from: /^\/out(.*)$/, to: "/$1" },
      { from: /^\/out(.*)$/, to: "https://b.example/$1" },
    ];
    const rest = fc.stringMatching(/^[/\\@.:a-z?%]{0,12}$/);
    fc.assert(
      fc.property(fc.constantFrom(...rules), rest, (rule, text) => {
        const to = location(rule, `/out${text}`) ?? "/";
        expect(["a.example", "b.example"]).toContain(new URL(to, "https://a.example/").hostname);
      }),
    );
    expect(location({ from: "/out*", to: "/*" }, "/out//evil.example")).toBe("/evil.example");
    expect(location({ from: "/out*", to: "/*" }, "/out/\\evil.example")).toBe("/%5Cevil.example");
  });

  it.each<PathRule>([
    { from: "old", to: "/new" },
    { from: "/old", to: "new" },
    { from: "/old", to: "" },
    { from: "/*", to: "*" },
    { from: "/*", to: "https://*" },
    { from: "/*", to: "https://b.example*" },
    { from: /^\/(.*)$/, to: "$1" },
    { from: /^\/(.*)$/, to: "https://$1/" },
    { from: /^\/(.*)$/, to: "https://b.example$1" },
    { from: /^\/(.*)$/, to: "https://b.example:$1/" },
    { from: /^\/(.*)$/, to: "javascript:$1" },
    { from: /^\/a/g, to: "/b" },
  ])("%o is refused", (rule) => expect(() => redirects([rule])).toThrow(/the rule from/));
});

it("redirects answer, the first that fits", async () => {
  const modules = [
    redirects([
      { from: "/a", to: "/one", status: 302 },
      { from: "/*", to: "https://b.example/*" },
    ]),
  ];
  const first = await through(ask("/a"), { modules });
  expect(first.response.status).toBe(302);
  expect(first.response.headers.get("location")).toBe("/one");
  const second = await through(ask("/x?y=1"), { modules });
  expect(second.response.status).toBe(308);
  expect(second.response.headers.get("location")).toBe("https://b.example/x?y=1");
  expect(second.seen).toBeUndefined();
});

it("redirects with a status that is none are refused", () => {
  expect(() => redirects([{ from: "/a", to: "/b", status: 304 as 302 }])).toThrow(/304 is no status/);
});

it("rewrites change what the origin is asked for, once", async () => {
  const modules = [
    rewrites([
      { from: "/api/*", to: "/v1/*" },
      { from: "/v1/*", to: "/v2/*" },
    ]),
  ];
  const { seen } = await through(ask("/api/x?y"), { modules });
  expect(seen?.head.target).toBe("/v1/x?y");
  expect((await through(ask("/other"), { modules })).seen?.head.target).toBe("/other");
  expect(() => rewrites([{ from: "/*", to: "https://b.example/*" }])).toThrow(/has to be a path/);
});
