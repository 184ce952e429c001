import { describe, expect, it } from "vitest";
import { parseArguments, UsageError } from "./arguments.ts";

const known = { scenarios: ["plain-1k", "post-64k"], peers: ["nginx", "fast-proxy"], own: "cirque" };
const parse = (...words: string[]) => parseArguments(words, known);

describe("parseArguments", () => {
  it("has defaults for everything", () => {
    expect(parse()).toEqual({
      kind: "run",
      scenarios: ["plain-1k"],
      peers: ["nginx", "fast-proxy"],
      runs: 5,
      seconds: 5,
      warmUpSeconds: 3,
      quick: false,
      json: undefined,
      results: false,
      cpuProfile: false,
    });
  });

  it("takes each option", () => {
    const words = ["--scenario", "post-64k,plain-1k", "--peers", "nginx", "--runs", "3", "--seconds", "10"];
    expect(parse(...words, "--json", "out.json", "--results")).toEqual({
      kind: "run",
      scenarios: ["post-64k", "plain-1k"],
      peers: ["nginx"],
      runs: 3,
      seconds: 10,
      warmUpSeconds: 3,
      quick: false,
      json: "out.json",
      results: true,
      cpuProfile: false,
    });
    expect(parse("--cpu-prof")).toMatchObject({ results: false, cpuProfile: true });
  });

  it("is quick when asked, but keeps what is said otherwise", () => {
    expect(parse("--quick")).toMatchObject({ runs: 1, seconds: 1, warmUpSeconds: 1, quick: true });
    expect(parse("--quick", "--runs", "2", "--seconds", "3")).toMatchObject({ runs: 2, seconds: 3, quick: true });
  });

  it("knows all, none, repetitions and spaces", () => {
    expect(parse("--scenario", "all")).toMatchObject({ scenarios: ["plain-1k", "post-64k"] });
    expect(parse("--peers", "none")).toMatchObject({ peers: [] });
    expect(parse("--peers", "nginx, nginx,")).toMatchObject({ peers: ["nginx"] });
  });

  it("accepts our own name as a peer, which is measured anyway", () => {
    expect(parse("--peers", "cirque")).toMatchObject({ peers: [] });
    expect(parse("--peers", "cirque,nginx")).toMatchObject({ peers: ["nginx"] });
  });

  it("shows help and the list before anything is checked", () => {
    expect(parse("--help", "--scenario", "nonsense")).toEqual({ kind: "help" });
    expect(parse("-h")).toEqual({ kind: "help" });
    expect(parse("--list")).toEqual({ kind: "list" });
  });

  it.each([
    [["--scenario", "plain-2k"], 'no scenario "plain-2k"; known are: plain-1k, post-64k'],
    [["--scenario", ""], "no scenario is named"],
    [["--peers", "apache"], 'no peer "apache"; known are: nginx, fast-proxy'],
    [["--runs", "0"], '--runs takes a whole number from 1 to 1000, not "0"'],
    [["--runs", "2.5"], 'not "2.5"'],
    [["--runs", "1e2"], 'not "1e2"'],
    [["--seconds", "601"], '--seconds takes a whole number from 1 to 600, not "601"'],
    [["--seconds", ""], 'not ""'],
    [["--json"], "--json"],
    [["--results", "--cpu-prof"], "no results"],
    [["--results", "--quick"], "no results"],
    [["--fast"], "--fast"],
    [["plain-1k"], "plain-1k"],
  ])("refuses %j", (words, message) => {
    expect(() => parse(...words)).toThrow(UsageError);
    expect(() => parse(...words)).toThrow(message);
  });
});
