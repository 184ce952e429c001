import type { Socket } from "node:net";
import {
  type AcceptedConnection,
  type ConnectionHandler,
  HttpConnector,
  type HttpConnectorOptions,
  HttpServer,
  type HttpServerApp,
  type HttpServerOptions,
  keylogWriter,
  type Logger,
  MetricsRegistry,
  type Refusal,
  type ReloadAnswer,
  type ServerConfiguration,
  type ServerSession,
  type ServiceContext,
  silentLogger,
} from "@cirque/core";
import { settledInTime } from "./exchange/callback-deadline.ts";
import { createEnvironment } from "./exchange/create-environment.ts";
import type { ExchangeEnvironment } from "./exchange/environment.ts";
import { Exchange } from "./exchange/exchange.ts";
import type { HttpModuleFactory } from "./modules/http-module.ts";
import { modulesOf } from "./modules/module-list.ts";
import type { ProxyHttp } from "./proxy-http.ts";
import type { RetryPolicy } from "./retry/retry-policy.ts";
import { type SubrequestLimits, subrequestLimits } from "./subrequests/subrequest.ts";
import { Subrequests } from "./subrequests/subrequests.ts";

/** Settings of a proxy. Milliseconds and bytes. */
export interface HttpProxyOptions {
  /** Limits and time-outs of clients' connections. */
  readonly server?: HttpServerOptions;
  /**
   * Modules between the client and the callbacks (PH-02): they see a request before `requestFilter` does, and a response
   * behind `responseFilter`. Default: none.
   */
  readonly modules?: readonly HttpModuleFactory[];
  /**
   * Modules between the origins and the callbacks (PH-03, MOD-06): they see the response of an origin before
   * `upstreamResponseFilter` does. Made anew for each attempt; only their response methods and `done` are called. Default: none.
   */
  readonly upstreamModules?: readonly HttpModuleFactory[];
  /** The pool of connections to origins, and what holds for all of them. */
  readonly connector?: HttpConnectorOptions;
  /** How often a request may be sent to origins in all (ERRP-01). Default 3. */
  readonly maxAttempts?: number;
  /** When, and how often, a request is sent to an origin again. Default: after failures, within a budget. */
  readonly retry?: RetryPolicy;
  /** How much of a request body is kept for another attempt (H1S-31). Default 64 KiB. */
  readonly retryBufferBytes?: number;
  /**
   * How long a callback may take to settle; then the request fails with 500, or is cut if its response has begun. A pause
   * that a body filter asks for does not count. Default one minute; `Infinity` waits for ever.
   */
  readonly callbackTimeoutMs?: number;
  /** Silence in both directions after which a tunnel, such as a WebSocket, is closed. Default one hour. */
  readonly tunnelIdleTimeoutMs?: number;
  /** How many subrequests there may be (SUB-01). */
  readonly subrequests?: SubrequestLimits;
  /** Whether TLS secrets of connections to origins go to the file named by `SSLKEYLOGFILE` (CFG-20). Default false. */
  readonly keylog?: boolean;
  /** The label `service` of the metrics. */
  readonly name?: string;
}

/**
 * A proxy: takes connections, reads requests, and runs an exchange for each (PRX-04). Used by a listening service, or by
 * an accept loop of the user's own.
 */
