import { parseArgs } from "node:util";
import { describe, expect, it } from "vitest";
import { commandLineOptions, parseCommandLine, toCommandLine, usage } from "./command-line.ts";

const nothing = { conf: undefined, daemon: false, test: false, upgrade: false, help: false };

describe("parseCommandLine", () => {
  it.each([
    [[], {}],
    [["-c", "a.yaml"], { conf: "a.yaml" }],
    [["--conf", "a.yaml"], { conf: "a.yaml" }],
    [["--conf=a.yaml"], { conf: "a.yaml" }],
    [["-d"], { daemon: true }],
    [["--daemon"], { daemon: true }],
    [["-t"], { test: true }],
    [["--test"], { test: true }],
    [["-u"], { upgrade: true }],
    [["--upgrade"], { upgrade: true }],
    [["-h"], { help: true }],
    [["--help"], { help: true }],
    [["--nocapture"], {}],
    [["-dtc", "a.yaml"], { daemon: true, test: true, conf: "a.yaml" }],
  ])("reads %j", (argv, expected) => {
    expect(parseCommandLine(argv)).toEqual({ ...nothing, ...expected });
  });

  it.each([
    [["--port", "80"], "Unknown option '--port'"],
    [["-x"], "Unknown option '-x'"],
    [["-c"], "Option '-c, --conf <value>' argument missing"],
    [["--daemon=yes"], "Option '-d, --daemon' does not take an argument"],
    [["run"], "Unexpected argument 'run'"],
    [["-c", "-d"], "Option '-c' argument is ambiguous"],
  ])("refuses %j", (argv, message) => {
    expect(() => parseCommandLine(argv)).toThrow(expect.objectContaining({ code: "InvalidCommandLine", message }));
  });

  it("can be part of a program's own command line", () => {
    const { values } = parseArgs({
      args: ["-t", "--origins", "3"],
      options: { ...commandLineOptions, origins: { type: "string" } },
    });
    expect(values.origins).toBe("3");
    expect(toCommandLine(values)).toEqual({ ...nothing, test: true });
  });
});

describe("usage", () => {
  it("names the program and every option but the hidden one", () => {
    const text = usage("balancer.js");
    expect(text).toContain("Usage: balancer.js [options]");
    for (const [name, option] of Object.entries(commandLineOptions)) {
      if (name === "nocapture") expect(text).not.toContain(name);
      else if ("short" in option) expect(text).toMatch(new RegExp(`^  -${option.short}, --${name}\\b`, "m"));
    }
  });
});
