import { isAbsolute, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { loadConfiguration } from "../configuration/load-configuration.ts";
import type { ServerConfiguration } from "../configuration/server-configuration.ts";
import { CirqueError } from "../errors/cirque-error.ts";
import { reopenLogs } from "../observability/log-destination.ts";
import type { Logger } from "../observability/logger.ts";
import type { MetricsRegistry } from "../observability/metrics-registry.ts";
import type { ServiceHandle } from "../services/service-handle.ts";
import type { ServiceSocket } from "../threads/listening-sockets.ts";
import { sharesPorts } from "../threads/shares-ports.ts";
import type { CommandLine } from "./command-line.ts";
import type { ExecutionPhase } from "./execution-phase.ts";
import { takeInheritance } from "./inheritance.ts";
import { type LaunchReport, takeLaunchReport } from "./launch-report.ts";
import { needUpgrade, prepareReload, type ReloadListener } from "./reload.ts";
import { ServerRun } from "./server-run.ts";
import type { ServerOptions } from "./server-setup.ts";
import { processSignals, type ServerRequest, type ShutdownSource, type StopMode } from "./shutdown-signal.ts";
import { activatedSockets } from "./systemd/activated-sockets.ts";
import { type SystemdNotifier, systemdNotifier } from "./systemd/systemd-notifier.ts";
import { startSuccessor } from "./upgrade.ts";
import { reportUpgradeOutcome } from "./upgrade-outcome.ts";

/** What the life of a process needs of its server. */
export interface MainThreadLifeContext {
  readonly options: ServerOptions;
  readonly commandLine: CommandLine;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  readonly services: readonly ServiceHandle[];
  /** Undefined for the signals of the process. */
  readonly shutdownSource: ShutdownSource | undefined;
  readonly configuration: () => ServerConfiguration;
  readonly applyConfiguration: (configuration: ServerConfiguration) => void;
  readonly reloadListeners: ReadonlySet<ReloadListener>;
  readonly enterPhase: (phase: ExecutionPhase) => void;
}

/** A server in its main thread: its run, its reloads and upgrades, and what systemd is told of them. */
export class MainThreadLife {
  readonly #context: MainThreadLifeContext;
  readonly #launchReport: LaunchReport | undefined;
  readonly #inherited: readonly ServiceSocket[];
  /** A daemon leaves the directory that its arguments are relative to. */
  readonly #startDirectory = process.cwd();
  #notifier: SystemdNotifier | undefined;
  #run: ServerRun | undefined;
  #reloading: Promise<void> = Promise.resolve();
  #upgrading: Promise<number> | undefined;

  constructor(context: MainThreadLifeContext) {
    this.#context = context;
    this.#launchReport = takeLaunchReport();
    this.#inherited = takeInheritance();
  }

  /** Whether another process of this program started this one: as a daemon, or as its successor. */
  get launched(): boolean {
    return this.#launchReport !== undefined;
  }

  /** @throws CirqueError `InvalidArgument` before {@link live} was called. */
  get run(): ServerRun {
    if (!this.#run) throw new CirqueError("InvalidArgument", "the server does not run yet");
    return this.#run;
  }

  get sockets(): readonly ServiceSocket[] {
    return this.#run?.sockets ?? [];
  }

  /** Resolves when everything has stopped; rejects when the start failed. */
  async live(): Promise<void> {
    const { commandLine, configuration, logger, metrics, services, shutdownSource } = this.#context;
    const ownsProcess = shutdownSource === undefined;
    const notifier = ownsProcess
      ? systemdNotifier(process.env, logger, { isHealthy: () => this.#isHealthy() })
      : undefined;
    this.#notifier = notifier;
    const activated = ownsProcess ? activatedSockets(services, logger) : [];
    this.#run = new ServerRun({
      commandLine,
      configuration,
      logger,
      metrics,
      services,
      threads: this.#threads(),
      inherited: [...this.#inherited, ...activated],
      sharesPorts,
      launchReport: this.#launchReport,
      shutdownSource: shutdownSource ?? processSignals,
      ownsProcess,
      enterPhase: (phase) => this.#onPhase(phase),
      onRequest: (what) => this.#onRequest(what),
    });
    try {
      await this.#run.run();
    } finally {
      await notifier?.settled();
      notifier?.close();
    }
  }

  /** One at a time: a second one waits for the first. */
  reload(): Promise<void> {
    const reloading = this.#reloading.then(() => this.#reload());
    this.#reloading = reloading.catch(() => {});
    return reloading;
  }

  /** A second call while an upgrade is under way has the same outcome. */
  upgrade(): Promise<number> {
    this.#upgrading ??= this.#upgrade().finally(() => {
      this.#upgrading = undefined;
    });
    return this.#upgrading;
  }

  reopenLogs(): void {
    for (const error of reopenLogs())
      this.#context.logger.error({ err: error }, "a log file could not be opened again");
    this.#run?.threads?.reopenLogs();
  }

  async #reload(): Promise<void> {
    const { applyConfiguration, configuration, logger, reloadListeners } = this.#context;
    const before = configuration();
    this.#notifier?.reloading();
    try {
      const after = this.#readConfiguration();
      const apply = await prepareReload(this.run.runner.local, reloadListeners, after);
      try {
        await this.run.threads?.prepareReload(after);
      } catch (error) {
        this.run.threads?.endReload(false);
        throw error;
      }
      applyConfiguration(after);
      apply();
      this.run.threads?.endReload(true);
      const fixed = needUpgrade(before, after);
      if (fixed.length > 0) {
        logger.warn({ settings: fixed }, "these settings have changed and take effect at the next upgrade or start");
      }
      logger.info("the configuration was reloaded");
    } finally {
      this.#notifier?.ready();
    }
  }

  /** What the file says now; settings given in code stay. */
  #readConfiguration(): ServerConfiguration {
    const { commandLine, configuration, logger, options } = this.#context;
    if (commandLine.conf === undefined || options.configuration) return configuration();
    const file = isAbsolute(commandLine.conf) ? commandLine.conf : resolve(this.#startDirectory, commandLine.conf);
    const { configuration: read, warnings } = loadConfiguration(file);
    for (const warning of warnings) logger.warn(warning);
    return Object.freeze({ ...read, daemon: commandLine.daemon || read.daemon });
  }

  async #upgrade(): Promise<number> {
    const { configuration, enterPhase, logger } = this.#context;
    const { run } = this;
    const { upgradeSock } = configuration();
    const notifier = this.#notifier ?? systemdNotifier({}, logger);
    try {
      if (!run.serves) throw CirqueError.internal("UpgradeError", "the server has not started yet, or stops already");
      enterPhase("GracefulUpgradeTransferringFds");
      const pid = await startSuccessor({
        configuration: configuration(),
        startDirectory: this.#startDirectory,
        logger,
        sockets: run.sockets,
        notifier,
      });
      logger.info({ pid }, "the new process serves; this one stops when what is in flight is finished");
      enterPhase("GracefulUpgradeCloseTimeout");
      await reportUpgradeOutcome(upgradeSock, { upgraded: pid });
      void run.stop("graceful", true);
      return pid;
    } catch (error) {
      if (run.serves) enterPhase("Running");
      await reportUpgradeOutcome(upgradeSock, { failed: messageOf(error) });
      throw error;
    }
  }

  #onRequest(what: Exclude<ServerRequest, StopMode>): void {
    const { logger } = this.#context;
    if (what === "reopenLogs") {
      this.reopenLogs();
      logger.info("the log files were opened again");
    } else if (what === "reload") {
      this.reload().catch((error: unknown) => {
        logger.error(
          { err: error },
          `the configuration was not reloaded, and nothing has changed: ${messageOf(error)}`,
        );
      });
    } else {
      this.upgrade().catch((error: unknown) => {
        logger.error({ err: error }, `the upgrade failed, and this process goes on: ${messageOf(error)}`);
      });
    }
  }

  #onPhase(phase: ExecutionPhase): void {
    if (phase === "Running") this.#notifier?.ready();
    else if (phase === "ShutdownStarted") {
      const { gracePeriodMs, gracefulShutdownTimeoutMs } = this.#context.configuration();
      this.#notifier?.stopping(gracePeriodMs + gracefulShutdownTimeoutMs);
    }
    this.#context.enterPhase(phase);
  }

  #isHealthy(): boolean {
    const threads = this.#run?.threads;
    return threads === undefined || threads.serving > 0;
  }

  #threads(): { readonly count: number; readonly program: URL } | undefined {
    const { configuration, logger, options } = this.#context;
    const { threads } = configuration();
    if (threads === 1) return undefined;
    if (!sharesPorts) {
      logger.warn({ threads }, "this system cannot share a port between threads: everything runs in one");
      return undefined;
    }
    const program = options.program ?? process.argv[1];
    if (program === undefined) {
      const message =
        "threads: each data thread runs the program again, and this one has no file; give ServerOptions.program";
      throw new CirqueError("InvalidArgument", message);
    }
    return { count: threads, program: program instanceof URL ? program : pathToFileURL(program) };
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
