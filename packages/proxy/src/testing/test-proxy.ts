import { type CirqueError, MetricsRegistry, silentLogger } from "@cirque/core";
import type { HeaderMap, ResponseHead } from "@cirque/http";
import { createEnvironment } from "../exchange/create-environment.ts";
import type { ExchangeEnvironment } from "../exchange/environment.ts";
import { Exchange } from "../exchange/exchange.ts";
import type { HttpProxyOptions } from "../http-proxy.ts";
import { MemoryServerSession } from "../memory/memory-server-session.ts";
import { modulesOf } from "../modules/module-list.ts";
import type { ProxyHttp } from "../proxy-http.ts";
import type { Session } from "../session.ts";
import { type ParentRequest, subrequestLimits } from "../subrequests/subrequest.ts";
import { Subrequests } from "../subrequests/subrequests.ts";
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
  /** The subrequests that were made for it, in the background or not, and those that were made for them. */
  readonly subrequests: readonly TestSubrequest<Ctx>[];
}

/** One subrequest, when it is over. */
export type TestSubrequest<Ctx> = Pick<TestExchange<Ctx>, "session" | "ctx" | "error" | "callbacks">;

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
  readonly #environment: Omit<ExchangeEnvironment<Ctx>, "subrequests">;
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
    for (const module of modulesOf(options)) module.start?.({ logger: silentLogger, metrics: this.metrics });
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
    const connector = this.#connector();
    const log: TestLogRecord[] = [];
    const made: TracedExchange<Ctx>[] = [];
    const start: StartExchange<Ctx> = (downstream, previous, parent) => {
      const trace = new CallbackTrace(this.#callbacks);
      const exchange = new Exchange({ ...environment, callbacks: trace.callbacks }, downstream, parent);
      const over = exchange.run(previous);
      const traced = { trace, exchange, over };
      if (parent !== undefined) made.push(traced);
      return traced;
    };
    const subrequests = new Subrequests(
      (downstream, parent) => start(downstream, undefined, parent).over,
      () => subrequestLimits(this.#options),
    );
    const environment = { ...this.#environment, connector, logger: testLogger(log), subrequests };
    const { signal } = init;
    const leave = (): void => client.leave(signal?.reason);
    signal?.addEventListener("abort", leave, { once: true });
    const { trace, exchange, over } = start(client, init.previous);
    if (signal?.aborted) leave();
    const response = await readWhole(client);
    await over;
    // One may be made by another.
    for (const subrequest of made) await subrequest.over;
    signal?.removeEventListener("abort", leave);
    const { sessions } = connector;
    const mistake = connector.mistake ?? sessions.find((session) => session.mistake !== undefined)?.mistake;
    if (mistake !== undefined) throw mistake.error;
    return {
      response,
      interim: client.interim,
      trailers: client.trailers,
      ...resultOf({ trace, exchange, over }),
      originRequests: sessions.flatMap((session) => session.seen ?? []),
      log,
      subrequests: made.map(resultOf),
    };
  }

  #connector(): MemoryConnector {
    return new MemoryConnector(this.#options.origin, this.#options.connect, this.#idle);
  }
}

interface TracedExchange<Ctx> {
  readonly trace: CallbackTrace<Ctx>;
  readonly exchange: Exchange<Ctx>;
  readonly over: Promise<void>;
}

type StartExchange<Ctx> = (
  downstream: MemoryServerSession,
  previous: unknown,
  parent?: ParentRequest,
) => TracedExchange<Ctx>;

function resultOf<Ctx>({ trace, exchange }: TracedExchange<Ctx>): TestSubrequest<Ctx> {
  return { session: exchange.session, ctx: exchange.ctx, error: trace.error, callbacks: trace.names };
}
