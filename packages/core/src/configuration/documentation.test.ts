import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { configurationKeys } from "./configuration-keys.ts";

const page = readFileSync(new URL("../../../../docs/guide/configuration.md", import.meta.url), "utf8");

describe("docs/guide/configuration.md", () => {
  it.each(configurationKeys.map((key) => [key.name, key] as const))("describes %s", (_name, key) => {
    const row = page.split("\n").find((line) => line.startsWith(`| \`${key.name}\` | \`${key.alias}\` | `));
    expect(row).toBeDefined();
  });

  it("gives each default that is not unset", () => {
    for (const { name, default: value } of configurationKeys) {
      const row = page.split("\n").find((line) => line.startsWith(`| \`${name}\` |`)) ?? "";
      const cells = row.split(" | ");
      // Rows of three cells are those of keys without effect.
      if (cells.length < 4 || value === undefined || Array.isArray(value)) continue;
      const written = typeof value === "number" ? value.toLocaleString("en") : `\`${value}\``;
      expect(cells[2], name).toBe(written);
    }
  });
});
