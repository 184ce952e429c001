import { parseArgs } from "node:util";
import { numberBetween, UsageError } from "../arguments.ts";
import { roundSeconds } from "./soak.ts";

/** What the command line of the soak asks for. */
export type SoakRequest =
  | { readonly kind: "help" }
  | { readonly kind: "run"; readonly rounds: number; readonly threads: number };

const mostMinutes = 7 * 24 * 60;
const mostThreads = 16;
const fewestRounds = 4;

/** The text of `--help`. */
export const soakHelp = `Usage: npm run soak -- [options]

Runs Cirque under a steady load through reloads, upgrades and the death of threads, and tells
what failed, how memory and descriptors went, and how late the event loops were.

  --minutes N   about how long, in rounds of ${roundSeconds} seconds  (default: 10)
  --threads N   data threads of Cirque                  (default: 2)
  --help        show this text

It exits with 1 when a figure is worse than promised; see bench/README.md.`;

/**
 * Reads the command line of the soak.
 *
 * @throws UsageError when an option or a number is not understood
 */
export function parseSoakArguments(words: readonly string[]): SoakRequest {
  const values = parseWords(words);
  if (values.help) return { kind: "help" };
  const minutes = numberBetween(values.minutes ?? "10", "--minutes", 1, mostMinutes);
  return {
    kind: "run",
    rounds: Math.max(fewestRounds, Math.round((minutes * 60) / roundSeconds)),
    threads: numberBetween(values.threads ?? "2", "--threads", 1, mostThreads),
  };
}

function parseWords(words: readonly string[]) {
  try {
    return parseArgs({
      args: [...words],
      options: {
        minutes: { type: "string" },
        threads: { type: "string" },
        help: { type: "boolean", short: "h" },
      },
    }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}
