import { describe, expect, it } from "vitest";
import { readSettings } from "./settings.ts";

describe("readSettings", () => {
  it("has defaults", () => {
    expect(readSettings()).toEqual({ address: "127.0.0.1:5300", resolvers: [], demoPort: 5_301 });
  });

  it("takes an address and resolvers", () => {
    const settings = { address: "[::1]:53", resolvers: ["10.0.0.2:53", "dns.example:53"], demoPort: 9_053 };
    expect(readSettings(settings)).toEqual(settings);
  });

  it.each([
    [[], "expected a map"],
    [{ adress: "127.0.0.1:53" }, "adress is not known"],
    [{ address: "127.0.0.1" }, "the port is missing"],
    [{ resolvers: "10.0.0.2:53" }, "resolvers has to be a list"],
    [{ demoPort: 0 }, "demoPort has to be a whole number"],
    [{ resolvers: [53] }, "is not an address"],
  ])("refuses %j", (section, message) => {
    expect(() => readSettings(section)).toThrow(message);
  });
});
