import { describe, expect, it } from "vitest";
import { barPlot } from "./bar-plot.ts";
import type { ScenarioResult } from "./results.ts";
import { resultsPage } from "./results-page.ts";

const row = {
  scenario: "plain-1k",
  version: "1.0",
  workers: 1,
  runs: 5,
  requestsPerSecond: 1_000,
  p50Ms: 1,
  p99Ms: 2,
  errors: 0,
  rssBytes: 1_048_576,
  upstreamConnections: null,
};
const result: ScenarioResult = {
  scenario: "plain-1k",
  summary: "GET",
  figure: "cpuMicrosPerRequest",
  date: "2026-01-31",
  machine: { cpu: "A CPU", cores: 2, memoryBytes: 2 ** 34, kernel: "Linux 6.1", node: "v26.0.0" },
  seconds: 5,
  rows: [
    { ...row, peer: "cirque", cpuMicrosPerRequest: 15 },
    { ...row, peer: "<nginx>", cpuMicrosPerRequest: 30 },
  ],
};

describe("resultsPage", () => {
  const page = resultsPage([result], "plot.svg");

  it("has a row for each peer, with our part of its figure", () => {
    expect(page).toContain("| cirque | 1.0 | 15.0 | 1000 | 1.00 | 2.00 | 0 | 1.0 MiB |  |");
    expect(page).toContain("| <nginx> | 1.0 | 30.0 | 1000 | 1.00 | 2.00 | 0 | 1.0 MiB | 0.50 |");
  });

  it("tells how and where it was measured, and shows the plot", () => {
    expect(page).toContain("5 runs of 5 s, 2026-01-31: A CPU, 2 cores, 16.0 GiB of memory, Linux 6.1, Node v26.0.0.");
    expect(page).toContain("(plot.svg)");
  });
});

describe("barPlot", () => {
  const plot = barPlot([result]);
  const lengths = [...plot.matchAll(/<rect x="150" y="\d+" width="([\d.]+)"/g)].map((match) => Number(match[1]));

  it("draws bars in proportion", () => {
    expect(lengths).toHaveLength(2);
    expect(lengths[0]).toBe((lengths[1] ?? 0) / 2);
  });

  it("escapes names", () => {
    expect(plot).toContain("&lt;nginx&gt;");
    expect(plot).not.toContain("<nginx>");
  });

  it("leaves out scenarios without that figure", () => {
    const memory = { ...result, rows: result.rows.map((each) => ({ ...each, cpuMicrosPerRequest: null })) };
    expect(barPlot([memory])).not.toContain("plain-1k");
  });
});