export class HttpProxy<Ctx> implements ConnectionHandler, HttpServerApp {
  /** The options that follow from new settings of the server. Default: there are none. */
  onReload: ((configuration: ServerConfiguration) => HttpProxyOptions) | undefined;
  readonly #callbacks: ProxyHttp<Ctx>;
  readonly #server: HttpServer;
  /** What the last exchange of each connection leaves to the next, once it is over. */
  readonly #contexts = new WeakMap<object, Promise<unknown>>();
  readonly #subrequests: Subrequests = new Subrequests(
    (downstream, parent) => new Exchange(this.#environment, downstream, parent).run(undefined),
    () => subrequestLimits(this.#options),
  );
  #options: HttpProxyOptions;
  /** Ends what does not end by itself when the proxy stops. */
  #force: AbortSignal = new AbortController().signal;
  #environment: ExchangeEnvironment<Ctx>;
  #logger: Logger = silentLogger;
  #metrics: MetricsRegistry = new MetricsRegistry();

  /** @throws CirqueError `InvalidArgument` when a module is there twice (MOD-03). */
  constructor(callbacks: ProxyHttp<Ctx>, options: HttpProxyOptions = {}) {
    this.#callbacks = callbacks;
    this.#options = options;
    this.#server = new HttpServer(this, options.server);
    this.#environment = this.#createEnvironment(options);
  }

  /** Takes logger and metrics of the server (before that, nothing is logged). */
  start(context: ServiceContext): void {
    this.#logger = context.logger;
    this.#metrics = context.metrics;
    this.#environment = this.#createEnvironment(this.#options);
    for (const module of modulesOf(this.#options)) module.start?.(context);
  }

  /**
   * New options, but for those of `server`, from the next request on. Connections to origins that are kept are closed,
   * and made anew with the new options.
   *
   * @returns what applies them.
   * @throws CirqueError, RangeError for options that are not valid.
   */
  prepareOptions(options: HttpProxyOptions): () => void {
    const environment = this.#createEnvironment(options);
    return () => {
      const [former, now] = [modulesOf(this.#options), modulesOf(options)];
      for (const module of now) {
        if (!former.has(module)) module.start?.({ logger: this.#logger, metrics: this.#metrics });
      }
      for (const module of former) if (!now.has(module)) module.close?.();
      this.#options = options;
      this.#environment.connector.close();
      this.#environment = environment;
    };
  }

  /** Looks at new settings of the server: see {@link onReload}. */
  reload(configuration: ServerConfiguration): ReloadAnswer {
    return this.onReload && this.prepareOptions(this.onReload(configuration));
  }

  /** What listeners with TLS offer clients, unless they were told otherwise: HTTP/2 and HTTP/1.1. */
  get alpn(): readonly string[] {
    return this.#server.alpn;
  }

  handle(socket: Socket, accepted: AcceptedConnection): void {
    this.#server.handle(socket, accepted);
  }

  /** Idle connections close, the others after the response under way. */
  drain(force: AbortSignal): Promise<void> {
    this.#force = force;
    return this.#server.drain(force);
  }

  processRequest(session: ServerSession, connection: object): void {
    const exchange = new Exchange(this.#environment, session);
    if (this.#callbacks.persistConnectionContext === undefined) void exchange.run(undefined);
    else this.#contexts.set(connection, this.#runWithContext(exchange, this.#contexts.get(connection)));
  }

  onRefusal(refusal: Refusal): void {
    this.#environment.metrics.refused(refusal.reason);
    this.#logger.info(refusal, "a client was refused");
  }

  /** Called when no connection is left. Waits for subrequests in the background. */
  async cleanup(): Promise<void> {
    await this.#subrequests.drain(this.#force);
    for (const module of modulesOf(this.#options)) module.close?.();
    this.#environment.connector.close();
  }

  /** The former exchange may still be in its `logging`, though its response is complete. */
  async #runWithContext(exchange: Exchange<Ctx>, former: Promise<unknown> | undefined): Promise<unknown> {
    await exchange.run(former && (await former));
    if (!exchange.session.keepAlive) return undefined;
    try {
      const kept = this.#callbacks.persistConnectionContext?.(exchange.session, exchange.ctx);
      return await settledInTime(kept, this.#environment.callbackTimeoutMs);
    } catch (error) {
      this.#logger.error({ err: error }, "the callback `persistConnectionContext` failed");
      return undefined;
    }
  }

  #createEnvironment(options: HttpProxyOptions): ExchangeEnvironment<Ctx> {
    const logger = this.#logger;
    const metrics = this.#metrics;
    const { connector, keylog = false } = options;
    subrequestLimits(options); // a wrong one is found out here
    const environment = createEnvironment(this.#callbacks, options, {
      connector: new HttpConnector({ ...(keylog && { onKeylog: keylogWriter(logger) }), ...connector, metrics }),
      logger,
      metrics,
      isShuttingDown: () => this.#server.draining,
    });
    return { ...environment, subrequests: this.#subrequests };
  }
}
