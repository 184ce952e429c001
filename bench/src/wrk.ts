import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const script = fileURLToPath(new URL("../lua/load.lua", import.meta.url));
const marker = "cirque-bench ";
const run = promisify(execFile);

/** What one run of wrk sends, and for how long. */
export interface WrkLoad {
  readonly port: number;
  readonly path: string;
  /** Connections, each with one request at a time. */
  readonly connections: number;
  readonly seconds: number;
  /** Whether to look at each response; dear, so for the warm-up. */
  readonly check: boolean;
  readonly method: "GET" | "POST";
  /** Length of the request's body. */
  readonly uploadBytes: number;
  /** Length of the response's body. */
  readonly expectedBytes: number;
  /** Request fields beside Host and Content-Length. */
  readonly fields: Readonly<Record<string, string>>;
}

/** What wrk measured. */
export interface WrkReport {
  readonly requests: number;
  readonly durationMicros: number;
  /** Bytes of the responses, heads included. */
  readonly bytes: number;
  readonly connectErrors: number;
  readonly readErrors: number;
  readonly writeErrors: number;
  /** Responses with a status of 400 or more. */
  readonly statusErrors: number;
  readonly timeouts: number;
  /** Responses with another status or body length than expected; counted only where `check` is set. */
  readonly wrongResponses: number;
  readonly p50Micros: number;
  readonly p99Micros: number;
}

/**
 * Runs wrk with one thread.
 *
 * @param signal ends the run early
 * @throws Error when wrk is missing, fails, or is ended early
 */
export async function runWrk(load: WrkLoad, signal: AbortSignal): Promise<WrkReport> {
  const words = [
    ...["--threads", "1", "--connections", String(load.connections), "--timeout", "10s"],
    ...["--duration", `${load.seconds}s`, "--script", script, `http://127.0.0.1:${load.port}${load.path}`, "--"],
    ...[load.check ? "check" : "measure", load.method, String(load.uploadBytes), String(load.expectedBytes)],
    ...Object.entries(load.fields).flat(),
  ];
  try {
    const { stdout } = await run("wrk", words, { timeout: (load.seconds + 30) * 1_000, signal });
    return parseWrk(stdout);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") {
      throw new Error("wrk is missing: run bench/install-peers.sh", { cause: error });
    }
    throw error;
  }
}

/**
 * The report in wrk's output: the one line of JSON that `lua/load.lua` prints.
 *
 * @throws SyntaxError when there is no such line, or a figure is missing from it
 */
export function parseWrk(output: string): WrkReport {
  const line = output.split("\n").find((text) => text.startsWith(marker));
  if (line === undefined) throw new SyntaxError(`wrk printed no report: ${output.slice(-500)}`);
  const report: unknown = JSON.parse(line.slice(marker.length));
  const figure = (name: string): number => {
    const value: unknown = typeof report === "object" && report !== null ? Reflect.get(report, name) : undefined;
    if (typeof value !== "number") throw new SyntaxError(`wrk's report lacks ${name}: ${line}`);
    return value;
  };
  return {
    requests: figure("requests"),
    durationMicros: figure("durationMicros"),
    bytes: figure("bytes"),
    connectErrors: figure("connectErrors"),
    readErrors: figure("readErrors"),
    writeErrors: figure("writeErrors"),
    statusErrors: figure("statusErrors"),
    timeouts: figure("timeouts"),
    wrongResponses: figure("wrongResponses"),
    p50Micros: figure("p50Micros"),
    p99Micros: figure("p99Micros"),
  };
}
