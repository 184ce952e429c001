import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { resolveHttp2ServerOptions } from "./server-options.ts";

const page = readFileSync(new URL("../../../../docs/guide/http2.md", import.meta.url), "utf8");

it("docs/guide/http2.md names each option and its default", () => {
  const rows = page.matchAll(/^\| (`\w+`(?:, `\w+`)*) \| ([^|]+) \|/gm);
  const told = new Map<string, string>();
  for (const [, names = "", values = ""] of rows) {
    for (const [i, name] of names.split(", ").entries()) {
      // "30,000, 100 bytes a second" are the defaults of two options.
      const of = values.split(/, (?=\d)| in (?=\d)/);
      told.set(name.replaceAll("`", ""), of.length > 1 ? (of[i] ?? "") : values);
    }
  }
  for (const [name, value] of Object.entries(resolveHttp2ServerOptions())) {
    const text = told.get(name);
    expect(text, name).toBeDefined();
    if (name === "limits") continue;
    if (typeof value === "boolean") expect(text, name).toContain(String(value));
    else expect(bytesOf(text ?? ""), name).toBe(value);
  }
});

it("options that are not of their kind are refused where they are given", () => {
  expect(() => resolveHttp2ServerOptions({ maxResets: -1 })).toThrow("maxResets");
  expect(() => resolveHttp2ServerOptions({ extendedConnect: "yes" as never })).toThrow("extendedConnect");
  expect(() => resolveHttp2ServerOptions({ limits: { fields: 0 } })).toThrow("fields");
  expect(resolveHttp2ServerOptions({ limits: { fields: 5 } }).limits).toMatchObject({ fields: 5, headBytes: 65_536 });
});

function bytesOf(text: string): number {
  const [, digits = "", unit] = /^([\d,]+)(?: (KiB|MiB|MB))?/.exec(text) ?? [];
  const number = Number(digits.replaceAll(",", ""));
  return number * (unit === "KiB" ? 1024 : unit === "MiB" ? 1024 * 1024 : unit === "MB" ? 1_000_000 : 1);
}
