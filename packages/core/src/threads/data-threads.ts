import type { ServerConfiguration } from "../configuration/server-configuration.ts";
import { CirqueError } from "../errors/cirque-error.ts";
import type { Logger } from "../observability/logger.ts";
import type { MetricsRegistry } from "../observability/metrics-registry.ts";
import type { CommandLine } from "../server/command-line.ts";
import type { OtherThreads } from "../server/service-runner.ts";
import type { StopMode } from "../server/shutdown-signal.ts";
import type { ServiceHandle } from "../services/service-handle.ts";
import { whenAborted } from "../services/when-aborted.ts";
import { DataThread } from "./data-thread.ts";
import type { ServiceSocket } from "./listening-sockets.ts";
import { errorOf, type FromDataThread, type ToDataThread } from "./messages.ts";
import { RestartDelay } from "./restart-delay.ts";
import type { SocketTable } from "./socket-table.ts";
import { Tally } from "./tally.ts";

/** What the data threads of a server need of it. */
export interface DataThreadsContext {
  readonly count: number;
  /** The module that each of them runs. */
  readonly program: URL;
  readonly commandLine: CommandLine;
  /** The settings in force: asked for at each start of a thread. */
  readonly configuration: () => ServerConfiguration;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  /** Those of the main thread. */
  readonly sockets: SocketTable;
  /** The inherited sockets that are for the data threads. */
  readonly inherited: readonly ServiceSocket[];
  /** The keys of the services that run in the data threads, and in how many of them. */
  readonly services: ReadonlyMap<string, number>;
  /** A data thread wants the server to stop. */
  readonly requestStop: (mode: StopMode) => void;
  /** A service of a data thread says something to its like in the main thread. */
  readonly onPublished: (key: string, value: unknown) => void;
}

/** How long a thread may take to look at new settings. */
const reloadTimeoutMs = 10_000;

/**
 * The data threads of a server, seen from the main thread: starts them, replaces those that die, and passes on what
 * services in different threads have to know of each other (design: threads, and what they share).
 */
export class DataThreads implements OtherThreads {
  readonly #context: DataThreadsContext;
  readonly #threads = new Map<number, DataThread>();
  readonly #metricsOfDead = new Map<number, () => void>();
  readonly #restarts = new Map<number, RestartDelay>();
  readonly #sockets = new Map<DataThread, Set<ServiceSocket>>();
  readonly #published = new Map<string, unknown>();
  readonly #readyHere = new Set<string>();
  readonly #shares: Map<number, readonly ServiceSocket[]>;
  readonly #ready: Tally;
  readonly #stopped: Tally;
  readonly #started = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<void>();
  readonly #readyThreads = new Set<number>();
  readonly #serving = new Set<DataThread>();
  #reload: { readonly waiting: Set<DataThread>; readonly done: (error?: unknown) => void } | undefined;
  #serves = false;
  #stopping: { readonly mode: StopMode; readonly handedOver: boolean } | undefined;

  constructor(context: DataThreadsContext) {
    this.#context = context;
    this.#shares = sharesOf(context.inherited, context);
    this.#ready = new Tally(context.count);
    this.#stopped = new Tally(context.count);
    // Whoever waits for a service has its own part of these.
    this.#started.promise.catch(() => {});
  }

