import { type CirqueError, MetricsRegistry, silentLogger } from "@cirque/core";
import type { HeaderMap, ResponseHead } from "@cirque/http";
import { createEnvironment } from "../exchange/create-environment.ts";
import type { ExchangeEnvironment } from "../exchange/environment.ts";
import { Exchange } from "../exchange/exchange.ts";
import type { HttpProxyOptions } from "../http-proxy.ts";
import { MemoryServerSession } from "../memory/memory-server-session.ts";
import type { ProxyHttp } from "../proxy-http.ts";
import type { Session } from "../session.ts";
import { type CallbackName, CallbackTrace } from "./callback-trace.ts";
import type { OriginRequest } from "./memory-client-session.ts";
import { type IdleConnections, MemoryConnector, type TestConnect } from "./memory-connector.ts";
import { readWhole } from "./read-whole.ts";
import { type TestLogRecord, testLogger } from "./test-log.ts";
import type { TestOrigin } from "./test-origin.ts";
import { type TestRequestInit, testRequest } from "./test-request.ts";

/** The options of the proxy, without those of connections, which there are none; and its origins. */
export interface TestProxyOptions extends Omit<HttpProxyOptions, "server" | "connector" | "keylog"> {
  /** Stands for all origins. */
  readonly origin: TestOrigin;
  /** Called for each new connection to an origin; throws where there is none to be had. Default: all can be made. */
  readonly connect?: TestConnect;
}

/** One request through a proxy, when all is over, `logging` included. */
export interface TestExchange<Ctx> {
  /**
   * What the client got. A response that was cut has a body that fails, behind what came of it. Of no response at all, it is
   * the network error of the fetch standard: status 0, type `error`.
   */
  readonly response: Response;
  /** The interim responses (1xx) that came before it. */
  readonly interim: readonly ResponseHead[];
  /** What came behind its body. */
  readonly trailers: HeaderMap | undefined;
  readonly session: Session;
  readonly ctx: Ctx;
  /** What the exchange ended with, as `logging` is told. */
  readonly error: CirqueError | undefined;
  /** The callbacks, in the order of their calls; those for bodies are called for each piece, and for the end. */
  readonly callbacks: readonly CallbackName[];
  /** What the origins were sent: one for each attempt that had a connection and sent something. */
  readonly originRequests: readonly OriginRequest[];
  readonly log: readonly TestLogRecord[];
}

/**
 * A proxy for unit tests, without sockets: requests go through the same stages as in a server, from a client in memory to an
 * origin that is a function. What holds from one request to the next is kept: idle connections, retry budget, circuits.
 *
 * @throws CirqueError, RangeError for options that are not valid.
 * @example
 * const proxy = testProxy(gateway, { origin: () => new Response("hello") });
 * const { response, originRequests } = await proxy.fetch("http://a.example/tea", { headers: { "x-key": "1" } });
 */
export function testProxy<Ctx>(callbacks: ProxyHttp<Ctx>, options: TestProxyOptions): TestProxy<Ctx> {
  return new TestProxy(callbacks, options);
}

/** See {@link testProxy}. */
export class TestProxy<Ctx> {
  /** What the proxy counts. */
  readonly metrics: MetricsRegistry = new MetricsRegistry();
  /** What `session.shuttingDown` says. */
  shuttingDown = false;
  readonly #callbacks: ProxyHttp<Ctx>;
  readonly #options: TestProxyOptions;
  readonly #environment: ExchangeEnvironment<Ctx>;
  readonly #idle: IdleConnections = new Map();

  constructor(callbacks: ProxyHttp<Ctx>, options: TestProxyOptions) {
    this.#callbacks = callbacks;
    this.#options = options;
    this.#environment = createEnvironment(callbacks, options, {
      connector: this.#connector(),
      logger: silentLogger,
      metrics: this.metrics,
      isShuttingDown: () => this.shuttingDown,
    });
  }

  /**
   * Sends a request, and waits until all is over.
   *
   * @param url Names scheme and host; `https:` is a client that came over TLS.
   * @throws MalformedMessage, TypeError for a request that a server would refuse before the proxy sees it; and what `origin`
   * or `connect` threw by mistake.
   */
  async fetch(url: string, init: TestRequestInit = {}): Promise<TestExchange<Ctx>> {
    const client = new MemoryServerSession(testRequest(url, init));
    const trace = new CallbackTrace(this.#callbacks);
    const connector = this.#connector();
    const log: TestLogRecord[] = [];
    const { callbacks } = trace;
    const exchange = new Exchange({ ...this.#environment, callbacks, connector, logger: testLogger(log) }, client);
    const { signal } = init;
    const leave = (): void => client.leave(signal?.reason);
    signal?.addEventListener("abort", leave, { once: true });
    const over = exchange.run(init.previous);
    if (signal?.aborted) leave();
    const response = await readWhole(client);
    await over;
    signal?.removeEventListener("abort", leave);
    const { sessions } = connector;
    const mistake = connector.mistake ?? sessions.find((session) => session.mistake !== undefined)?.mistake;
    if (mistake !== undefined) throw mistake.error;
    return {
      response,
      interim: client.interim,
      trailers: client.trailers,
      session: exchange.session,
      ctx: exchange.ctx,
      error: trace.error,
      callbacks: trace.names,
      originRequests: sessions.flatMap((session) => session.seen ?? []),
      log,
    };
  }

  #connector(): MemoryConnector {
    return new MemoryConnector(this.#options.origin, this.#options.connect, this.#idle);
  }
}
