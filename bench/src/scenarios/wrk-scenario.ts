import { probe } from "../probe.ts";
import type { ProxyUnderTest } from "../proxy-under-test.ts";
import type { Sample } from "../sample.ts";
import type { Scenario } from "../scenario.ts";
import { runWrk, type WrkReport } from "../wrk.ts";

/** Part of the bytes by which a run may miss what its requests should add up to, at least. */
const tolerance = 0.01;

/** The requests that a scenario sends with wrk. */
export interface WrkScenarioOptions {
  readonly name: string;
  readonly summary: string;
  readonly path: string;
  /** Length of the response's body. */
  readonly expectedBytes: number;
  /** Connections at a time. Default: 64. */
  readonly connections?: number;
  /** Length of the request's body; 0, the default, is a GET. */
  readonly uploadBytes?: number;
  /** Set-up of the proxies. Default: `http`. */
  readonly mode?: "http" | "tcp";
  /** The numbers of workers it is measured with. Default: 1 alone. */
  readonly workers?: readonly number[];
  /** Further request fields. */
  readonly fields?: Readonly<Record<string, string>>;
}

/** A scenario of plain HTTP/1.1 requests, sent by wrk. */
export function wrkScenario(options: WrkScenarioOptions): Scenario {
  return {
    name: options.name,
    summary: options.summary,
    mode: options.mode ?? "http",
    ...(options.workers === undefined ? {} : { workers: options.workers }),
    origin: "http1",
    figure: "cpuMicrosPerRequest",
    measure: (proxy) => measure(options, proxy),
  };
}

async function measure(options: WrkScenarioOptions, proxy: ProxyUnderTest): Promise<Sample> {
  const { path, expectedBytes, connections = 64, uploadBytes = 0, fields = {} } = options;
  const method = uploadBytes > 0 ? "POST" : "GET";
  const load = { port: proxy.port, path, connections, method, uploadBytes, expectedBytes, fields } as const;

  const response = await probe(proxy.port, requestText(proxy.port, options));
  if (response.status !== 200 || response.bodyBytes !== expectedBytes) {
    throw new Error(`answered ${response.status} with ${response.bodyBytes} bytes in place of ${expectedBytes}`);
  }

  const warmUp = await runWrk({ ...load, seconds: proxy.warmUpSeconds, check: true }, proxy.signal);
  const window = proxy.openWindow();
  const report = await runWrk({ ...load, seconds: proxy.seconds, check: false }, proxy.signal);
  const figures = window.close();

  return {
    cpuMicrosPerRequest: figures.cpuMicros / report.requests,
    requestsPerSecond: (report.requests * 1_000_000) / report.durationMicros,
    p50Ms: report.p50Micros / 1_000,
    p99Ms: report.p99Micros / 1_000,
    errors: errorsIn(warmUp) + errorsIn(report) + missingResponses(report, response.wholeBytes, connections),
    rssBytes: proxy.rssBytes(),
    upstreamConnections: null,
    proxyUtilization: figures.proxyUtilization,
    loadUtilization: figures.loadUtilization,
  };
}

/** The request that wrk sends, for the probe. */
function requestText(port: number, { path, uploadBytes = 0, fields = {} }: WrkScenarioOptions): string {
  const lines = [
    `${uploadBytes > 0 ? "POST" : "GET"} ${path} HTTP/1.1`,
    `Host: 127.0.0.1:${port}`,
    ...Object.entries(fields).map(([name, value]) => `${name}: ${value}`),
    ...(uploadBytes > 0 ? [`Content-Length: ${uploadBytes}`] : []),
  ];
  return `${lines.join("\r\n")}\r\n\r\n${"u".repeat(uploadBytes)}`;
}

function errorsIn(report: WrkReport): number {
  const { connectErrors, readErrors, writeErrors, statusErrors, timeouts, wrongResponses } = report;
  return connectErrors + readErrors + writeErrors + statusErrors + timeouts + wrongResponses;
}

/**
 * How many responses' worth of bytes came too few or too many. wrk counts a response as soon as it is
 * framed, whatever its length; the bytes of the whole run show whether they were the expected ones.
 * What is under way when the run ends is not counted as a request, so one response for each connection
 * may be too many.
 */
export function missingResponses(
  report: Pick<WrkReport, "bytes" | "requests">,
  responseBytes: number,
  connections: number,
): number {
  const surplus = report.bytes / responseBytes - report.requests;
  const allowed = Math.max(connections, report.requests * tolerance);
  return Math.abs(surplus) > allowed ? Math.ceil(Math.abs(surplus)) : 0;
}
