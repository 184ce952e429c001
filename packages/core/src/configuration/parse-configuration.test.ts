import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CirqueError } from "../errors/cirque-error.ts";
import { ConfigurationError, formatProblem } from "./configuration-error.ts";
import { createConfiguration } from "./create-configuration.ts";
import { parseConfiguration } from "./parse-configuration.ts";

/** Each case is a file: the configuration, a line of equals signs, and what becomes of it. */
const golden = new URL("./golden/", import.meta.url);

describe("parseConfiguration", () => {
  it.each(readdirSync(golden).filter((name) => name.endsWith(".case")))("reads golden/%s", (name) => {
    const content = readFileSync(new URL(name, golden), "utf8");
    const [input = "", expected] = content.split(/^=====\n/m);
    expect(outcome(input)).toBe(expected);
  });

  it("has every default when the file is empty", () => {
    expect(parseConfiguration("").configuration).toEqual(createConfiguration());
  });

  it("keeps unknown keys without touching any prototype", () => {
    const { configuration } = parseConfiguration("__proto__: {polluted: true}");
    expect(Object.keys(configuration.userSettings)).toEqual(["__proto__"]);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });

  it("refuses aliases that multiply", () => {
    const lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"];
    for (let i = 1; i < 12; i++) lines.push(`a${i}: &a${i} [${Array(10).fill(`*a${i - 1}`)}]`);
    expect(() => parseConfiguration(lines.join("\n"), "bomb.yaml")).toThrow(
      /^bomb\.yaml:\d+:\d+: a\d+: Excessive alias count/,
    );
  });

  it("refuses what is nested too deeply", () => {
    expect(() => parseConfiguration(`a: ${"[".repeat(100_000)}`, "deep.yaml")).toThrow(ConfigurationError);
  });

  it("gives at most 20 warnings", () => {
    const text = Array.from({ length: 26 }, (_, i) => `thread${String.fromCharCode(97 + i)}: 1`).join("\n");
    expect(parseConfiguration(text).warnings).toHaveLength(20);
  });

  it("reports what a check finds at the place of the value", () => {
    const check = (): string => "not today";
    expect(() => parseConfiguration("\nuser: nobody", "c.yaml", check)).toThrow("c.yaml:2:7: user: not today");
  });

  it("returns a configuration or throws a ConfigurationError, whatever the text", () => {
    const fragments = fc.constantFrom(
      ..."threads daemon pid_file : - [ ] { } & * ! | > ' \" # % @ ` \n \t ~ 1 true a, ? <<".split(" "),
      " ",
      "\n",
      "  ",
    );
    const texts = fc.oneof(
      fc.string({ unit: "binary", maxLength: 60 }),
      fc.array(fragments, { maxLength: 40 }).map((parts) => parts.join("")),
    );
    fc.assert(
      fc.property(texts, (text) => {
        try {
          expect(parseConfiguration(text).configuration.threads).toBeGreaterThanOrEqual(1);
        } catch (error) {
          expect(error).toBeInstanceOf(CirqueError);
        }
      }),
      { numRuns: 3_000 },
    );
  });
});

/** What became of the text, as the golden files write it: errors, or what differs from the defaults and the warnings. */
function outcome(text: string): string {
  try {
    const { configuration, warnings } = parseConfiguration(text, "file.yaml");
    const defaults = createConfiguration();
    const changed = Object.entries(configuration).filter(([key, value]) => {
      return JSON.stringify(value) !== JSON.stringify(defaults[key as keyof typeof defaults]);
    });
    const settings = changed.map(([key, value]) => `${key}: ${JSON.stringify(value)}\n`).join("");
    return settings + warnings.map((warning) => `warning: ${warning}\n`).join("");
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    return error.problems.map((problem) => `error: ${formatProblem(problem)}\n`).join("");
  }
}
