import { UsageError } from "../arguments.ts";
import { formatBytes } from "../table.ts";
import type { Round } from "./round.ts";
import { runSoak, type SoakOutcome } from "./soak.ts";
import { parseSoakArguments, soakHelp } from "./soak-arguments.ts";
import { formatFinding, judge } from "./verdict.ts";

process.exitCode = await main(process.argv.slice(2));

/** The whole program. Returns its exit code: 0, 1 when a figure is worse than promised, 2 for a bad command line. */
async function main(words: readonly string[]): Promise<number> {
  try {
    const request = parseSoakArguments(words);
    if (request.kind === "help") {
      console.log(soakHelp);
      return 0;
    }
    return await run(request.rounds, request.threads);
  } catch (error) {
    console.error(`soak: ${error instanceof Error ? error.message : String(error)}`);
    if (!(error instanceof UsageError)) return 1;
    console.error("Run it with --help to see what it takes.");
    return 2;
  }
}

async function run(rounds: number, threads: number): Promise<number> {
  const interruption = new AbortController();
  const interrupt = (): void => interruption.abort(new Error("interrupted"));
  process.once("SIGINT", interrupt).once("SIGTERM", interrupt);
  const onRound = (round: Round): void => console.error(`${round.number}/${rounds} ${describe(round)}`);
  let outcome: SoakOutcome;
  try {
    outcome = await runSoak({ rounds, threads, signal: interruption.signal, onRound });
  } catch (error) {
    interruption.signal.throwIfAborted();
    throw error;
  }
  const findings = judge(outcome);
  console.log(findings.map(formatFinding).join("\n"));
  return findings.some(({ good }) => good === false) ? 1 : 0;
}

function describe(round: Round): string {
  return [
    `${round.requests} requests, ${round.failed} failed, ${round.resent} sent again`,
    `${formatBytes(round.rssBytes)}, ${round.descriptors} descriptors and ${round.pooled} kept connections`,
    ...(round.upgraded ? [`upgraded to process ${round.pid}`] : []),
    ...(round.killed ? [`thread killed with ${round.failedByKill} requests`] : []),
    ...(round.failures === "" ? [] : [`\n${round.failures}`]),
  ].join("; ");
}
