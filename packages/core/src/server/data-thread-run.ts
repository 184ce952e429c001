import type { ServerConfiguration } from "../configuration/server-configuration.ts";
import type { Logger } from "../observability/logger.ts";
import type { MetricsRegistry } from "../observability/metrics-registry.ts";
import type { ServiceHandle } from "../services/service-handle.ts";
import { whenAborted } from "../services/when-aborted.ts";
import {
  type DataThreadStart,
  type Failure,
  type FromDataThread,
  failureOf,
  type ToDataThread,
} from "../threads/messages.ts";
import { PublishedValues } from "../threads/published-values.ts";
import { SocketTable } from "../threads/socket-table.ts";
import { Tally } from "../threads/tally.ts";
import type { ThreadContext } from "../threads/thread-context.ts";
import type { ExecutionPhase } from "./execution-phase.ts";
import { guardProcess } from "./process-guards.ts";
import { type OtherThreads, ServiceRunner } from "./service-runner.ts";
import type { StopMode } from "./shutdown-signal.ts";
import { Stopping } from "./stopping.ts";

/** What the run of a data thread needs of its server. */
export interface DataThreadRunContext {
  readonly start: DataThreadStart;
  readonly configuration: ServerConfiguration;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  readonly services: readonly ServiceHandle[];
  readonly enterPhase: (phase: ExecutionPhase) => void;
  /** Looks at new settings; what it returns applies them. */
  readonly prepareReload: (configuration: ServerConfiguration) => Promise<() => void>;
  readonly reopenLogs: () => void;
}

/** One run of a server in a data thread: it starts the services that serve traffic, and does what the main thread says. */
export class DataThreadRun implements OtherThreads {
  readonly #context: DataThreadRunContext;
  readonly #runner: ServiceRunner;
  readonly #sockets: SocketTable;
  readonly #published: PublishedValues;
  readonly #stopping = new Stopping();
  readonly #ready = new Tally(1);
  readonly #stopped = new Tally(1);
  #preparing: Promise<(() => void) | undefined> = Promise.resolve(undefined);

  constructor(context: DataThreadRunContext) {
    this.#context = context;
    const { configuration, logger, metrics, start } = context;
    this.#published = new PublishedValues(start.published);
    this.#sockets = new SocketTable({
      inherited: start.inherited,
      elsewhere: start.elsewhere,
      assigned: start.assigned,
      shared: true,
      onListening: (socket) => this.#tell({ type: "listening", socket }),
      onClosed: (socket) => this.#tell({ type: "closed", socket }),
    });
    for (const key of start.ready) this.#ready.add(key, 0);
    this.#runner = new ServiceRunner(
      {
        configuration,
        logger,
        metrics,
        threadFor: (handle) => this.#threadFor(handle),
        forget: ({ key }) => this.#published.forget(key),
      },
      this,
    );
  }

  get runner(): ServiceRunner {
    return this.#runner;
  }

  get stopping(): boolean {
    return this.#stopping.started.aborted;
  }

  /** Resolves when the main thread has told this one to stop, and everything has stopped. */
  async run(): Promise<void> {
    const { enterPhase, logger, metrics, services, start } = this.#context;
    const releaseGuards = guardProcess(logger, metrics);
    start.port.on("message", (message: ToDataThread) => this.#onMessage(message));
    try {
      await Promise.race([this.#startServices(services), whenAborted(this.#stopping.started)]);
      if (!this.stopping) {
        enterPhase("Running");
        this.#tell({ type: "ready", services: services.map(({ key }) => key) });
      }
      await whenAborted(this.#stopping.started);
    } catch (error) {
      this.#tell({ type: "failed", failure: failureOf(error) });
      this.#stopping.begin("fast");
      throw error;
    } finally {
      enterPhase("ShutdownStarted");
      // How long this may take is the main thread's business.
      await Promise.race([this.#runner.stop(this.#stopping.force), whenAborted(this.#stopping.abandon)]);
      releaseGuards();
      enterPhase("Terminated");
      this.#tell({ type: "stopped" });
      start.port.close();
      start.metricsPort.close();
    }
  }

  /** Asks the main thread to stop the server. */
  requestStop(mode: StopMode): void {
    this.#tell({ type: "requestStop", mode });
  }

  isHere({ service }: ServiceHandle): boolean {
    return service.placement === "data" && this.#context.start.index <= (service.threads ?? Number.POSITIVE_INFINITY);
  }

  whenReady({ key, service }: ServiceHandle): Promise<void> {
    return service.placement === "data" ? Promise.resolve() : this.#ready.complete(key);
  }

  whenStopped({ key, service }: ServiceHandle): Promise<void> {
    return service.placement === "data" ? Promise.resolve() : this.#stopped.complete(key);
  }

  tellReady({ key }: ServiceHandle): void {
    this.#tell({ type: "serviceReady", key });
  }

  tellStopped({ key }: ServiceHandle): void {
    this.#tell({ type: "serviceStopped", key });
  }

  async #startServices(services: readonly ServiceHandle[]): Promise<void> {
    const { configuration, logger, metrics } = this.#context;
    for (const handle of services) {
      if (this.isHere(handle)) continue;
      if (handle.service.placement === "data") {
        // It runs in other data threads only: nobody has to wait for this one.
        this.tellReady(handle);
        this.tellStopped(handle);
        continue;
      }
      // Its like in the main thread does the work; this one may follow what that publishes.
      await handle.service.follow?.({
        configuration,
        logger: logger.child({ service: handle.name }),
        metrics,
        thread: this.#threadFor(handle),
        shutdown: this.#stopping.started,
      });
    }
    await this.#runner.start(services);
  }

  #threadFor({ key }: ServiceHandle): ThreadContext {
    const { index, dataThreads } = this.#context.start;
    return {
      index,
      dataThreads,
      sockets: this.#sockets.forService(key),
      publish: (value) => this.#tell({ type: "published", key, value }),
      onPublished: (listener) => this.#published.listen(key, listener),
    };
  }

  #onMessage(message: ToDataThread): void {
    switch (message.type) {
      case "stop":
        this.#sockets.handedOver = message.handedOver;
        this.#stopping.begin(message.mode);
        break;
      case "serviceReady":
        this.#ready.add(message.key, 0);
        break;
      case "serviceStopped":
        this.#stopped.add(message.key, 0);
        break;
      case "published":
        this.#published.deliver(message.key, message.value, true);
        break;
      case "prepareReload":
        this.#prepareReload(message.configuration);
        break;
      case "endReload":
        void this.#endReload(message.commit);
        break;
      case "reopenLogs":
        this.#context.reopenLogs();
        break;
    }
  }

  #prepareReload(configuration: ServerConfiguration): void {
    const answer = (failure?: Failure): void => this.#tell({ type: "reloadPrepared", failure });
    this.#preparing = this.#context.prepareReload(configuration).then(
      (commit) => {
        answer();
        return commit;
      },
      (error: unknown) => {
        answer(failureOf(error));
        return undefined;
      },
    );
  }

  async #endReload(commit: boolean): Promise<void> {
    const apply = await this.#preparing;
    if (commit) apply?.();
  }

  #tell(message: FromDataThread): void {
    this.#context.start.port.postMessage(message);
  }
}
