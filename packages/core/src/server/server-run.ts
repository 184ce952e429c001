import { chownSync, fchownSync } from "node:fs";
import { resolve } from "node:path";
import type { ServerConfiguration } from "../configuration/server-configuration.ts";
import { logsWritten } from "../observability/log-destination.ts";
import type { Logger } from "../observability/logger.ts";
import type { MetricsRegistry } from "../observability/metrics-registry.ts";
import type { ServiceHandle } from "../services/service-handle.ts";
import { whenAborted } from "../services/when-aborted.ts";
import { DataThreads } from "../threads/data-threads.ts";
import type { ServiceSocket } from "../threads/listening-sockets.ts";
import { PublishedValues } from "../threads/published-values.ts";
import { belongsTo, SocketTable } from "../threads/socket-table.ts";
import type { ThreadContext } from "../threads/thread-context.ts";
import type { CommandLine } from "./command-line.ts";
import type { ExecutionPhase } from "./execution-phase.ts";
import { becomeIdentity, findIdentity, type Identity } from "./identity.ts";
import { closeInherited } from "./inheritance.ts";
import type { LaunchReport } from "./launch-report.ts";
import { PidFile } from "./pid-file.ts";
import { guardProcess } from "./process-guards.ts";
import { noOtherThreads, ServiceRunner } from "./service-runner.ts";
import { type ServerRequest, type ShutdownSource, type StopMode, watchShutdown } from "./shutdown-signal.ts";
import { Stopping } from "./stopping.ts";

/** What a run needs of its server. */
export interface ServerRunContext {
  readonly commandLine: CommandLine;
  readonly configuration: () => ServerConfiguration;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  /** The services that start with the server, in start order. */
  readonly services: readonly ServiceHandle[];
  /** How many data threads there are, and the module that they run; undefined when this thread does everything. */
  readonly threads: { readonly count: number; readonly program: URL } | undefined;
  /** Sockets of the process before this one, or of systemd. */
  readonly inherited: readonly ServiceSocket[];
  /** Whether several sockets may listen at one address on this system. */
  readonly sharesPorts: boolean;
  /** Present when another process of this program started this one. */
  readonly launchReport: LaunchReport | undefined;
  readonly shutdownSource: ShutdownSource;
  /** Whether errors that no code caught are the server's business. */
  readonly ownsProcess: boolean;
  readonly enterPhase: (phase: ExecutionPhase) => void;
  /** Anything but a request to stop. */
  readonly onRequest: (what: Exclude<ServerRequest, StopMode>) => void;
}

/** One run of a server in its main thread, from the first service that starts to the last that has stopped. */
export class ServerRun {
  readonly #context: ServerRunContext;
  readonly #runner: ServiceRunner;
  readonly #threads: DataThreads | undefined;
  readonly #sockets: SocketTable;
  readonly #published = new PublishedValues();
  readonly #stopping = new Stopping();
  #serves = false;
  #stopMode: StopMode = "graceful";
  #pidFile: PidFile | undefined;
  /** Looked up before a daemon changes its directory. */
  readonly #errorLog: string | undefined;
  #finished: Promise<void> = Promise.resolve();

