import { basename } from "node:path";
import { formatProblem } from "../configuration/configuration-error.ts";
import {
  createConfiguration,
  type PartialConfiguration,
  withoutEffect,
} from "../configuration/create-configuration.ts";
import { loadConfiguration } from "../configuration/load-configuration.ts";
import type { ServerConfiguration } from "../configuration/server-configuration.ts";
import { CirqueError, isCirqueError } from "../errors/cirque-error.ts";
import type { ErrorCode } from "../errors/error-catalogue.ts";
import type { Logger } from "../observability/logger.ts";
import type { MetricsRegistry } from "../observability/metrics-registry.ts";
import { type CommandLine, parseCommandLine, toCommandLine, usage } from "./command-line.ts";

/** How a server is made; every part has a default. */
export interface ServerOptions {
  /** Settings given in code; a file named on the command line is then ignored with a warning (`SRV-02`). */
  readonly configuration?: PartialConfiguration;
  /**
   * The command line without Node and the script. Default: that of the process, or none when `configuration` or
   * `commandLine` is given. For what it asks for or gets wrong, the process prints and exits.
   */
  readonly argv?: readonly string[];
  /** A command line that was parsed by a program with options of its own (`CLI-07`). */
  readonly commandLine?: Partial<CommandLine>;
  /** Default: JSON lines on the standard error. */
  readonly logger?: Logger;
  /** Default: a new registry that shows the process as well. */
  readonly metrics?: MetricsRegistry;
}

/** What a server starts from. */
export interface ServerSetup {
  readonly commandLine: CommandLine;
  readonly configuration: ServerConfiguration;
  readonly warnings: readonly string[];
}

/**
 * Reads the command line and the configuration (`SRV-01`). `--help` prints the usage and exits with 0. A command line
 * that is not valid, and `--upgrade`, exit with 2; a file that is not valid exits with 1.
 *
 * @throws ConfigurationError for settings given in code.
 */
export function setUpServer(options: ServerOptions): ServerSetup {
  const commandLine = exitOn(["InvalidCommandLine"], 2, () => readCommandLine(options));
  if (commandLine.help) {
    process.stdout.write(usage(programName()));
    process.exit(0);
  }
  if (options.configuration) return useConfiguration(options.configuration, commandLine);
  return exitOn(["InvalidConfiguration", "FileReadError"], 1, () => readConfiguration(commandLine));
}

function readCommandLine({ argv, commandLine, configuration }: ServerOptions): CommandLine {
  const givenInCode = configuration !== undefined || commandLine !== undefined;
  const parsed = parseCommandLine(argv ?? (givenInCode ? [] : process.argv.slice(2)));
  const result = commandLine ? toCommandLine({ ...parsed, ...commandLine }) : parsed;
  if (!result.upgrade || result.help) return result;
  const reason = "--upgrade is not in this version; stop the running server with SIGTERM, and start the new one then";
  throw CirqueError.internal("InvalidCommandLine", reason);
}

function useConfiguration(settings: PartialConfiguration, commandLine: CommandLine): ServerSetup {
  const configuration = createConfiguration({ ...settings, daemon: commandLine.daemon || settings.daemon });
  const warnings = withoutEffect(configuration).map(formatProblem);
  if (commandLine.conf !== undefined) {
    warnings.push(`${commandLine.conf} is ignored, since the configuration is given in code`);
  }
  return { commandLine, configuration, warnings };
}

function readConfiguration(commandLine: CommandLine): ServerSetup {
  if (commandLine.conf === undefined) {
    return { commandLine, configuration: createConfiguration({ daemon: commandLine.daemon }), warnings: [] };
  }
  const { configuration, warnings } = loadConfiguration(commandLine.conf);
  const daemon = commandLine.daemon || configuration.daemon;
  return { commandLine, configuration: Object.freeze({ ...configuration, daemon }), warnings };
}

/** Somebody at a terminal is served by a line that says what is wrong, not by a stack. */
function exitOn<T>(codes: readonly ErrorCode[], exitCode: number, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!isCirqueError(error) || !codes.includes(error.code)) throw error;
    process.stderr.write(`${error.message}\n`);
    if (error.code === "InvalidCommandLine") process.stderr.write(`\n${usage(programName())}`);
    process.exit(exitCode);
  }
}

function programName(): string {
  return basename(process.argv[1] ?? "cirque");
}
