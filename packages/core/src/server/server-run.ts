import type { ServerConfiguration } from "../configuration/server-configuration.ts";
import { logsWritten } from "../observability/log-destination.ts";
import type { Logger } from "../observability/logger.ts";
import type { MetricsRegistry } from "../observability/metrics-registry.ts";
import type { ServiceHandle } from "../services/service-handle.ts";
import { whenAborted } from "../services/when-aborted.ts";
import { singleThread } from "../threads/single-thread.ts";
import type { DaemonReport } from "./daemon-report.ts";
import type { ExecutionPhase } from "./execution-phase.ts";
import { becomeIdentity, findIdentity, type Identity } from "./identity.ts";
import { removePidFile, writePidFile } from "./pid-file.ts";
import { guardProcess } from "./process-guards.ts";
import { ServiceRunner } from "./service-runner.ts";
import { type ShutdownSource, type StopMode, watchShutdown } from "./shutdown-signal.ts";

/** What a run needs of its server. */
export interface ServerRunContext {
  readonly configuration: ServerConfiguration;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  /** In start order. */
  readonly services: readonly ServiceHandle[];
  /** Present in a daemon. */
  readonly daemonReport: DaemonReport | undefined;
  readonly shutdownSource: ShutdownSource;
  /** Whether errors that no code caught are the server's business. */
  readonly ownsProcess: boolean;
  readonly enterPhase: (phase: ExecutionPhase) => void;
}

/** One run of a server, from the first service that starts to the last that has stopped. */
export class ServerRun {
  readonly #context: ServerRunContext;
  readonly #runner: ServiceRunner;
  /** Aborts when the run is told to stop. */
  readonly #stop = new AbortController();
  /** Aborts when what is left has to be dropped. */
  readonly #force = new AbortController();
  /** Aborts when services are not waited for any longer. */
  readonly #abandon = new AbortController();
  #finished: Promise<void> = Promise.resolve();

  constructor(context: ServerRunContext) {
    this.#context = context;
    const { configuration, logger, metrics, services } = context;
    this.#runner = new ServiceRunner(services, { configuration, logger, metrics, thread: singleThread() });
  }

  /** Resolves when everything has stopped; rejects when the start failed. Called once. */
  run(): Promise<void> {
    this.#finished = this.#live();
    return this.#finished;
  }

  async stop(mode: StopMode): Promise<void> {
    this.#beginStop(mode);
    // Whoever called run() learns of a failed start; for the caller of stop() it has stopped.
    await this.#finished.catch(() => {});
  }

  async #live(): Promise<void> {
    const { enterPhase, logger, metrics, ownsProcess, shutdownSource } = this.#context;
    const releaseSignals = watchShutdown(shutdownSource, (mode) => this.#request(mode));
    const releaseGuards = ownsProcess ? guardProcess(logger, metrics) : () => {};
    // Services may hold nothing that keeps the process alive, such as a task that only waits for its signal.
    const alive = setInterval(() => {}, 60_000);
    try {
      await this.#start();
      await whenAborted(this.#stop.signal);
    } finally {
      await this.#shutDown();
      clearInterval(alive);
      releaseGuards();
      releaseSignals();
      enterPhase("Terminated");
    }
  }

  async #start(): Promise<void> {
    const { daemonReport, enterPhase, logger } = this.#context;
    try {
      const identity = this.#identity();
      if (daemonReport) this.#detach(identity);
      daemonReport?.started();
      const stopped = whenAborted(this.#stop.signal);
      await Promise.race([this.#runner.start(), stopped]);
      if (this.#stop.signal.aborted) return;
      if (identity) becomeIdentity(identity);
      enterPhase("Running");
      logger.info({ services: this.#context.services.map(({ name }) => name) }, "the server runs");
      if (daemonReport) {
        // Who started the daemon may look into its log right away.
        await logsWritten(1_000);
        daemonReport.ready();
      }
    } catch (error) {
      daemonReport?.failed(error instanceof Error ? error.message : String(error));
      this.#beginStop("fast");
      throw error;
    }
  }

  /** Who to become when everything is bound (`CFG-06`, `CFG-07`). */
  #identity(): Identity | undefined {
    const { user, group } = this.#context.configuration;
    if (user === undefined && group === undefined) return undefined;
    if (process.geteuid?.() === 0) return findIdentity(user, group);
    this.#context.logger.warn({ user, group }, "user and group are ignored, since only root can change them");
    return undefined;
  }

  /** What makes a process a daemon, once it has a session of its own (`DMN-01`, `DMN-02`, `CFG-08`). */
  #detach(identity: Identity | undefined): void {
    const { pidFile, workingDirectory } = this.#context.configuration;
    process.umask(0o007);
    writePidFile(pidFile, identity);
    if (workingDirectory !== undefined) process.chdir(workingDirectory);
  }

  /** A signal: the first one stops, the second one drops what is left, the third one waits for nothing (`SIG-07`). */
  #request(mode: StopMode): void {
    if (this.#force.signal.aborted) this.#abandon.abort();
    else this.#beginStop(this.#stop.signal.aborted ? "fast" : mode);
  }

  #beginStop(mode: StopMode): void {
    if (!this.#stop.signal.aborted && mode === "graceful") this.#context.enterPhase("GracefulTerminate");
    this.#stop.abort();
    if (mode === "fast") this.#force.abort();
  }

  async #shutDown(): Promise<void> {
    const { configuration, daemonReport, enterPhase, logger } = this.#context;
    const { gracePeriodMs, gracefulShutdownTimeoutMs } = configuration;
    enterPhase("ShutdownStarted");
    const stopped = this.#runner.stop(this.#force.signal);
    if (!this.#force.signal.aborted) {
      enterPhase("ShutdownGracePeriod");
      logger.info({ gracePeriodMs }, "stopping when what is in flight is finished");
      await this.#within(gracePeriodMs, stopped, this.#force);
    }
    enterPhase("ShutdownRuntimes");
    await this.#within(gracefulShutdownTimeoutMs, stopped, this.#abandon);
    if (this.#runner.unfinished.length > 0) {
      logger.error({ services: this.#runner.unfinished }, "these services did not stop in time");
    }
    if (daemonReport) removePidFile(configuration.pidFile);
  }

  /** Waits for the work, until the time is over or the controller aborts; aborts it when the time is over. */
  async #within(timeMs: number, work: Promise<void>, controller: AbortController): Promise<void> {
    const timer = setTimeout(() => controller.abort(), timeMs);
    await Promise.race([work, whenAborted(controller.signal)]);
    clearTimeout(timer);
  }
}
