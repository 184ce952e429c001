import type { ServerConfiguration } from "../configuration/server-configuration.ts";
import { CirqueError } from "../errors/cirque-error.ts";
import { reopenLogs } from "../observability/log-destination.ts";
import type { Logger } from "../observability/logger.ts";
import type { MetricsRegistry } from "../observability/metrics-registry.ts";
import type { Service } from "../services/service.ts";
import type { ServiceHandle } from "../services/service-handle.ts";
import { ServiceRegistry } from "../services/service-registry.ts";
import { dataThreadStart } from "../threads/data-thread-start.ts";
import type { ServiceSocket } from "../threads/listening-sockets.ts";
import type { DataThreadStart } from "../threads/messages.ts";
import type { CommandLine } from "./command-line.ts";
import { startDaemon } from "./daemon.ts";
import { DataThreadRun } from "./data-thread-run.ts";
import type { ExecutionPhase } from "./execution-phase.ts";
import { MainThreadLife } from "./main-thread-life.ts";
import { prepareReload, type ReloadListener } from "./reload.ts";
import { createServerLogger, createServerMetrics, type ServerOptions, setUpServer } from "./server-setup.ts";
import type { ShutdownSource, StopMode } from "./shutdown-signal.ts";
import { askForUpgrade } from "./upgrade-command.ts";

/** How {@link Server.run} runs. */
export interface RunOptions {
  /**
   * What stops the server (`SRV-08`). Default: the signals of the process; with the default, errors that no code caught
   * do not end the process either. In a data thread it is left alone, since that does what the main thread says.
   */
  readonly shutdownSignal?: ShutdownSource;
}

/**
 * A server: services, the configuration, and the life of the process they run in.
 *
 * With `threads: N`, each data thread runs the same program, and so makes a server of its own with the same services. In
 * each, {@link run} starts what belongs there.
 *
 * @example
 * const server = new Server();
 * server.addService(httpProxyService(server.configuration, new Balancer()).addTcp("0.0.0.0:6188"));
 * await server.runForever();
 */
export class Server implements AsyncDisposable {
  /** The command line in force (`SRV-03`). */
  readonly commandLine: CommandLine;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  readonly #options: ServerOptions;
  readonly #warnings: readonly string[];
  readonly #services = new ServiceRegistry();
  readonly #watchers = new Set<(phase: ExecutionPhase) => void>();
  readonly #reloadListeners = new Set<ReloadListener>();
  readonly #thread: DataThreadStart | undefined;
  #configuration: ServerConfiguration;
  #phase: ExecutionPhase = "Setup";
  #bootstrapsAsService = false;
  #life: MainThreadLife | undefined;
  #dataThread: DataThreadRun | undefined;

