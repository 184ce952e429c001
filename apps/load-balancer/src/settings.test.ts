import { describe, expect, it } from "vitest";
import { readSettings } from "./settings.ts";

describe("readSettings", () => {
  it("has a default for everything", () => {
    const defaults = { address: "127.0.0.1:6188", metricsAddress: "127.0.0.1:6192", originPort: 9_000 };
    expect(readSettings()).toEqual(defaults);
    expect(readSettings({})).toEqual(defaults);
  });

  it("takes each setting", () => {
    const section = { address: "[::1]:0", metricsAddress: "127.0.0.1:0", originPort: 0 };
    expect(readSettings(section)).toEqual(section);
  });

  it.each([
    ["text", "expected a map"],
    [null, "expected a map"],
    [[], "expected a map"],
    [{ address: "6188" }, '"6188" is not an address'],
    [{ address: 6188 }, '"6188" is not an address'],
    [{ metricsAddress: null }, '"null" is not an address'],
    [{ originPort: 65_533 }, "originPort has to be a whole number from 0 to 65532"],
    [{ originPort: "9000" }, "originPort has to be a whole number"],
    [{ adress: "127.0.0.1:1" }, "adress is not known; expected address, metricsAddress or originPort"],
  ])("says what is wrong with %j", (section, reason) => {
    expect(() => readSettings(section)).toThrow(reason);
  });
});
