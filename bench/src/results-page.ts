import type { ScenarioResult } from "./results.ts";
import { formatBytes, tableCells } from "./table.ts";

/** The Markdown page with a table for each scenario. */
export function resultsPage(results: readonly ScenarioResult[], plotName: string): string {
  return [
    "# Results",
    "",
    "Written by `npm run bench -- --results`; [how to read them](../README.md). The figures are medians of the runs;",
    "errors are their sum. `cirque/peer` is Cirque's figure as a part of the peer's: below 1, Cirque is cheaper.",
    "",
    `![CPU time for each request](${plotName})`,
    ...results.map(section),
    "",
  ].join("\n");
}

function section(result: ScenarioResult): string {
  const { machine, rows } = result;
  const [headings = [], ...lines] = tableCells(rows, result.figure);
  const alignments = headings.map((_, column) => (column < 2 ? "---" : "---:"));
  return [
    "",
    `## ${result.scenario}`,
    "",
    `${result.summary}.`,
    "",
    ...[headings, alignments, ...lines].map((cells) => `| ${cells.join(" | ")} |`),
    "",
    `${rows[0]?.runs ?? 0} runs of ${result.seconds} s, ${result.date}: ${machine.cpu}, ${machine.cores} cores, ` +
      `${formatBytes(machine.memoryBytes)} of memory, ${machine.kernel}, Node ${machine.node}.`,
  ].join("\n");
}