  constructor(context: ServerRunContext) {
    this.#context = context;
    const { configuration, inherited, logger, metrics, services, sharesPorts, threads } = context;
    const { errorLog } = configuration();
    this.#errorLog = errorLog === undefined ? undefined : resolve(errorLog);
    const { own, data } = threads ? divide(inherited, services) : { own: inherited, data: [] };
    this.#sockets = new SocketTable({ inherited: own, elsewhere: data, shared: sharesPorts });
    this.#threads = threads && this.#createThreads(threads, data);
    this.#runner = new ServiceRunner(
      {
        configuration: configuration(),
        logger,
        metrics,
        threadFor: (handle) => this.#threadFor(handle),
        forget: ({ key }) => this.#published.forget(key),
      },
      this.#threads ?? noOtherThreads,
    );
  }

  /** The sockets that all threads of this process listen on. */
  get sockets(): readonly ServiceSocket[] {
    return [...this.#sockets.open, ...(this.#threads?.sockets ?? [])];
  }

  /** Whether everything has started, and nothing has been told to stop. */
  get serves(): boolean {
    return this.#serves && !this.stopping;
  }

  get stopping(): boolean {
    return this.#stopping.started.aborted;
  }

  get runner(): ServiceRunner {
    return this.#runner;
  }

  get threads(): DataThreads | undefined {
    return this.#threads;
  }

  /** Resolves when everything has stopped; rejects when the start failed. Called once. */
  run(): Promise<void> {
    this.#finished = this.#live();
    return this.#finished;
  }

  /** Stops everything. @param handedOver Whether the next process has the sockets. */
  async stop(mode: StopMode, handedOver = false): Promise<void> {
    this.#beginStop(mode, handedOver);
    // Whoever called run() learns of a failed start; for the caller of stop() it has stopped.
    await this.#finished.catch(() => {});
  }

  async #live(): Promise<void> {
    const { enterPhase, logger, metrics, ownsProcess, shutdownSource } = this.#context;
    const releaseSignals = watchShutdown(shutdownSource, (what) => this.#onRequest(what));
    const releaseGuards = ownsProcess ? guardProcess(logger, metrics) : () => {};
    // Services may hold nothing that keeps the process alive, such as a task that only waits for its signal.
    const alive = setInterval(() => {}, 60_000);
    try {
      await this.#start();
      await whenAborted(this.#stopping.started);
    } finally {
      await this.#shutDown();
      clearInterval(alive);
      releaseGuards();
      releaseSignals();
      enterPhase("Terminated");
    }
  }

  async #start(): Promise<void> {
    const { launchReport, enterPhase, logger, services } = this.#context;
    try {
      const identity = this.#identity();
      if (this.#isDaemon) this.#detach(identity);
      launchReport?.started();
      await Promise.race([this.#startServices(), whenAborted(this.#stopping.started)]);
      if (this.#stopping.started.aborted) return;
      if (identity) this.#become(identity);
      closeInherited(this.#sockets.untaken);
      this.#serves = true;
      enterPhase("Running");
      logger.info({ services: services.map(({ name }) => name) }, "the server runs");
      if (launchReport) {
        // Who started the daemon may look into its log right away.
        await logsWritten(1_000);
        launchReport.ready();
      }
    } catch (error) {
      this.#pidFile?.restore();
      launchReport?.failed(error instanceof Error ? error.message : String(error));
      this.#beginStop("fast");
      throw error;
    }
  }

  async #startServices(): Promise<void> {
    const { services } = this.#context;
    if (!this.#threads) return this.#runner.start(services);
    const release = await this.#reserve();
    try {
      await Promise.all([this.#runner.start(services), this.#threads.start()]);
    } finally {
      release();
    }
  }

  /** Sees to it that the data threads will be able to listen, before there are any. */
  async #reserve(): Promise<() => void> {
    const { configuration, logger, metrics, services } = this.#context;
    const releases = await Promise.all(
      services.flatMap((handle) => {
        if (this.#threads?.isHere(handle)) return [];
        const reserved = handle.service.reserve?.({
          configuration: configuration(),
          logger: logger.child({ service: handle.name }),
          metrics,
          thread: this.#threadFor(handle),
          shutdown: this.#stopping.started,
        });
        return reserved ?? [];
      }),
    );
    return () => {
      for (const release of releases) release();
    };
  }

  #createThreads({ count, program }: { count: number; program: URL }, inherited: ServiceSocket[]): DataThreads {
    const { commandLine, configuration, logger, metrics, services } = this.#context;
    return new DataThreads({
      count,
      program,
      commandLine,
      configuration,
      logger,
      metrics,
      sockets: this.#sockets,
      inherited,
      services: new Map(
        services
          .filter(({ service }) => service.placement === "data")
          .map(({ key, service }) => [key, Math.min(service.threads ?? count, count)]),
      ),
      requestStop: (mode) => this.#beginStop(mode),
      onPublished: (key, value) => this.#published.deliver(key, value, false),
    });
  }

  #threadFor({ key }: ServiceHandle): ThreadContext {
    return {
      index: 0,
      dataThreads: this.#context.threads?.count ?? 1,
      sockets: this.#sockets.forService(key),
      publish: (value) => this.#threads?.publish(key, value),
      onPublished: (listener) => this.#published.listen(key, listener),
    };
  }

  get #isDaemon(): boolean {
    return this.#context.configuration().daemon && this.#context.launchReport !== undefined;
  }

  /** Who to become when everything is bound (`CFG-06`, `CFG-07`). */
  #identity(): Identity | undefined {
    const { user, group } = this.#context.configuration();
    if (user === undefined && group === undefined) return undefined;
    if (process.geteuid?.() === 0) return findIdentity(user, group);
    // A successor has what it should have from the process before it.
    if (this.#context.inherited.length === 0) {
      this.#context.logger.warn({ user, group }, "user and group are ignored, since only root can change them");
    }
    return undefined;
  }

  /** What makes a process a daemon, once it has a session of its own (`DMN-01`, `DMN-02`, `CFG-08`). */
  #detach(identity: Identity | undefined): void {
    const { pidFile, workingDirectory } = this.#context.configuration();
    process.umask(0o007);
    this.#pidFile = PidFile.write(pidFile, identity);
    if (workingDirectory !== undefined) process.chdir(workingDirectory);
  }

  /** Gives up the rights of root, and first what needs them away: so a thread, or the next process, can have it again. */
  #become(identity: Identity): void {
    const { daemon } = this.#context.configuration();
    // Several sockets can share an address only if they belong to the same user.
    for (const { descriptor } of this.sockets) fchownSync(descriptor, identity.uid, identity.gid);
    if (daemon && this.#errorLog !== undefined) chownSync(this.#errorLog, identity.uid, identity.gid);
    becomeIdentity(identity);
  }

  #onRequest(what: ServerRequest): void {
    if (what !== "graceful" && what !== "fast") {
      this.#context.onRequest(what);
      return;
    }
    const first = !this.stopping;
    if (first && what === "graceful") this.#context.enterPhase("GracefulTerminate");
    if (first) this.#stopMode = what;
    this.#stopping.escalate(what);
  }

  #beginStop(mode: StopMode, handedOver = false): void {
    if (!this.stopping) {
      this.#stopMode = mode;
      this.#sockets.handedOver = handedOver;
      if (mode === "graceful" && !handedOver) this.#context.enterPhase("GracefulTerminate");
    }
    this.#stopping.begin(mode);
  }

  async #shutDown(): Promise<void> {
    const { configuration, enterPhase, logger } = this.#context;
    const { gracePeriodMs, gracefulShutdownTimeoutMs } = configuration();
    enterPhase("ShutdownStarted");
    const { force, abandon } = this.#stopping;
    const { handedOver } = this.#sockets;
    const stopped = Promise.all([
      this.#runner.stop(force),
      this.#threads?.stop(this.#stopMode, handedOver, force, abandon),
    ]);
    // When nothing is waited for any longer, what still fails has no reader.
    stopped.catch(() => {});
    await this.#stopping.waitFor(stopped, {
      graceMs: gracePeriodMs,
      forcedMs: gracefulShutdownTimeoutMs,
      onGrace: () => {
        enterPhase("ShutdownGracePeriod");
        logger.info({ gracePeriodMs }, "stopping when what is in flight is finished");
      },
      onForce: () => enterPhase("ShutdownRuntimes"),
    });
    if (this.#runner.unfinished.length > 0) {
      logger.error({ services: this.#runner.unfinished }, "these services did not stop in time");
    }
    this.#pidFile?.remove();
  }
}

/** The inherited sockets of the services that run in this thread, and of those that run in the data threads. */
function divide(
  inherited: readonly ServiceSocket[],
  services: readonly ServiceHandle[],
): { readonly own: ServiceSocket[]; readonly data: ServiceSocket[] } {
  const ofData = services.flatMap(({ key, service }) => {
    if (service.placement !== "data") return [];
    return (service.endpoints?.() ?? []).map(({ kind, address }) => ({ key, kind, address }));
  });
  const { own = [], data = [] } = Object.groupBy(inherited, (socket) =>
    ofData.some(({ key, kind, address }) => belongsTo(socket, key, kind, address)) ? "data" : "own",
  );
  return { own, data };
}
