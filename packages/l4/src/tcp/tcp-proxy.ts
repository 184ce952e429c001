import type { Socket } from "node:net";
import {
  type AcceptedConnection,
  type ConnectionHandler,
  type ConnectOptions,
  type Logger,
  MetricsRegistry,
  type ServiceContext,
  silentLogger,
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
  /**
   * Whether to read the client's first TLS message before `upstreamPeer` is asked, to route by the name in it. The bytes
   * go to the peer unchanged; TLS is not terminated. A client that sends something else is reset. Default false.
   */
  readonly readClientHello?: boolean;
  /** How long that message may take. Default 10 s. */
  readonly clientHelloTimeoutMs?: number;
  /** Whether each connection is logged when it is over. Default false. */
  readonly accessLog?: boolean;
  /** What holds for all connections to peers. Default: source addresses and trust roots of the configuration. */
  readonly connect?: ConnectOptions;
}

/** What holds where the options say nothing. */
export const DEFAULT_TCP_PROXY_OPTIONS: Required<TcpProxyOptions> = {
  name: "TCP proxy",
  maxAttempts: 3,
  idleTimeoutMs: 3_600_000,
  readClientHello: false,
  clientHelloTimeoutMs: 10_000,
  accessLog: false,
  connect: {},
};

/** Carries connections to peers. Used by a listening service, or by an accept loop of the user's own. */
export class TcpProxy<Ctx> implements ConnectionHandler {
  readonly #callbacks: ProxyTcp<Ctx>;
  readonly #options: Required<TcpProxyOptions>;
  readonly #exchanges = new Set<TcpExchange<Ctx>>();
  #environment: TcpEnvironment<Ctx>;
  #onEmpty: (() => void) | undefined;

  /** @throws CirqueError `InvalidArgument` for an option that is not of its kind. */
  constructor(callbacks: ProxyTcp<Ctx>, options: TcpProxyOptions = {}) {
    this.#callbacks = callbacks;
    this.#options = withDefaults(DEFAULT_TCP_PROXY_OPTIONS, options);
    this.#environment = this.#createEnvironment(silentLogger, new MetricsRegistry());
  }

  /** Takes logger and metrics of the server (before that, nothing is logged). */
  start({ logger, metrics }: ServiceContext): void {
    this.#environment = this.#createEnvironment(logger, metrics);
  }

  handle(socket: Socket, accepted: AcceptedConnection): void {
    const exchange = new TcpExchange(this.#environment, socket, accepted);
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

  #createEnvironment(logger: Logger, metrics: MetricsRegistry): TcpEnvironment<Ctx> {
    const { name, ...options } = this.#options;
    return { callbacks: this.#callbacks, logger, metrics: new TcpProxyMetrics(metrics, name), ...options };
  }
}
