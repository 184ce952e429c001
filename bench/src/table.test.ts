import { describe, expect, it } from "vitest";
import { formatBytes, formatTable, ratio } from "./table.ts";

describe("formatTable", () => {
  const row = {
    scenario: "idle",
    version: "1",
    workers: 1,
    runs: 1,
    cpuMicrosPerRequest: null,
    requestsPerSecond: null,
    p50Ms: null,
    p99Ms: null,
    errors: 0,
    rssBytes: 0,
    upstreamConnections: null,
  };

  it("compares by the figure of the scenario, and shows a dash for what is not there", () => {
    const table = formatTable(
      [
        { ...row, peer: "cirque", rssBytes: 4096 },
        { ...row, peer: "nginx", rssBytes: 1000 },
        { ...row, peer: "haproxy", rssBytes: 0 },
      ],
      "rssBytes",
    );
    expect(table.split("\n").map((line) => line.split(/ {2,}/))).toEqual([
      ["peer", "version", "CPU µs/request", "requests/s", "p50 ms", "p99 ms", "errors", "RSS", "cirque/peer"],
      ["cirque", "1", "-", "-", "-", "-", "0", "4.0 KiB"],
      ["nginx", "1", "-", "-", "-", "-", "0", "1000 B", "4.10"],
      ["haproxy", "1", "-", "-", "-", "-", "0", "0 B", "-"],
    ]);
  });

  it("compares with Cirque of as many workers, and Cirque of more threads with that of one", () => {
    const table = formatTable(
      [
        { ...row, peer: "cirque", cpuMicrosPerRequest: 15 },
        { ...row, peer: "nginx", cpuMicrosPerRequest: 10 },
        { ...row, peer: "cirque-2", workers: 2, cpuMicrosPerRequest: 20 },
        { ...row, peer: "nginx-2", workers: 2, cpuMicrosPerRequest: 10 },
        { ...row, peer: "other-3", workers: 3, cpuMicrosPerRequest: 10 },
      ],
      "cpuMicrosPerRequest",
    );
    expect(table.split("\n").map((line) => line.split(/ {2,}/)[8])).toEqual([
      "cirque/peer",
      undefined,
      "1.50",
      "0.75",
      "2.00",
      "1.50",
    ]);
  });

  it("shows connections to the origin where a scenario counts them", () => {
    const table = formatTable([{ ...row, peer: "cirque", upstreamConnections: 64.25 }], "upstreamConnections");
    expect(table).toContain("connections/100k");
    expect(table).toContain("64.3");
    expect(formatTable([{ ...row, peer: "cirque" }], "rssBytes")).not.toContain("connections/100k");
  });
});

describe("ratio", () => {
  it("is nothing where there is nothing to compare", () => {
    expect(ratio(15, 30)).toBe(0.5);
    expect(ratio(null, 30)).toBeNull();
    expect(ratio(15, null)).toBeNull();
    expect(ratio(15, 0)).toBeNull();
  });
});

describe("formatBytes", () => {
  it("picks the unit", () => {
    expect([0, 1023, 1024, 1024 ** 2, 1024 ** 3, -2048].map(formatBytes)).toEqual([
      "0 B",
      "1023 B",
      "1.0 KiB",
      "1.0 MiB",
      "1.0 GiB",
      "-2.0 KiB",
    ]);
  });
});
