import { parseArgs } from "node:util";
import { CirqueError } from "../errors/cirque-error.ts";

/** What the command line asks for. */
export interface CommandLine {
  /** `-c FILE`, `--conf FILE` (`CLI-04`). */
  readonly conf: string | undefined;
  /** `-d`, `--daemon`: run in the background, whatever the file says (`CLI-02`). */
  readonly daemon: boolean;
  /** `-t`, `--test`: check the configuration and exit (`CLI-03`). */
  readonly test: boolean;
  /** `-u`, `--upgrade`: have the running server replace itself by a new process (`CLI-01`). */
  readonly upgrade: boolean;
  /** `-h`, `--help` (`CLI-06`). */
  readonly help: boolean;
}

/**
 * The options for `parseArgs` of `node:util`. A program with options of its own spreads them into its own, and gives
 * the values to {@link toCommandLine} (`CLI-07`).
 */
export const commandLineOptions = {
  conf: { type: "string", short: "c" },
  daemon: { type: "boolean", short: "d" },
  test: { type: "boolean", short: "t" },
  upgrade: { type: "boolean", short: "u" },
  help: { type: "boolean", short: "h" },
  // Test runners add it to the programs they start (CLI-05).
  nocapture: { type: "boolean" },
} as const;

/**
 * Reads the arguments, without those for Node and the script.
 *
 * @throws CirqueError `InvalidCommandLine` when one is unknown, or misses its value.
 */
export function parseCommandLine(argv: readonly string[]): CommandLine {
  try {
    return toCommandLine(parseArgs({ args: [...argv], options: commandLineOptions, strict: true }).values);
  } catch (cause) {
    // The first sentence says what is wrong, the rest how parseArgs could be told to accept it.
    const [reason = ""] = (cause instanceof Error ? cause.message : String(cause)).split(/\. |\.?\n/);
    throw CirqueError.internal("InvalidCommandLine", reason, { cause });
  }
}

/** What `parseArgs` found for {@link commandLineOptions}. */
export function toCommandLine(values: {
  readonly conf?: string | undefined;
  readonly daemon?: boolean | undefined;
  readonly test?: boolean | undefined;
  readonly upgrade?: boolean | undefined;
  readonly help?: boolean | undefined;
}): CommandLine {
  const { conf, daemon = false, test = false, upgrade = false, help = false } = values;
  return { conf, daemon, test, upgrade, help };
}

/** How the program is called: the text of `--help`. */
export function usage(program: string): string {
  return `Usage: ${program} [options]

Options:
  -c, --conf FILE  read the configuration from this YAML file
  -d, --daemon     run in the background, also when the file says daemon: false
  -t, --test       check the configuration, say what is wrong with it, and exit
  -u, --upgrade    have the running server, which its pid file names, replace itself by a new process
  -h, --help       show this text and exit

Signals:
  SIGTERM          finish what is in flight, at most for gracePeriodMs, and exit
  SIGINT           drop everything and exit
  a second one     drop what is left and exit
  SIGHUP           read the configuration again; one that is wrong changes nothing
  SIGUSR1          open the log files again
  SIGUSR2, SIGQUIT start the new process of an upgrade, and exit when it serves
`;
}
