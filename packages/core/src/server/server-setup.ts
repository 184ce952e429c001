import { basename, resolve } from "node:path";
import { createConfiguration, type PartialConfiguration } from "../configuration/create-configuration.ts";
import { loadConfiguration } from "../configuration/load-configuration.ts";
import type { ServerConfiguration } from "../configuration/server-configuration.ts";
import { isCirqueError } from "../errors/cirque-error.ts";
import type { ErrorCode } from "../errors/error-catalogue.ts";
import { createLogger, type Logger } from "../observability/logger.ts";
import { MetricsRegistry } from "../observability/metrics-registry.ts";
import type { DataThreadStart } from "../threads/messages.ts";
import { type CommandLine, parseCommandLine, toCommandLine, usage } from "./command-line.ts";
import { isLaunched } from "./launch-report.ts";

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
  /**
   * The module that each data thread runs (`threads`). Default: the program of the process.
   */
  readonly program?: URL | string;
  /** Default: JSON lines on the standard error, or in `errorLog` for a daemon. */
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
 * Reads the command line and the configuration (`SRV-01`); a data thread is given those of the main thread. `--help` prints the usage and exits with 0. A command line
 * that is not valid exits with 2; a file that is not valid exits with 1.
 *
 * @throws ConfigurationError for settings given in code.
 */
export function setUpServer(options: ServerOptions, thread: DataThreadStart | undefined): ServerSetup {
  if (thread) return setUpDataThread(options, thread);
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
  return commandLine ? toCommandLine({ ...parsed, ...commandLine }) : parsed;
}

function setUpDataThread({ configuration }: ServerOptions, thread: DataThreadStart): ServerSetup {
  // What a program gives in code may be functions, which cannot come from another thread.
  const userSettings = configuration?.userSettings ?? thread.configuration.userSettings;
  const settings = Object.freeze({ ...thread.configuration, userSettings });
  return { commandLine: thread.commandLine, configuration: settings, warnings: [] };
}

/** The logger of a server. */
export function createServerLogger(
  { logger }: ServerOptions,
  { daemon, errorLog }: ServerConfiguration,
  thread: DataThreadStart | undefined,
): Logger {
  // A daemon's standard error is the same file; but only what is opened by name can be opened again.
  const file = daemon && errorLog !== undefined && (thread || isLaunched()) ? resolve(errorLog) : undefined;
  const own = logger ?? createLogger(file === undefined ? {} : { destination: file });
  return thread ? own.child({ thread: thread.index }) : own;
}

/** The metrics of a server. */
export function createServerMetrics({ metrics }: ServerOptions, thread: DataThreadStart | undefined): MetricsRegistry {
  return metrics ?? new MetricsRegistry({ processMetrics: thread === undefined });
}

function useConfiguration(settings: PartialConfiguration, commandLine: CommandLine): ServerSetup {
  const configuration = createConfiguration({ ...settings, daemon: commandLine.daemon || settings.daemon });
  const warnings: string[] = [];
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
