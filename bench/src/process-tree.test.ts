import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { cpuMicrosBetween, parseRssBytes, parseSchedstat, parseStat, readCpu, readRssBytes } from "./process-tree.ts";

describe("parseSchedstat", () => {
  it("takes the time on the CPU", () => {
    expect(parseSchedstat("61893275 3441412 137\n")).toBe(61_893_275);
  });

  it.each(["", "61893275", "a b c", "1 2 3 4"])("refuses %j", (text) => {
    expect(() => parseSchedstat(text)).toThrow(SyntaxError);
  });
});

describe("parseStat", () => {
  const rest = "S 41 4242 4242 0 -1 4194560 2471 99 0 0 120 34 5 6 20 0 11 0 9001 1 2 3";

  it("adds the ticks of the process and of its ended children", () => {
    expect(parseStat(`4242 (node) ${rest}`)).toEqual({ parentPid: 41, ticks: 120 + 34 + 5 + 6 });
  });

  it("is not misled by a program's name", () => {
    expect(parseStat(`4242 (a) S 1 (b c) ${rest}\n`)).toEqual({ parentPid: 41, ticks: 165 });
  });

  it.each(["", "4242 (node) S 41", `4242 (node) ${rest.replace("120", "x")}`])("refuses %j", (text) => {
    expect(() => parseStat(text)).toThrow(SyntaxError);
  });
});

describe("parseRssBytes", () => {
  it("takes the resident memory", () => {
    expect(parseRssBytes("VmHWM:\t   99 kB\nVmRSS:\t   2048 kB\nRssAnon:\t 1 kB\n")).toBe(2 * 1024 ** 2);
  });

  it("is 0 for an ended process, which has none", () => {
    expect(parseRssBytes("Name:\tsh\nState:\tZ (zombie)\n")).toBe(0);
  });
});

describe("cpuMicrosBetween", () => {
  const reading = (threadNanoseconds: number, ticks: number) => ({ threadNanoseconds, ticks, processes: 1 });

  it("prefers the nanoseconds of the threads", () => {
    expect(cpuMicrosBetween(reading(1_000_000, 10), reading(4_500_000, 12))).toBe(3_500);
  });

  it("takes the ticks when a thread or child has taken its time with it", () => {
    expect(cpuMicrosBetween(reading(900_000_000, 10), reading(100_000_000, 110))).toBe(1_000_000);
  });
});

describe.runIf(process.platform === "linux")("a real process tree", () => {
  it("counts the time of children, of those that live and of those that ended", async () => {
    const burn = "let end = process.cpuUsage().user + 300_000; while (process.cpuUsage().user < end);";
    const parent = `
      const { spawnSync } = require("node:child_process");
      process.stdin.once("data", () => {
        spawnSync(process.execPath, ["-e", ${JSON.stringify(burn)}]);
        process.stdout.write("burnt");
      });
      process.stdout.write("ready");`;
    const child = spawn(process.execPath, ["-e", parent], { stdio: ["pipe", "pipe", "inherit"] });
    try {
      await once(child.stdout, "data");
      const { pid } = child;
      if (pid === undefined) throw new Error("the child has no pid");
      const start = readCpu(pid);
      child.stdin.write("go");
      await once(child.stdout, "data");
      expect(cpuMicrosBetween(start, readCpu(pid))).toBeGreaterThanOrEqual(300_000);
      expect(readRssBytes(pid)).toBeGreaterThan(1024 ** 2);
    } finally {
      child.kill();
    }
  });

  it("is nothing for a process that has ended", async () => {
    const child = spawn("true");
    const { pid } = child;
    if (pid === undefined) throw new Error("the child has no pid");
    await once(child, "exit");
    expect(readCpu(pid)).toMatchObject({ threadNanoseconds: 0, ticks: 0 });
    expect(readRssBytes(pid)).toBe(0);
  });
});