  /** The sockets that data threads listen on. */
  get sockets(): readonly ServiceSocket[] {
    return Array.from(this.#sockets.values()).flatMap((sockets) => [...sockets]);
  }

  /** How many of them serve at the moment. */
  get serving(): number {
    return this.#serving.size;
  }

  /**
   * Starts them all, and resolves when they serve.
   *
   * @throws CirqueError when one of them fails.
   */
  start(): Promise<void> {
    const { count, metrics } = this.#context;
    metrics.gauge("cirque_data_threads", "Data threads that serve").set(0);
    for (let index = 1; index <= count; index++) this.#spawn(index);
    return this.#started.promise;
  }

  /** Tells them to stop, and resolves when they have ended; ends those that are left when `abandon` aborts. */
  async stop(mode: StopMode, handedOver: boolean, force: AbortSignal, abandon: AbortSignal): Promise<void> {
    this.#stopping = { mode, handedOver };
    for (const delay of this.#restarts.values()) delay.cancel();
    this.#broadcast({ type: "stop", mode, handedOver });
    void whenAborted(force).then(() => this.#broadcast({ type: "stop", mode: "fast", handedOver }));
    void whenAborted(abandon).then(() => {
      for (const thread of this.#threads.values()) thread.kill();
    });
    if (this.#threads.size === 0) this.#end();
    await this.#ended.promise;
  }

  isHere({ service }: ServiceHandle): boolean {
    return service.placement !== "data";
  }

  whenReady({ key }: ServiceHandle): Promise<void> {
    return Promise.race([this.#ready.complete(key), this.#started.promise]);
  }

  whenStopped({ key }: ServiceHandle): Promise<void> {
    return Promise.race([this.#stopped.complete(key), this.#ended.promise]);
  }

  tellReady({ key }: ServiceHandle): void {
    this.#readyHere.add(key);
    this.#broadcast({ type: "serviceReady", key });
  }

  tellStopped({ key }: ServiceHandle): void {
    this.#readyHere.delete(key);
    this.#published.delete(key);
    this.#broadcast({ type: "serviceStopped", key });
  }

  /** Passes a value on to the service in all threads, and keeps it for threads that start later. */
  publish(key: string, value: unknown): void {
    this.#published.set(key, value);
    this.#broadcast({ type: "published", key, value });
  }

  /** @throws what the first thread that refuses the settings threw; then none of them may apply them. */
  async prepareReload(configuration: ServerConfiguration): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiting = new Set(this.#serving);
    if (waiting.size === 0) return;
    const timer = setTimeout(() => {
      const stuck = Array.from(waiting, ({ index }) => index);
      reject(
        CirqueError.internal(
          "InternalError",
          `data thread ${stuck.join(", ")} did not answer within ${reloadTimeoutMs} ms; it may be stuck in a callback`,
        ),
      );
    }, reloadTimeoutMs);
    this.#reload = { waiting, done: (error) => (error === undefined ? resolve() : reject(error)) };
    this.#broadcast({ type: "prepareReload", configuration: sendable(configuration) });
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      this.#reload = undefined;
    }
  }

  endReload(commit: boolean): void {
    this.#broadcast({ type: "endReload", commit });
  }

  reopenLogs(): void {
    this.#broadcast({ type: "reopenLogs" });
  }

  #spawn(index: number): void {
    const { commandLine, count, configuration, metrics, program, sockets } = this.#context;
    const thread = new DataThread(
      program,
      {
        index,
        dataThreads: count,
        commandLine,
        configuration: sendable(configuration()),
        inherited: this.#shares.get(index) ?? [],
        elsewhere: this.#context.inherited,
        assigned: sockets.assigned,
        published: this.#published,
        ready: [...this.#readyHere],
      },
      {
        onMessage: (message, from) => this.#onMessage(message, from),
        onExit: (from, error) => this.#onExit(from, error),
      },
    );
    // They end with the thread that has them: one that takes its place binds anew.
    this.#shares.delete(index);
    this.#threads.set(index, thread);
    this.#metricsOfDead.set(index, metrics.addThread(String(index), thread.metricsPort, this.#context.logger));
  }

  #onMessage(message: FromDataThread, thread: DataThread): void {
    switch (message.type) {
      case "ready":
        this.#onReady(thread, message.services);
        break;
      case "failed":
        this.#onFailed(thread, errorOf(thread.index, message.failure));
        break;
      case "stopped":
        this.#serving.delete(thread);
        break;
      case "requestStop":
        this.#context.requestStop(message.mode);
        break;
      case "serviceReady":
        this.#ready.add(message.key, thread.index);
        break;
      case "serviceStopped":
        this.#stopped.add(message.key, thread.index);
        break;
      case "published":
        this.#context.onPublished(message.key, message.value);
        break;
      case "listening":
        this.#socketsOf(thread).add(message.socket);
        break;
      case "closed":
        this.#forgetSocket(thread, message.socket);
        break;
      case "reloadPrepared":
        this.#onReloadPrepared(thread, message.failure && errorOf(thread.index, message.failure));
        break;
    }
  }

  #onReady(thread: DataThread, services: readonly string[]): void {
    const missing = [...this.#context.services.keys()].filter((key) => !services.includes(key));
    if (missing.length > 0) {
      const message =
        "the program adds services in the main thread that it does not add in a data thread: these do not run";
      this.#context.logger.warn({ thread: thread.index, services: missing }, message);
    }
    this.#readyThreads.add(thread.index);
    this.#serving.add(thread);
    this.#showServing();
    if (this.#serves) {
      this.#context.logger.info({ thread: thread.index }, "the data thread serves again");
    } else if (this.#readyThreads.size === this.#context.count) {
      this.#serves = true;
      this.#started.resolve();
    }
  }

  #onFailed(thread: DataThread, error: unknown): void {
    if (this.#serves || this.#stopping) {
      this.#context.logger.error({ err: error, thread: thread.index }, "the data thread could not start");
      return;
    }
    this.#started.reject(error);
  }

  #onExit(thread: DataThread, error: Error | undefined): void {
    const { index } = thread;
    const { logger, metrics } = this.#context;
    this.#threads.delete(index);
    this.#sockets.delete(thread);
    this.#serving.delete(thread);
    this.#showServing();
    this.#metricsOfDead.get(index)?.();
    this.#onReloadPrepared(thread, undefined);
    if (this.#stopping) {
      if (this.#threads.size === 0) this.#end();
      return;
    }
    const reason = error?.message ?? "it ended by itself";
    if (!this.#serves) {
      const message = `data thread ${index} ended before it served: ${reason}. A program that runs in several threads has to call run() or runForever() in each`;
      this.#started.reject(CirqueError.internal("InternalError", message, { cause: error }));
      return;
    }
    metrics.threadRestarted(String(index));
    const delay = this.#restarts.get(index) ?? new RestartDelay();
    this.#restarts.set(index, delay);
    const delayMs = delay.schedule(performance.now() - thread.startedAt, () => this.#spawn(index));
    logger.error({ err: error, thread: index, delayMs }, `the data thread died: ${reason}. It is started again`);
  }

  #onReloadPrepared(thread: DataThread, error: unknown): void {
    if (!this.#reload?.waiting.delete(thread)) return;
    if (error !== undefined) this.#reload.done(error);
    else if (this.#reload.waiting.size === 0) this.#reload.done();
  }

  #end(): void {
    this.#started.resolve();
    this.#ended.resolve();
  }

  #broadcast(message: ToDataThread): void {
    for (const thread of this.#threads.values()) thread.tell(message);
  }

  #showServing(): void {
    this.#context.metrics.gauge("cirque_data_threads", "Data threads that serve").set(this.#serving.size);
  }

  #socketsOf(thread: DataThread): Set<ServiceSocket> {
    let sockets = this.#sockets.get(thread);
    if (!sockets) {
      sockets = new Set();
      this.#sockets.set(thread, sockets);
    }
    return sockets;
  }

  /** Another object than the one that was announced: it has crossed threads. */
  #forgetSocket(thread: DataThread, { descriptor }: ServiceSocket): void {
    const sockets = this.#socketsOf(thread);
    for (const socket of sockets) if (socket.descriptor === descriptor) sockets.delete(socket);
  }
}

/**
 * The inherited sockets that each thread serves: of each address every n-th one, so that none is left out, however many
 * threads there were before. A Unix socket is one for all, and the first thread has it.
 */
function sharesOf(
  inherited: readonly ServiceSocket[],
  { count, services }: Pick<DataThreadsContext, "count" | "services">,
): Map<number, ServiceSocket[]> {
  const shares = new Map<number, ServiceSocket[]>();
  const next = new Map<string, number>();
  for (const socket of inherited) {
    const key = JSON.stringify([socket.service, socket.kind, socket.address]);
    const position = next.get(key) ?? 0;
    next.set(key, position + 1);
    const index = (position % (services.get(socket.service) ?? count)) + 1;
    shares.set(index, [...(shares.get(index) ?? []), socket]);
  }
  return shares;
}

/** Settings of a program's own, given in code, may be what cannot cross threads: the thread has them from its own code. */
function sendable(configuration: ServerConfiguration): ServerConfiguration {
  try {
    return structuredClone(configuration);
  } catch {
    return { ...configuration, userSettings: {} };
  }
}
