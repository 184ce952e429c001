import type { Socket } from "node:net";
import {
  type AcceptedConnection,
  type ConnectionHandler,
  type ConnectOptions,
  keylogWriter,
  type Logger,
  MetricsRegistry,
  type ReloadAnswer,
  type ServerConfiguration,
  type ServiceContext,
  silentLogger,
  TransportConnector,
  withDefaults,
} from "@cirque/core";
import type { ProxyTcp } from "./proxy-tcp.ts";
import { type TcpEnvironment, TcpExchange } from "./tcp-exchange.ts";
import { TcpProxyMetrics } from "./tcp-proxy-metrics.ts";

/** Settings of a TCP proxy, in milliseconds. */
export interface TcpProxyOptions {
  /** The name of the service, and the label `service` of its metrics. Default `TCP proxy`. */
  readonly name?: string;
  /** How many peers are tried for a connection in all. Default: `maxRetries` of the configuration, 3. */
  readonly maxAttempts?: number;
  /** Silence in both directions after which a connection is closed. Default one hour. */
  readonly idleTimeoutMs?: number;
  /** How long a callback may take to settle; then the connection is reset. Default one minute. */
  readonly callbackTimeoutMs?: number;
  /**
   * Whether to read the client's first TLS message before `upstreamPeer` is asked, to route by the name in it. The bytes
   * go to the peer unchanged; TLS is not terminated. A client that sends something else is reset. Default false.
   */
  readonly readClientHello?: boolean;
  /** How long that message may take. Default 10 s. */
  readonly clientHelloTimeoutMs?: number;
  /** Whether each connection is logged when it is over. Default false. */
  readonly accessLog?: boolean;
  /** Whether TLS secrets of connections to peers go to the file named by `SSLKEYLOGFILE`. Default: that of the configuration. */
  readonly keylog?: boolean;
  /** What holds for all connections to peers. Default: source addresses and trust roots of the configuration. */
  readonly connect?: ConnectOptions;
}

/** What holds where the options say nothing. */
export const DEFAULT_TCP_PROXY_OPTIONS: Required<TcpProxyOptions> = {
  name: "TCP proxy",
  maxAttempts: 3,
  idleTimeoutMs: 3_600_000,
  callbackTimeoutMs: 60_000,
  readClientHello: false,
  clientHelloTimeoutMs: 10_000,
  accessLog: false,
  keylog: false,
  connect: {},
};

/** Carries connections to peers. Used by a listening service, or by an accept loop of the user's own. */
export class TcpProxy<Ctx> implements ConnectionHandler {
  /** The options that follow from new settings of the server. Default: there are none. */
  onReload: ((configuration: ServerConfiguration) => TcpProxyOptions) | undefined;
  readonly #callbacks: ProxyTcp<Ctx>;
  #options: Required<TcpProxyOptions>;
  readonly #exchanges = new Set<TcpExchange<Ctx>>();
  #logger: Logger = silentLogger;
  #metrics: MetricsRegistry = new MetricsRegistry();
  #environment: TcpEnvironment<Ctx>;
  #onEmpty: (() => void) | undefined;

  /** @throws CirqueError `InvalidArgument` for an option that is not of its kind. */
  constructor(callbacks: ProxyTcp<Ctx>, options: TcpProxyOptions = {}) {
    this.#callbacks = callbacks;
    this.#options = withDefaults(DEFAULT_TCP_PROXY_OPTIONS, options);
    this.#environment = this.#createEnvironment(this.#options);
  }

  /** Takes logger and metrics of the server (before that, nothing is logged). */
  start({ logger, metrics }: ServiceContext): void {
    this.#logger = logger;
    this.#metrics = metrics;
    this.#environment = this.#createEnvironment(this.#options);
  }

  /**
   * New options, from the next connection on.
   *
   * @returns what applies them.
   * @throws CirqueError `InvalidArgument` for an option that is not of its kind.
   */
  prepareOptions(options: TcpProxyOptions): () => void {
    const resolved = withDefaults(DEFAULT_TCP_PROXY_OPTIONS, options);
    const environment = this.#createEnvironment(resolved);
    return () => {
      this.#options = resolved;
      this.#environment = environment;
    };
  }

  /** Looks at new settings of the server: see {@link onReload}. */
  reload(configuration: ServerConfiguration): ReloadAnswer {
    return this.onReload && this.prepareOptions(this.onReload(configuration));
  }

  handle(socket: Socket, accepted: AcceptedConnection): void {
    let ctx: Ctx;
    try {
      ctx = this.#callbacks.newCtx?.() as Ctx; // without newCtx, Ctx is void
    } catch (error) {
      this.#refuse(socket, error);
      return;
    }
    const exchange = new TcpExchange(this.#environment, socket, accepted, ctx);
    this.#exchanges.add(exchange);
    void exchange.run().finally(() => {
      this.#exchanges.delete(exchange);
      if (this.#exchanges.size === 0) this.#onEmpty?.();
    });
  }

  /**
   * Waits until the connections have ended by themselves: TCP has no way to ask for that. When `force` aborts, resets
   * those that are left.
   */
  async drain(force: AbortSignal): Promise<void> {
    const stopAll = (): void => {
      for (const exchange of this.#exchanges) exchange.stop();
    };
    if (force.aborted) stopAll();
    force.addEventListener("abort", stopAll, { once: true });
    if (this.#exchanges.size > 0) {
      await new Promise<void>((resolve) => {
        this.#onEmpty = resolve;
      });
    }
    force.removeEventListener("abort", stopAll);
  }

  #refuse(socket: Socket, error: unknown): void {
    const { metrics, logger } = this.#environment;
    socket.on("error", () => {});
    socket.destroy();
    metrics.connections.inc();
    metrics.failed("callback");
    logger.error({ err: error }, "the callback `newCtx` failed");
  }

  #createEnvironment({ name, keylog, connect, ...options }: Required<TcpProxyOptions>): TcpEnvironment<Ctx> {
    return {
      ...options,
      callbacks: this.#callbacks,
      logger: this.#logger,
      metrics: new TcpProxyMetrics(this.#metrics, name),
      connector: new TransportConnector(keylog ? { onKeylog: keylogWriter(this.#logger), ...connect } : connect),
    };
  }
}
