import { writeFile } from "node:fs/promises";
import { help, type KnownNames, parseArguments, type RunRequest, UsageError } from "./arguments.ts";
import { type PreparedPeer, runScenario } from "./benchmark.ts";
import { utilizationOver } from "./core-utilization.ts";
import { loadCore, pinThisProcess, proxyCore } from "./cores.ts";
import { thisMachine } from "./machine.ts";
import type { Peer } from "./peer.ts";
import { own, peers } from "./peers/index.ts";
import { type ScenarioResult, writeResults } from "./results.ts";
import type { Scenario } from "./scenario.ts";
import { scenarios } from "./scenarios/index.ts";
import { formatTable } from "./table.ts";

/** A core that does more than this before the benchmark makes its figures doubtful. */
const quietShare = 0.1;

process.exitCode = await main(process.argv.slice(2));

/** The whole program. Returns its exit code: 0, 1 when something could not be measured, 2 for a bad command line. */
async function main(words: readonly string[]): Promise<number> {
  try {
    const request = parseArguments(words, knownNames());
    if (request.kind === "help") console.log(help);
    else if (request.kind === "list") console.log(list());
    else return await run(request);
    return 0;
  } catch (error) {
    console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
    if (!(error instanceof UsageError)) return 1;
    console.error("Run it with --help to see what it takes.");
    return 2;
  }
}

async function run(request: RunRequest): Promise<number> {
  pinThisProcess();
  const interruption = new AbortController();
  const interrupt = (): void => interruption.abort(new Error("interrupted"));
  process.once("SIGINT", interrupt).once("SIGTERM", interrupt);
  const prepared = await prepare([own, ...peers.filter((peer) => request.peers.includes(peer.name))]);
  await warnOfBusyCores();
  const results: ScenarioResult[] = [];
  for (const scenario of chosenScenarios(request)) {
    const rows = await runScenario(scenario, prepared, { ...request, signal: interruption.signal }, progress);
    results.push({
      scenario: scenario.name,
      summary: scenario.summary,
      figure: scenario.figure,
      date: new Date().toISOString().slice(0, 10),
      machine: thisMachine(),
      seconds: request.seconds,
      rows,
    });
    if (request.json === undefined) {
      console.log(`\n${scenario.name}: ${scenario.summary}\n\n${formatTable(rows, scenario.figure)}\n`);
    }
  }
  const rows = results.flatMap((result) => result.rows);
  if (request.json !== undefined) await writeFile(request.json, `${JSON.stringify(rows, undefined, 2)}\n`);
  if (request.results) await writeResults(results, knownNames().scenarios);
  const ownRows = rows.filter((row) => row.peer === own.name);
  return ownRows.length === request.scenarios.length ? 0 : 1;
}

async function warnOfBusyCores(): Promise<void> {
  for (const core of [proxyCore, loadCore]) {
    const busy = await utilizationOver(core, 500);
    if (busy > quietShare) {
      progress(`Core ${core} is busy for ${Math.round(busy * 100)} % of the time before the benchmark: expect noise.`);
    }
  }
}

/** Those of the peers that can run here; the others are named, with what to do about it. */
async function prepare(candidates: readonly Peer[]): Promise<readonly PreparedPeer[]> {
  const prepared: PreparedPeer[] = [];
  for (const peer of candidates) {
    const presence = await peer.prepare();
    if ("missing" in presence) progress(`${peer.name} is left out: ${presence.missing}`);
    else prepared.push({ peer, version: presence.version });
  }
  return prepared;
}

function chosenScenarios(request: RunRequest): readonly Scenario[] {
  return request.scenarios.flatMap((name) => scenarios.filter((scenario) => scenario.name === name));
}

function knownNames(): KnownNames {
  return {
    scenarios: scenarios.map((scenario) => scenario.name),
    peers: peers.map((peer) => peer.name),
    own: own.name,
  };
}

function list(): string {
  const width = Math.max(...scenarios.map((scenario) => scenario.name.length));
  return [
    "Scenarios:",
    ...scenarios.map((scenario) => `  ${scenario.name.padEnd(width)}  ${scenario.summary}`),
    "Peers:",
    ...peers.map((peer) => `  ${peer.name}`),
  ].join("\n");
}

/** Progress goes to standard error, so that the table alone is on standard output. */
function progress(line: string): void {
  console.error(line);
}
