import { median, medianOrNull } from "./statistics.ts";

/** What one run of one scenario with one proxy showed. A figure that the scenario does not have is null. */
export interface Sample {
  /** CPU time of the proxy for each request, in microseconds. */
  readonly cpuMicrosPerRequest: number | null;
  readonly requestsPerSecond: number | null;
  /** Latency that half of the requests stayed below, in milliseconds. */
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  /** Requests that failed or were answered wrongly. */
  readonly errors: number;
  /** Resident memory; the scenario says of what. */
  readonly rssBytes: number;
  /** Connections opened to the origin for 100,000 requests. */
  readonly upstreamConnections: number | null;
  /** Share of the window that the proxy spent on its core, from 0 to 1. */
  readonly proxyUtilization: number | null;
  /** Share of the window in which the core of load and origin was busy, from 0 to 1. */
  readonly loadUtilization: number | null;
}

/** The outcome of all runs of one scenario with one proxy: one element of what `--json` writes. */
export interface Row {
  readonly scenario: string;
  readonly peer: string;
  readonly version: string;
  /** Threads or processes of the proxy that served. */
  readonly workers: number;
  readonly runs: number;
  readonly cpuMicrosPerRequest: number | null;
  readonly requestsPerSecond: number | null;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  /** The sum over the runs: a median would hide the one run that failed. */
  readonly errors: number;
  readonly rssBytes: number;
  readonly upstreamConnections: number | null;
}

/** The sample of a scenario that is about memory alone. */
export function memorySample(rssBytes: number, errors: number): Sample {
  return {
    cpuMicrosPerRequest: null,
    requestsPerSecond: null,
    p50Ms: null,
    p99Ms: null,
    errors,
    rssBytes,
    upstreamConnections: null,
    proxyUtilization: null,
    loadUtilization: null,
  };
}

/** The medians of the samples. */
export function summarize(of: Pick<Row, "scenario" | "peer" | "version" | "workers">, samples: readonly Sample[]): Row {
  const middle = (pick: (sample: Sample) => number | null, digits: number): number | null => {
    const value = medianOrNull(samples.map(pick));
    return value === null ? null : Number(value.toFixed(digits));
  };
  return {
    scenario: of.scenario,
    peer: of.peer,
    version: of.version,
    workers: of.workers,
    runs: samples.length,
    cpuMicrosPerRequest: middle((sample) => sample.cpuMicrosPerRequest, 3),
    requestsPerSecond: middle((sample) => sample.requestsPerSecond, 1),
    p50Ms: middle((sample) => sample.p50Ms, 3),
    p99Ms: middle((sample) => sample.p99Ms, 3),
    errors: samples.reduce((sum, sample) => sum + sample.errors, 0),
    rssBytes: Math.round(median(samples.map((sample) => sample.rssBytes))),
    upstreamConnections: middle((sample) => sample.upstreamConnections, 1),
  };
}
