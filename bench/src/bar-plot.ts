import type { ScenarioResult } from "./results.ts";
import { isOwn } from "./table.ts";

const width = 760;
const labelWidth = 150;
const valueWidth = 70;
const barHeight = 16;
const barGap = 4;
const headingHeight = 34;
const ownColour = "#c2410c";
const peerColour = "#94a3b8";

/**
 * The CPU time for each request as bars: a panel for each scenario that has that figure, each panel with a
 * scale of its own. Shorter is better.
 */
export function barPlot(results: readonly ScenarioResult[]): string {
  let top = 10;
  const panels: string[] = [];
  for (const result of results) {
    const bars = result.rows.flatMap((row) =>
      row.cpuMicrosPerRequest === null ? [] : [{ label: row.peer, value: row.cpuMicrosPerRequest }],
    );
    if (bars.length === 0) continue;
    panels.push(panel(result.scenario, bars, top));
    top += headingHeight + bars.length * (barHeight + barGap) + 10;
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${top}" viewBox="0 0 ${width} ${top}"`,
    '  font-family="system-ui, sans-serif" font-size="12" fill="#1e293b">',
    "<title>CPU time of the proxy for each request, in microseconds; shorter is better</title>",
    `<rect width="${width}" height="${top}" fill="#ffffff"/>`,
    ...panels,
    "</svg>",
    "",
  ].join("\n");
}

function panel(name: string, bars: readonly { readonly label: string; readonly value: number }[], top: number): string {
  const longest = Math.max(...bars.map((bar) => bar.value), Number.MIN_VALUE);
  const room = width - labelWidth - valueWidth;
  const lines = bars.map(({ label, value }, index) => {
    const y = top + headingHeight + index * (barHeight + barGap);
    const length = ((value / longest) * room).toFixed(1);
    const end = (labelWidth + (value / longest) * room + 6).toFixed(1);
    const textY = y + barHeight - 4;
    return [
      `<text x="${labelWidth - 8}" y="${textY}" text-anchor="end">${escaped(label)}</text>`,
      `<rect x="${labelWidth}" y="${y}" width="${length}" height="${barHeight}" fill="${isOwn(label) ? ownColour : peerColour}"/>`,
      `<text x="${end}" y="${textY}">${value.toFixed(1)}</text>`,
    ].join("");
  });
  const heading = `<text x="10" y="${top + 20}" font-weight="bold">${escaped(name)}: CPU µs for each request</text>`;
  return [heading, ...lines].join("\n");
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
