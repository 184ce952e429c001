import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { barPlot } from "./bar-plot.ts";
import type { Machine } from "./machine.ts";
import { resultsPage } from "./results-page.ts";
import type { Row } from "./sample.ts";
import type { Figure } from "./scenario.ts";

const folder = new URL("../results/", import.meta.url);
const plotName = "cpu-per-request.svg";

/** What `bench/results/SCENARIO.json` holds. */
export interface ScenarioResult {
  readonly scenario: string;
  readonly summary: string;
  readonly figure: Figure;
  /** Day of the measurement, as in `2026-01-31`. */
  readonly date: string;
  readonly machine: Machine;
  /** Length of the measured part of each run. */
  readonly seconds: number;
  readonly rows: readonly Row[];
}

/**
 * Writes the results of these scenarios, and makes the page and the plot anew from the results of all
 * scenarios that the folder holds.
 *
 * @param order names of scenarios, in the order of the page
 */
export async function writeResults(results: readonly ScenarioResult[], order: readonly string[]): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const result of results) {
    await writeFile(new URL(`${result.scenario}.json`, folder), `${JSON.stringify(result, undefined, 2)}\n`);
  }
  const all = await readResults(order);
  await writeFile(new URL("README.md", folder), resultsPage(all, plotName));
  await writeFile(new URL(plotName, folder), barPlot(all));
}

async function readResults(order: readonly string[]): Promise<readonly ScenarioResult[]> {
  const present = new Set(await readdir(folder));
  const names = order.map((name) => `${name}.json`).filter((name) => present.has(name));
  return Promise.all(
    names.map(async (name): Promise<ScenarioResult> => JSON.parse(await readFile(new URL(name, folder), "utf8"))),
  );
}
