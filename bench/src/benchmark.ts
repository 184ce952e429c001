import type { Peer } from "./peer.ts";
import { type MeasurementOptions, measureOnce } from "./proxy-under-test.ts";
import { type Row, type Sample, summarize } from "./sample.ts";
import type { Scenario } from "./scenario.ts";
import { formatBytes } from "./table.ts";

/** A peer that can run here. */
export interface PreparedPeer {
  readonly peer: Peer;
  readonly version: string;
}

/**
 * Runs one scenario with each peer: the first run of all of them, then the second of all, and so on, so that
 * a drift of the machine meets all alike.
 *
 * A peer that fails in a run is reported and left out from then on.
 *
 * @throws the reason of `options.signal` when that ends it
 * @param report takes a line for the person who waits
 */
export async function runScenario(
  scenario: Scenario,
  prepared: readonly PreparedPeer[],
  options: MeasurementOptions & { readonly runs: number },
  report: (line: string) => void,
): Promise<readonly Row[]> {
  const samples = new Map<PreparedPeer, Sample[]>();
  for (const candidate of prepared) {
    const reason = unableTo(scenario, candidate.peer);
    if (reason) report(`${scenario.name}: ${candidate.peer.name} is left out: ${reason}`);
    else samples.set(candidate, []);
  }
  for (let run = 1; run <= options.runs; run++) {
    for (const [candidate, measured] of samples) {
      const label = `${scenario.name} ${run}/${options.runs} ${candidate.peer.name}`;
      try {
        const sample = await measureOnce(scenario, candidate.peer, options);
        measured.push(sample);
        report(`${label}: ${describe(sample)}`);
      } catch (error) {
        options.signal.throwIfAborted();
        samples.delete(candidate);
        report(`${label} is left out: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  }
  return [...samples].map(([{ peer, version }, measured]) =>
    summarize({ scenario: scenario.name, peer: peer.name, version, workers: peer.workers }, measured),
  );
}

function unableTo(scenario: Scenario, peer: Peer): string | undefined {
  if (!peer.modes.includes(scenario.mode)) return `it is not set up for ${scenario.mode}`;
  const { workers = [1] } = scenario;
  if (!workers.includes(peer.workers)) return `it is not about ${peer.workers} workers`;
  const lacking = (scenario.needs ?? []).filter((ability) => !peer.abilities.includes(ability));
  return lacking.length > 0 ? `it has no ${lacking.join(", ")}` : undefined;
}

function describe(sample: Sample): string {
  const percent = (share: number | null): string => (share === null ? "-" : `${Math.round(share * 100)} %`);
  return [
    sample.cpuMicrosPerRequest === null ? "" : `${sample.cpuMicrosPerRequest.toFixed(1)} µs/request, `,
    sample.requestsPerSecond === null ? "" : `${Math.round(sample.requestsPerSecond)} requests/s, `,
    sample.upstreamConnections === null
      ? ""
      : `${sample.upstreamConnections.toFixed(1)} upstream connections for 100,000 requests, `,
    `${formatBytes(sample.rssBytes)}, ${sample.errors} errors`,
    sample.proxyUtilization === null
      ? ""
      : `; proxy on its core ${percent(sample.proxyUtilization)}, load core busy ${percent(sample.loadUtilization)}`,
  ].join("");
}
