import { CirqueError } from "../errors/cirque-error.ts";
import type { Service, ServiceContext } from "./service.ts";
import { whenAborted } from "./when-aborted.ts";

/**
 * Work that runs beside the traffic: health checks, discovery, certificates (`SVC-05`). It has one of the two methods,
 * and runs until the promise settles; it should end when `shutdown` aborts. A failure is logged and counted.
 */
export interface BackgroundTask {
  /** The service is ready as soon as this was called. */
  start?(shutdown: AbortSignal, context: ServiceContext): Promise<void> | void;
  /**
   * The service is ready when `notifyReady` is called or the promise resolves (`SVC-02`). A rejection before that makes
   * the start of the server fail.
   */
  startWithReadyNotifier?(
    shutdown: AbortSignal,
    notifyReady: () => void,
    context: ServiceContext,
  ): Promise<void> | void;
  /**
   * With several threads, the task runs once, in the main thread. This is called for its like in each data thread, which
   * can listen there to what the task publishes: `context.thread.onPublished`. It must not block.
   */
  follow?(shutdown: AbortSignal, context: ServiceContext): Promise<void> | void;
}

/**
 * Makes a service named `BG ${name}` of a task (`SVC-06`).
 *
 * @throws CirqueError `InvalidArgument` when the task has neither method.
 */
export function backgroundService<Task extends BackgroundTask>(name: string, task: Task): BackgroundService<Task> {
  return new BackgroundService(name, task);
}

/** See {@link backgroundService}. */
export class BackgroundService<Task extends BackgroundTask = BackgroundTask> implements Service {
  readonly name: string;
  /** The task, to be shared with the parts that use its results. */
  readonly task: Task;
  #running: Promise<void> = Promise.resolve();

  constructor(name: string, task: Task) {
    if (!task.start && !task.startWithReadyNotifier) {
      const message = `the task of background service "${name}" has neither start nor startWithReadyNotifier`;
      throw new CirqueError("InvalidArgument", message);
    }
    this.name = `BG ${name}`;
    this.task = task;
  }

  start(context: ServiceContext): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    let ready = false;
    const notifyReady = (): void => {
      ready = true;
      resolve();
    };
    context.shutdown.addEventListener("abort", notifyReady, { once: true });
    this.#running = this.#work(context, notifyReady).then(notifyReady, (error: unknown) => {
      if (ready) this.#reportFailure(context, error);
      else reject(error);
    });
    return promise;
  }

  async follow(context: ServiceContext): Promise<void> {
    await this.task.follow?.(context.shutdown, context);
  }

  async stop(force: AbortSignal): Promise<void> {
    await Promise.race([this.#running, whenAborted(force)]);
  }

  async #work(context: ServiceContext, notifyReady: () => void): Promise<void> {
    const { shutdown } = context;
    if (this.task.startWithReadyNotifier) return this.task.startWithReadyNotifier(shutdown, notifyReady, context);
    notifyReady();
    return this.task.start?.(shutdown, context);
  }

  #reportFailure({ logger, metrics, shutdown }: ServiceContext, error: unknown): void {
    // Waiting with the signal rejects when it aborts; a task that lets that through has ended as it was told to.
    if (shutdown.aborted && (error === shutdown.reason || (error instanceof Error && error.name === "AbortError")))
      return;
    logger.error({ err: error }, "the background task failed and does not run any more");
    const help = "Background tasks that failed";
    metrics.counter("cirque_background_task_failures_total", help, { service: this.name }).inc();
  }
}
