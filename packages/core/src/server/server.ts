import type { ServerConfiguration } from "../configuration/server-configuration.ts";
import { CirqueError } from "../errors/cirque-error.ts";
import { createLogger, type Logger } from "../observability/logger.ts";
import { MetricsRegistry } from "../observability/metrics-registry.ts";
import type { Service } from "../services/service.ts";
import type { ServiceHandle } from "../services/service-handle.ts";
import { ServiceRegistry } from "../services/service-registry.ts";
import type { CommandLine } from "./command-line.ts";
import { startDaemon } from "./daemon.ts";
import { type DaemonReport, takeDaemonReport } from "./daemon-report.ts";
import type { ExecutionPhase } from "./execution-phase.ts";
import { ServerRun } from "./server-run.ts";
import { type ServerOptions, setUpServer } from "./server-setup.ts";
import { processSignals, type ShutdownSource, type StopMode } from "./shutdown-signal.ts";

/** How {@link Server.run} runs. */
export interface RunOptions {
  /**
   * What stops the server (`SRV-08`). Default: SIGTERM and SIGINT of the process; with the default, errors that no code
   * caught do not end the process either.
   */
  readonly shutdownSignal?: ShutdownSource;
}

/**
 * A server: services, the configuration, and the life of the process they run in.
 *
 * @example
 * const server = new Server();
 * server.addService(httpProxyService(server.configuration, new Balancer()).addTcp("0.0.0.0:6188"));
 * await server.runForever();
 */
export class Server implements AsyncDisposable {
  /** The settings in force (`SRV-03`). */
  readonly configuration: ServerConfiguration;
  /** The command line in force (`SRV-03`). */
  readonly commandLine: CommandLine;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  readonly #warnings: readonly string[];
  readonly #services = new ServiceRegistry();
  readonly #watchers = new Set<(phase: ExecutionPhase) => void>();
  readonly #daemonReport: DaemonReport | undefined;
  #phase: ExecutionPhase = "Setup";
  #run: ServerRun | undefined;

  /**
   * With no options, the server reads the command line of the process, and the file that `-c` names (`SRV-01`).
   * Nothing is opened and nothing runs yet.
   *
   * @throws ConfigurationError when settings given in code are not valid. What is wrong with the command line or the
   * file is printed, and the process exits.
   */
  constructor(options: ServerOptions = {}) {
    const { commandLine, configuration, warnings } = setUpServer(options);
    this.#daemonReport = takeDaemonReport();
    this.configuration = configuration;
    this.commandLine = commandLine;
    this.logger = options.logger ?? createLogger();
    this.metrics = options.metrics ?? new MetricsRegistry({ processMetrics: true });
    this.#warnings = warnings;
  }

  /** Where the server is in its life (`SRV-10`). */
  get executionPhase(): ExecutionPhase {
    return this.#phase;
  }

  /** Calls the listener at each change of the phase (`SRV-10`); the function returned ends that. */
  watchExecutionPhase(listener: (phase: ExecutionPhase) => void): () => void {
    const watcher = (phase: ExecutionPhase): void => listener(phase);
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /**
   * Adds a service (`SRV-04`). The handle returned declares what it depends on.
   *
   * @throws CirqueError `InvalidArgument` when it was added before, or the server runs.
   */
  addService(service: Service): ServiceHandle {
    return this.#services.add(service);
  }

  /** {@link addService} for each of them (`SRV-04`). */
  addServices(services: Iterable<Service>): ServiceHandle[] {
    return Array.from(services, (service) => this.addService(service));
  }

  /**
   * Prepares the run; {@link run} does it when it was not done before, and a second call does nothing (`SRV-05`). With
   * `-t` the process prints that the configuration is right, and exits with 0 (`CLI-03`).
   */
  bootstrap(): void {
    if (this.#phase !== "Setup") return;
    this.#enterPhase("Bootstrap");
    if (this.commandLine.test) this.#exitFromTest();
    for (const warning of this.#warnings) this.logger.warn(warning);
    this.#enterPhase("BootstrapComplete");
  }

  /**
   * Runs until it is told to stop, and returns then (`SRV-08`). With `daemon`, the process that was called starts the
   * daemon and exits.
   *
   * @throws CirqueError when a service does not start; those that did have been stopped.
   */
  async run(options: RunOptions = {}): Promise<void> {
    if (this.#run) throw new CirqueError("InvalidArgument", "a server can be run only once");
    this.bootstrap();
    this.#services.seal();
    if (this.configuration.daemon && !this.#daemonReport) await this.#becomeDaemon();
    const run = new ServerRun({
      configuration: this.configuration,
      logger: this.logger,
      metrics: this.metrics,
      services: this.#services.inStartOrder(),
      daemonReport: this.#daemonReport,
      shutdownSource: options.shutdownSignal ?? processSignals,
      ownsProcess: options.shutdownSignal === undefined,
      enterPhase: (phase) => this.#enterPhase(phase),
    });
    this.#run = run;
    await run.run();
  }

  /** {@link run}, and then exits the process: with 0, or with 1 when a service did not start (`SRV-07`). */
  async runForever(): Promise<never> {
    try {
      await this.run();
    } catch (error) {
      this.logger.fatal({ err: error }, "the server could not start");
      process.exit(1);
    }
    process.exit(0);
  }

  /**
   * Stops the server: `"graceful"` finishes what is in flight, `"fast"` drops it, also when a graceful stop is under way
   * (`SRV-09`). Resolves when the server has stopped.
   */
  async stop(mode: StopMode = "graceful"): Promise<void> {
    await this.#run?.stop(mode);
  }

  /** Stops the server gracefully. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
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

  async #becomeDaemon(): Promise<never> {
    try {
      await startDaemon(this.configuration);
    } catch (error) {
      process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
      process.exit(1);
    }
    process.exit(0);
  }
}
