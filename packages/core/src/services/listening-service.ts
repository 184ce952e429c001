import { Acceptance } from "../acceptance/acceptance.ts";
import type { AcceptanceOptions, ConnectionLimits } from "../acceptance/acceptance-options.ts";
import { type AcceptancePlan, planAcceptance } from "../acceptance/acceptance-plan.ts";
import type { ConnectionFilter } from "../acceptance/connection-filter.ts";
import { assertLimits, ConnectionLimiter, isLimited } from "../acceptance/connection-limiter.ts";
import { declareSharedCount, openCount } from "../acceptance/open-count.ts";
import type { TlsAcceptor } from "../acceptance/tls/tls-acceptor.ts";
import type { TlsSettings } from "../acceptance/tls/tls-settings.ts";
import type { ServerConfiguration } from "../configuration/server-configuration.ts";
import { CirqueError } from "../errors/cirque-error.ts";
import type { TcpListenerOptions, UnixListenerOptions } from "../listeners/bind-options.ts";
import type { Endpoint } from "../listeners/endpoint.ts";
import { Listener, type ListenerEvents } from "../listeners/listener.ts";
import type { ConnectionHandler } from "./connection-handler.ts";
import type { ReloadAnswer, Service, ServiceContext, ServicePlacement } from "./service.ts";

/** How a listening service is made. */
export interface ListeningServiceOptions {
  /**
   * Where it runs when the server has several threads. Default: `"data"`, in each data thread; `"main"` is for what shows
   * or controls the whole server.
   */
  readonly placement?: ServicePlacement;
  /** In how many of the data threads it runs (`SVC-01`). Default: in all. */
  readonly threads?: number;
}

/** Accepts connections at its addresses and gives them to a handler (`SVC-08`). */
export class ListeningService<Handler extends ConnectionHandler = ConnectionHandler> implements Service {
  readonly name: string;
  readonly handler: Handler;
  readonly placement: ServicePlacement;
  readonly threads: number | undefined;
  readonly #listeners: Listener[] = [];
  readonly #plans = new Map<Listener, AcceptancePlan>();
  readonly #acceptances: Acceptance[] = [];
  #limits: ConnectionLimits | undefined;
  #limiter: ConnectionLimiter | undefined;
  #connectionFilter: ConnectionFilter | undefined;
  #context: ServiceContext | undefined;
  readonly #removeGauges: (() => void)[] = [];

  constructor(name: string, handler: Handler, options: ListeningServiceOptions = {}) {
    this.name = name;
    this.handler = handler;
    this.placement = options.placement ?? "data";
    this.threads = checkedThreads(name, options.threads);
  }

  /**
   * Adds an address such as `127.0.0.1:8080` or `[::]:0`; with port 0 the system chooses one (`LST-01`).
   *
   * @throws CirqueError `InvalidArgument` when the address is malformed, an option cannot be used, or the service was
   * started; with `tls` also `FileReadError` and `InvalidCert`.
   */
  addTcp(address: string, options: TcpListenerOptions & AcceptanceOptions = {}): this {
    return this.#add(Listener.tcp(address, options), options);
  }

  /** Adds the path of a Unix socket (`LST-02`). A stale one is replaced. Throws like {@link addTcp}. */
  addUnix(path: string, options: UnixListenerOptions & AcceptanceOptions = {}): this {
    return this.#add(Listener.unix(path, options), options);
  }

  /**
   * Adds an address at which TLS is terminated (`LST-18`): {@link addTcp} with `tls`. Throws like it.
   *
   * @param tls Certificate, key and the rest; or something that knows more, such as a store of certificates.
   *
   * @example
   * service.addTls("0.0.0.0:443", { cert: "site.pem", key: "site.key" });
   */
  addTls(address: string, tls: TlsSettings | TlsAcceptor, options: TcpListenerOptions & AcceptanceOptions = {}): this {
    return this.addTcp(address, { ...options, tls });
  }

  /**
   * Limits the connections of all its addresses together (`LST-33`); those of one address are limited by its options.
   *
   * @throws CirqueError `InvalidArgument` for a limit that is none, or when the service was started.
   */
  limitConnections(limits: ConnectionLimits): this {
    this.#assertNotStarted("limits have");
    assertLimits(limits);
    declareSharedCount(this.name);
    this.#limits = limits;
    return this;
  }

  /** Filters the connections of each address that has no `connectionFilter` of its own (`LST-17`). */
  filterConnections(filter: ConnectionFilter): this {
    this.#assertNotStarted("a filter has");
    this.#connectionFilter = filter;
    return this;
  }

  /** The addresses as they were configured. */
  endpoints(): readonly Endpoint[] {
    return this.#listeners.map((listener) => listener.endpoint);
  }

