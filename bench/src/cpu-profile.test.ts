import { describe, expect, it } from "vitest";
import { summarizeProfile } from "./cpu-profile.ts";

const node = (id: number, functionName: string, url = "", lineNumber = -1) => ({
  id,
  callFrame: { functionName, url, lineNumber },
});
const proxyFile = "file:///home/me/cirque/packages/proxy/dist/index.js";

describe("summarizeProfile", () => {
  const summary = summarizeProfile({
    nodes: [
      node(1, "(idle)"),
      node(2, "parse", proxyFile, 9),
      node(3, "write", "node:net", 99),
      node(4, "parse", proxyFile, 9),
      node(5, "writev"),
      node(6, "", "file:///home/me/cirque/node_modules/pino/pino.js", 0),
      node(7, "(garbage collector)"),
    ],
    samples: [1, 2, 3, 4, 5, 6, 7, 3],
    timeDeltas: [1_000, 200, 50, 300, 70, 10, 20, -5],
  });

  it("adds up a function's time from all the places it is called from", () => {
    expect(summary.functions.find((entry) => entry.name === "parse")).toEqual({
      name: "parse",
      place: "proxy/dist/index.js:10",
      group: "own code",
      micros: 500,
    });
  });

  it("tells own code, Node, native calls and dependencies apart", () => {
    expect(summary.groups).toEqual([
      { group: "(idle)", micros: 1_000 },
      { group: "own code", micros: 500 },
      { group: "native calls", micros: 70 },
      { group: "node internals", micros: 50 },
      { group: "(garbage collector)", micros: 20 },
      { group: "dependencies", micros: 10 },
    ]);
  });

  it("leaves the idle time out of the active, and takes no time back", () => {
    expect(summary.activeMicros).toBe(650);
  });

  it("names what has no name", () => {
    expect(summary.functions.find((entry) => entry.group === "dependencies")).toMatchObject({
      name: "(anonymous)",
      place: "node_modules/pino/pino.js:1",
    });
  });
});