  /**
   * With no options, the server reads the command line of the process, and the file that `-c` names (`SRV-01`).
   * Nothing is opened and nothing runs yet.
   *
   * @throws ConfigurationError when settings given in code are not valid. What is wrong with the command line or the
   * file is printed, and the process exits.
   */
  constructor(options: ServerOptions = {}) {
    this.#thread = dataThreadStart();
    const { commandLine, configuration, warnings } = setUpServer(options, this.#thread);
    this.#options = options;
    this.#configuration = configuration;
    this.commandLine = commandLine;
    this.logger = createServerLogger(options, configuration, this.#thread);
    this.metrics = createServerMetrics(options, this.#thread);
    this.#warnings = warnings;
  }

  /** The settings in force (`SRV-03`). A reload changes them. */
  get configuration(): ServerConfiguration {
    return this.#configuration;
  }

  /** Where the server is in its life (`SRV-10`). */
  get executionPhase(): ExecutionPhase {
    return this.#phase;
  }

  /** The thread that this server object lives in: 0 for the main thread, else the number of the data thread. */
  get threadIndex(): number {
    return this.#thread?.index ?? 0;
  }

  /** The sockets that the server listens on, those of its data threads included. Empty in data threads. */
  get listeningSockets(): readonly ServiceSocket[] {
    return this.#life?.sockets ?? [];
  }

  /** Calls the listener at each change of the phase (`SRV-10`); the function returned ends that. */
  watchExecutionPhase(listener: (phase: ExecutionPhase) => void): () => void {
    const watcher = (phase: ExecutionPhase): void => listener(phase);
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /**
   * Calls the listener with the new settings at each reload, in each thread. It throws to refuse them, which leaves
   * everything as it was; what it returns is called to apply them. The function returned ends that.
   */
  onReload(listener: ReloadListener): () => void {
    this.#reloadListeners.add(listener);
    return () => this.#reloadListeners.delete(listener);
  }

  /**
   * Adds a service (`SRV-04`). The handle returned declares what it depends on. In a server that runs, it starts when the
   * current task is over (`SVC-19`), and only in this thread: {@link ServiceHandle.ready} tells how that went.
   *
   * @throws CirqueError `InvalidArgument` when it was added before, or the server stops.
   */
  addService(service: Service): ServiceHandle {
    const run = this.#life?.run ?? this.#dataThread;
    if (run?.stopping) throw new CirqueError("InvalidArgument", `the server stops, and starts no "${service.name}"`);
    const handle = this.#services.add(service);
    if (run) {
      queueMicrotask(() => {
        if (this.#services.has(handle)) this.#startLate(handle, run.runner.start([handle]));
      });
    }
    return handle;
  }

  /** {@link addService} for each of them (`SRV-04`). */
  addServices(services: Iterable<Service>): ServiceHandle[] {
    return Array.from(services, (service) => this.addService(service));
  }

  /**
   * Stops a service of this thread, while the others go on, and takes it out of the server. Resolves when it has stopped.
   *
   * @param force Drops what is in flight when it aborts. Default: what is in flight is waited for.
   * @throws CirqueError `InvalidArgument` when another service depends on it.
   */
  async removeService(handle: ServiceHandle, force: AbortSignal = new AbortController().signal): Promise<void> {
    this.#services.remove(handle);
    await (this.#life?.run ?? this.#dataThread)?.runner.stopService(handle, force);
  }

  /**
   * Prepares the run; {@link run} does it when it was not done before, and a second call does nothing (`SRV-05`). With
   * `-t` the process prints that the configuration is right, and exits with 0 (`CLI-03`).
   */
  bootstrap(): void {
    if (this.#phase !== "Setup") return;
    this.#enterPhase("Bootstrap");
    if (!this.#thread) {
      if (this.commandLine.test) this.#exitFromTest();
      for (const warning of this.#warnings) this.logger.warn(warning);
    }
    this.#enterPhase("BootstrapComplete");
  }

  /**
   * Adds a service that does the work of {@link bootstrap} when those it depends on are ready, for services that in turn
   * depend on it (`SRV-06`).
   */
  bootstrapAsService(): ServiceHandle {
    this.#bootstrapsAsService = true;
    return this.addService({
      name: "BG Bootstrap Service",
      start: async () => this.bootstrap(),
      stop: async () => {},
    });
  }

  /**
   * Runs until it is told to stop, and returns then (`SRV-08`). With `daemon`, the process that was called starts the
   * daemon and exits; with `-u`, it asks the running server for an upgrade and exits.
   *
   * @throws CirqueError when a service does not start; those that did have been stopped.
   */
  async run(options: RunOptions = {}): Promise<void> {
    if (this.#life || this.#dataThread) throw new CirqueError("InvalidArgument", "a server can be run only once");
    if (!this.#bootstrapsAsService) this.bootstrap();
    if (this.#thread) {
      this.#dataThread = this.#createDataThreadRun(this.#thread);
      await this.#dataThread.run();
      return;
    }
    this.#life = new MainThreadLife({
      options: this.#options,
      commandLine: this.commandLine,
      logger: this.logger,
      metrics: this.metrics,
      services: this.#startingServices(),
      shutdownSource: options.shutdownSignal,
      configuration: () => this.#configuration,
      applyConfiguration: (configuration) => {
        this.#configuration = configuration;
      },
      reloadListeners: this.#reloadListeners,
      enterPhase: (phase) => this.#enterPhase(phase),
    });
    if (this.commandLine.upgrade && !this.#life.launched) await exitAfter(askForUpgrade(this.#configuration));
    if (this.#configuration.daemon && !this.#life.launched) await exitAfter(startDaemon(this.#configuration));
    await this.#life.live();
  }

  /** {@link run}, and then exits the process: with 0, or with 1 when a service did not start (`SRV-07`). */
  async runForever(): Promise<never> {
    try {
      await this.run();
    } catch (error) {
      // The main thread reports what it is told of a data thread.
      if (!this.#thread) this.logger.fatal({ err: error }, "the server could not start");
      process.exit(1);
    }
    process.exit(0);
  }

  /**
   * Stops the server: `"graceful"` finishes what is in flight, `"fast"` drops it, also when a graceful stop is under way
   * (`SRV-09`). Resolves when the server has stopped; in a data thread, when the main thread was asked to.
   */
  async stop(mode: StopMode = "graceful"): Promise<void> {
    this.#dataThread?.requestStop(mode);
    await this.#life?.run.stop(mode);
  }

  /**
   * Reads the configuration again, as SIGHUP does, and has all services apply it.
   *
   * @throws ConfigurationError, or what a service refused it with: then nothing has changed.
   */
  async reload(): Promise<void> {
    await this.#mainLife("reload").reload();
  }

  /**
   * Starts the successor of this process, as SIGUSR2 does, and stops gracefully once it serves (`UPG-01`).
   *
   * @returns the process id of the successor.
   * @throws CirqueError `UpgradeError` when the successor does not serve: then this server goes on.
   */
  upgrade(): Promise<number> {
    return this.#mainLife("upgrade").upgrade();
  }

  /** Opens the log files again, as SIGUSR1 does, in all threads: after they were moved away. */
  reopenLogs(): void {
    this.#mainLife("reopen the logs of").reopenLogs();
  }

  /** Stops the server gracefully. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #startingServices(): readonly ServiceHandle[] {
    const services = this.#services.inStartOrder();
    for (const handle of services) this.#services.markStarted(handle);
    return services;
  }

  #createDataThreadRun(start: DataThreadStart): DataThreadRun {
    this.metrics.shareWith(start.metricsPort);
    const run: DataThreadRun = new DataThreadRun({
      start,
      configuration: this.#configuration,
      logger: this.logger,
      metrics: this.metrics,
      services: this.#startingServices(),
      enterPhase: (phase) => this.#enterPhase(phase),
      reopenLogs: () => {
        for (const error of reopenLogs()) this.logger.error({ err: error }, "a log file could not be opened again");
      },
      prepareReload: async (configuration) => {
        const apply = await prepareReload(run.runner.local, this.#reloadListeners, configuration);
        return () => {
          this.#configuration = configuration;
          apply();
        };
      },
    });
    return run;
  }

  #startLate(handle: ServiceHandle, started: Promise<void>): void {
    this.#services.markStarted(handle);
    handle.settle(started);
    started.catch((error: unknown) => {
      this.logger.error({ err: error, service: handle.name }, "the service could not be started");
    });
  }

  #mainLife(what: string): MainThreadLife {
    if (this.#life) return this.#life;
    const where = this.#thread ? "the main thread" : "a server that runs";
    throw new CirqueError("InvalidArgument", `only ${where} can ${what} the server`);
  }

  #enterPhase(phase: ExecutionPhase): void {
    this.#phase = phase;
    this.logger.debug({ phase }, "execution phase");
    for (const watcher of this.#watchers) {
      try {
        watcher(phase);
      } catch (error) {
        this.logger.error({ err: error, phase }, "a watcher of the execution phase failed");
      }
    }
  }

  #exitFromTest(): never {
    for (const warning of this.#warnings) process.stderr.write(`${warning}\n`);
    process.stdout.write(`${this.commandLine.conf ?? "the configuration"} is right\n`);
    process.exit(0);
  }
}

/** For a process that was called only to start or to ask another one. */
async function exitAfter(work: Promise<void>): Promise<never> {
  try {
    await work;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  }
  process.exit(0);
}
