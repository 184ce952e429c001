import type { Row } from "./sample.ts";
import type { Figure } from "./scenario.ts";

/** The cells of the table of one scenario, the headings first. */
export function tableCells(rows: readonly Row[], figure: Figure): readonly (readonly string[])[] {
  const counts = figure === "upstreamConnections";
  return [
    [
      ...["peer", "version", "CPU µs/request", "requests/s", "p50 ms", "p99 ms", "errors", "RSS"],
      ...(counts ? ["connections/100k"] : []),
      "cirque/peer",
    ],
    ...rows.map((row) => {
      const own = ownRowFor(row, rows);
      return [
        row.peer,
        row.version,
        decimal(row.cpuMicrosPerRequest, 1),
        decimal(row.requestsPerSecond, 0),
        decimal(row.p50Ms, 2),
        decimal(row.p99Ms, 2),
        String(row.errors),
        formatBytes(row.rssBytes),
        ...(counts ? [decimal(row.upstreamConnections, 1)] : []),
        own === undefined || own === row ? "" : decimal(ratio(own[figure], row[figure]), 2),
      ];
    }),
  ];
}

/** Whether a row is Cirque's own, with however many threads. */
export function isOwn(peer: string): boolean {
  return peer === "cirque" || peer.startsWith("cirque-");
}

/**
 * Our row to compare a row with: that with as many workers if there is one, else that with one. Cirque with more threads
 * is compared with itself with one.
 */
function ownRowFor(row: Row, rows: readonly Row[]): Row | undefined {
  const own = rows.filter(({ peer }) => isOwn(peer));
  const alike = isOwn(row.peer) ? undefined : own.find(({ workers }) => workers === row.workers);
  return alike ?? own.find(({ peer }) => peer === "cirque");
}

/** The table of one scenario as text, in columns. */
export function formatTable(rows: readonly Row[], figure: Figure): string {
  const cells = tableCells(rows, figure);
  const widths = (cells[0] ?? []).map((_, column) => Math.max(...cells.map((line) => line[column]?.length ?? 0)));
  return cells
    .map((line) =>
      line
        .map((cell, column) => (column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** Our figure as a part of the peer's; null where one is missing or nothing can be divided by it. */
export function ratio(own: number | null, peer: number | null): number | null {
  return own === null || peer === null || peer <= 0 ? null : own / peer;
}

function decimal(value: number | null, digits: number): string {
  return value === null ? "-" : value.toFixed(digits);
}

/** A number of bytes in the unit that fits. */
export function formatBytes(bytes: number): string {
  const size = Math.abs(bytes);
  if (size < 1024) return `${Math.round(bytes)} B`;
  if (size < 1024 ** 2) return `${(bytes / 1024).toFixed(1)} KiB`;
  return size < 1024 ** 3 ? `${(bytes / 1024 ** 2).toFixed(1)} MiB` : `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
}