  /** The addresses that are bound, in the same order: `127.0.0.1:53211`, `unix:/run/x.sock`. Empty unless started. */
  addresses(): readonly string[] {
    return this.#listeners.map((listener) => listener.boundAddress).filter((address) => address !== undefined);
  }

  async start(context: ServiceContext): Promise<void> {
    this.#context = context;
    if (this.#limits !== undefined) {
      this.#limiter = new ConnectionLimiter("the service", this.#limits, openCount(this.name, context.thread));
    }
    if (this.#listeners.length === 0) context.logger.warn("the service has no address to listen on");
    await this.handler.start?.(context);
    const bound = await Promise.allSettled(this.#listeners.map((listener) => this.#bind(listener, context)));
    const failed = bound.find((result) => result.status === "rejected");
    if (!failed) return;
    this.#close();
    throw failed.reason;
  }

  async reserve(context: ServiceContext): Promise<() => void> {
    const { thread, shutdown } = context;
    const releases = await Promise.all(
      this.#listeners.map((listener) => listener.reserve(retryEvents(listener, context), thread.sockets, shutdown)),
    );
    return () => {
      for (const release of releases) release();
    };
  }

  /** Reads the files of certificates again, besides what the handler does. One that cannot be used refuses the reload. */
  async reload(configuration: ServerConfiguration): Promise<ReloadAnswer> {
    const answers = this.#acceptances.map((acceptance) => acceptance.reload());
    answers.push(await this.handler.reload?.(configuration));
    return () => {
      for (const apply of answers) apply?.();
    };
  }

  async stop(force: AbortSignal): Promise<void> {
    this.#close();
    try {
      await Promise.all(this.#acceptances.splice(0).map((acceptance) => acceptance.stop(force)));
      await this.handler.drain(force);
    } finally {
      for (const remove of this.#removeGauges.splice(0)) remove();
    }
  }

  #add(listener: Listener, options: AcceptanceOptions): this {
    this.#assertNotStarted(`${listener.endpoint.address} has`);
    this.#plans.set(listener, planAcceptance(options, this.handler.alpn));
    if (isLimited(options)) declareSharedCount(`${this.name} ${listener.endpoint.address}`);
    this.#listeners.push(listener);
    return this;
  }

  #assertNotStarted(what: string): void {
    if (!this.#context) return;
    throw new CirqueError("InvalidArgument", `${what} to be added before the service "${this.name}" starts`);
  }

  async #acceptance(listener: Listener, context: ServiceContext): Promise<Acceptance> {
    const { name, handler, placement } = this;
    const owner = { name, handler, placement, limiter: this.#limiter, connectionFilter: this.#connectionFilter };
    const plan = this.#plans.get(listener) as AcceptancePlan; // `#add` has put it there
    const acceptance = await Acceptance.start(owner, listener.endpoint, plan, context);
    this.#acceptances.push(acceptance);
    return acceptance;
  }

  #close(): void {
    for (const listener of this.#listeners) listener.close();
  }

  async #bind(listener: Listener, context: ServiceContext): Promise<void> {
    const { logger, metrics, shutdown, thread } = context;
    const labels = { service: this.name, listener: listener.endpoint.address };
    const failed = metrics.counter("cirque_accept_errors_total", "Connections that could not be accepted", labels);
    const open = (): Promise<number> => listener.connectionCount();
    this.#removeGauges.push(
      metrics.gaugeFrom("cirque_connections_open", "Accepted connections that are open", open, labels),
    );
    const acceptance = await this.#acceptance(listener, context);
    const acceptError = logOncePerSecond((error) =>
      logger.error({ err: error, ...labels }, "a connection was not accepted"),
    );
    await listener.bind(
      {
        connection: (socket) => acceptance.accept(socket),
        acceptError: (error) => {
          failed.inc();
          acceptError(error);
        },
        ...retryEvents(listener, context),
      },
      thread,
      shutdown,
    );
    if (listener.boundAddress !== undefined) logger.info({ address: listener.boundAddress }, "listening");
  }
}

function retryEvents({ endpoint }: Listener, { logger }: ServiceContext): Pick<ListenerEvents, "retry"> {
  const { address } = endpoint;
  return {
    retry: (error, attempt) => logger.warn({ attempt, listener: address }, `${error.message}. It is tried again`),
  };
}

/** When descriptors run out, every connection fails, and a line for each would fill the disk as well. */
function logOncePerSecond(log: (error: Error) => void): (error: Error) => void {
  let last = Number.NEGATIVE_INFINITY;
  return (error) => {
    const time = performance.now();
    if (time - last < 1_000) return;
    last = time;
    log(error);
  };
}

function checkedThreads(service: string, threads: number | undefined): number | undefined {
  if (threads === undefined || (Number.isInteger(threads) && threads >= 1)) return threads;
  throw new CirqueError(
    "InvalidArgument",
    `threads of service "${service}": expected a whole number from 1, found ${threads}`,
  );
}
