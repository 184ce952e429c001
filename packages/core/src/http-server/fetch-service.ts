import { reasonPhrase } from "@cirque/http";
import { CirqueError, isCirqueError } from "../errors/cirque-error.ts";
import { type Logger, silentLogger } from "../observability/logger.ts";
import type { Counter } from "../observability/metric.ts";
import { ListeningService, type ListeningServiceOptions } from "../services/listening-service.ts";
import type { ServiceContext } from "../services/service.ts";
import type { ServerSession } from "../session/server-session.ts";
import { fetchRequestOf } from "./fetch-request.ts";
import { HttpServer, type HttpServerApp } from "./http-server.ts";
import type { HttpServerOptions } from "./http-server-options.ts";
import { writeResponse } from "./write-response.ts";

/**
 * Answers requests (`SVC-17`): what apps of Hono, h3 and others are made of. `session` tells what the standard has no room
 * for: addresses, TLS.
 */
export type FetchHandler = (request: Request, session: ServerSession) => Response | Promise<Response>;

/** How {@link fetchService} serves. */
export interface FetchServiceOptions extends ListeningServiceOptions {
  /** Limits and time-outs of connections. */
  readonly server?: HttpServerOptions;
}

/**
 * A service that answers requests with a handler of the fetch standard (`SVC-18`), streaming both ways: beside a proxy, for
 * pages of its own, or behind it. What the handler throws is logged, and the client gets 500.
 *
 * @example
 * const status = fetchService("status", () => Response.json({ up: true }));
 * server.addService(status.addTcp("127.0.0.1:8081"));
 */
export function fetchService(
  name: string,
  handler: FetchHandler,
  { server, ...options }: FetchServiceOptions = {},
): ListeningService<HttpServer> {
  return new ListeningService(name, new HttpServer(new FetchApp(name, handler), server), options);
}

class FetchApp implements HttpServerApp {
  readonly #name: string;
  readonly #handler: FetchHandler;
  #logger: Logger = silentLogger;
  #byStatusClass: readonly Counter[] = [];

  constructor(name: string, handler: FetchHandler) {
    this.#name = name;
    this.#handler = handler;
  }

  start({ logger, metrics }: ServiceContext): void {
    this.#logger = logger;
    this.#byStatusClass = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"].map((status) =>
      metrics.counter("cirque_requests_total", "Requests by the class of their status", {
        service: this.#name,
        status,
      }),
    );
  }

  async processRequest(session: ServerSession): Promise<void> {
    const gone = new AbortController();
    session.observer = { onWritable() {}, onAbort: (error) => gone.abort(error) };
    let status = 0;
    const note = (head: { readonly status: number }): void => {
      status = head.status;
    };
    try {
      await writeResponse(session, await this.#handler(fetchRequestOf(session, gone.signal), session), note);
    } catch (error) {
      await this.#fail(session, error, gone.signal, note);
    } finally {
      this.#byStatusClass[Math.floor(status / 100)]?.inc();
    }
  }

  async #fail(
    session: ServerSession,
    error: unknown,
    gone: AbortSignal,
    note: (head: { readonly status: number }) => void,
  ): Promise<void> {
    if (gone.aborted) return;
    const status = isCirqueError(error) && error.code === "HTTPStatus" ? (error.status ?? 500) : 500;
    if (status === 500) this.#logger.error({ err: error, client: session.clientAddress }, "the handler failed");
    if (session.responseStarted) {
      session.abort(isCirqueError(error) ? error : CirqueError.because("InternalError", "the handler failed", error));
      return;
    }
    session.keepAlive = false;
    const headers = { "content-type": "text/plain; charset=utf-8", "cache-control": "private, no-store" };
    await writeResponse(session, new Response(`${status} ${reasonPhrase(status)}\n`, { status, headers }), note);
  }
}
