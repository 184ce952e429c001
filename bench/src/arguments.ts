import { parseArgs } from "node:util";

/** What the command line asks for. */
export type Request = { readonly kind: "help" } | { readonly kind: "list" } | ({ readonly kind: "run" } & RunRequest);

/** A benchmark to run. */
export interface RunRequest {
  /** Names of scenarios, in the order asked for. */
  readonly scenarios: readonly string[];
  /** Names of peers, without our own. */
  readonly peers: readonly string[];
  readonly runs: number;
  /** Length of each measured window. */
  readonly seconds: number;
  /** Length of the load before it. */
  readonly warmUpSeconds: number;
  /** Whether scenarios that send a fixed number of requests send a tenth of it. */
  readonly quick: boolean;
  /** File to write the rows to. */
  readonly json: string | undefined;
  /** Whether to write tables and plots into `bench/results/`. */
  readonly results: boolean;
  /** Whether Cirque writes CPU profiles. */
  readonly cpuProfile: boolean;
}

/** The names that can be asked for. */
export interface KnownNames {
  readonly scenarios: readonly string[];
  readonly peers: readonly string[];
  readonly own: string;
}

/** A command line that cannot be understood; the message tells why. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

const longestRunSeconds = 600;
const mostRuns = 1_000;

/** The text of `--help`. */
export const help = `Usage: npm run bench -- [options]

Measures Cirque beside other proxies: the CPU time of the proxy for each request, from the
operating system's own accounting, with throughput and latency.

  --scenario NAMES  scenarios, separated by commas, or "all"    (default: plain-1k)
  --peers NAMES     proxies to compare with, or "all" or "none" (default: all)
  --runs N          runs of each; the medians count             (default: 5)
  --seconds N       length of the measured part of a run        (default: 5)
  --quick           one run of one second each: shows that it works, and is no measurement
  --json FILE       write the figures to FILE, and print no table
  --results         write tables and a plot into bench/results/
  --cpu-prof        let Cirque write a CPU profile into bench/results/profiles/
  --list            list the scenarios and peers
  --help            show this text

nginx, HAProxy and wrk are installed by bench/install-peers.sh; see bench/README.md.`;

/**
 * Reads the command line.
 *
 * @throws UsageError when an option, a name or a number is not understood
 */
export function parseArguments(words: readonly string[], known: KnownNames): Request {
  const values = parseWords(words);
  if (values.help) return { kind: "help" };
  if (values.list) return { kind: "list" };
  const quick = values.quick ?? false;
  if (quick && values.results) throw new UsageError("--quick gives no results to publish: leave out one of the two");
  if (values["cpu-prof"] && values.results) {
    throw new UsageError("--cpu-prof slows Cirque down, so its figures are no results: leave out one of the two");
  }
  return {
    kind: "run",
    scenarios: names(values.scenario ?? "plain-1k", "scenario", known.scenarios),
    peers:
      values.peers === "none"
        ? []
        : names(values.peers ?? "all", "peer", [...known.peers, known.own], known.peers).filter(
            (name) => name !== known.own,
          ),
    runs: numberBetween(values.runs ?? (quick ? "1" : "5"), "--runs", 1, mostRuns),
    seconds: numberBetween(values.seconds ?? (quick ? "1" : "5"), "--seconds", 1, longestRunSeconds),
    warmUpSeconds: quick ? 1 : 3,
    quick,
    json: values.json,
    results: values.results ?? false,
    cpuProfile: values["cpu-prof"] ?? false,
  };
}

function parseWords(words: readonly string[]) {
  try {
    return parseArgs({
      args: [...words],
      options: {
        scenario: { type: "string" },
        peers: { type: "string" },
        runs: { type: "string" },
        seconds: { type: "string" },
        quick: { type: "boolean" },
        json: { type: "string" },
        results: { type: "boolean" },
        "cpu-prof": { type: "boolean" },
        list: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

/** The names in a list separated by commas, each once. */
function names(list: string, what: string, allowed: readonly string[], all = allowed): readonly string[] {
  const asked = new Set(
    list
      .split(",")
      .map((name) => name.trim())
      .filter((name) => name !== ""),
  );
  if (asked.size === 0) throw new UsageError(`no ${what} is named; known are: ${allowed.join(", ")}`);
  if (asked.delete("all")) for (const name of all) asked.add(name);
  for (const name of asked) {
    if (!allowed.includes(name)) {
      throw new UsageError(`there is no ${what} "${name}"; known are: ${allowed.join(", ")}, all`);
    }
  }
  return [...asked];
}

/**
 * The number that is the value of an option.
 *
 * @throws UsageError when it is none, or out of range
 */
export function numberBetween(text: string, option: string, least: number, most: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < least || value > most) {
    throw new UsageError(`${option} takes a whole number from ${least} to ${most}, not "${text}"`);
  }
  return value;
}
