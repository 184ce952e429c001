import type { Socket } from "node:net";
import type { ServerConfiguration } from "../configuration/server-configuration.ts";
import { Http1ServerConnection, type Http1ServerHandler, type Refusal } from "../http1/server-connection.ts";
import type { ResolvedHttp1ServerOptions } from "../http1/server-options.ts";
import { Http2ServerConnection, type Http2ServerHandler } from "../http2/server-connection.ts";
import type { ResolvedHttp2ServerOptions } from "../http2/server-options.ts";
import type { AcceptedConnection } from "../listeners/accepted-connection.ts";
import { type Logger, silentLogger } from "../observability/logger.ts";
import type { ConnectionHandler } from "../services/connection-handler.ts";
import type { ReloadAnswer, ServiceContext } from "../services/service.ts";
import type { ServerSession } from "../session/server-session.ts";
import { type HttpServerOptions, resolveHttpServerOptions } from "./http-server-options.ts";

/** Works on HTTP requests, whatever version of HTTP they come in (`SVC-16`). */
export interface HttpServerApp {
  /** Called once, before the first request. A rejection makes the start of the service fail. */
  start?(context: ServiceContext): void | Promise<void>;
  /**
   * A request: answer it through the session. An app that throws or rejects loses that request only: the response is cut,
   * and the error logged.
   *
   * @param connection Tells requests of one connection from those of another. Over HTTP/1.1 they come one after another;
   * over HTTP/2, where they run side by side, each has an object of its own here.
   */
  processRequest(session: ServerSession, connection: object): void | Promise<void>;
  /** A client was refused, before it had made a request or in the middle of it (promise P13). Default: it is logged. */
  onRefusal?(refusal: Refusal): void;
  /** Looks at new settings, as `Service.reload` does. */
  reload?(configuration: ServerConfiguration): ReloadAnswer | Promise<ReloadAnswer>;
  /** Called once, when the server stops and every connection has closed. */
  cleanup?(): void | Promise<void>;
}

/** What the server has to do with a connection, whatever is spoken on it. */
interface ServedConnection {
  drain(): void;
  destroy(): void;
}

/**
 * Serves HTTP on connections: reads requests, and gives them to an app. Clients choose between HTTP/1.1 and HTTP/2: on TLS
 * by ALPN, else by their first bytes (`H2S-09`). For a listening service, or for an accept loop of
 * your own (`PRX-04`).
 *
 * @example
 * const hello = new HttpServer({
 *   processRequest(session) {
 *     session.writeHead(new ResponseHead(200, [["Content-Length", "3"]]), false);
 *     session.write(Buffer.from("hi\n"));
 *     session.end();
 *   },
 * });
 * server.addService(new ListeningService("hello", hello).addTcp("127.0.0.1:8080"));
 */
export class HttpServer implements ConnectionHandler, Http1ServerHandler, Http2ServerHandler {
  readonly #app: HttpServerApp;
  readonly #http1: ResolvedHttp1ServerOptions;
  readonly #http2: ResolvedHttp2ServerOptions | undefined;
  /** What becomes of connections whose client begins to speak HTTP/2; undefined where that is not taken. */
  readonly onHttp2Preface: Http1ServerHandler["onHttp2Preface"];
  readonly #connections = new Set<ServedConnection>();
  #logger: Logger = silentLogger;
  #draining = false;
  #onEmpty: (() => void) | undefined;

  /**
   * @param options Limits and time-outs of connections.
   * @throws CirqueError `InvalidArgument`, RangeError for options that are not valid.
   */
  constructor(app: HttpServerApp, options?: HttpServerOptions) {
    this.#app = app;
    const { http1, http2, h2c } = resolveHttpServerOptions(options);
    this.#http1 = http1;
    this.#http2 = http2;
    if (http2 !== undefined && h2c) {
      this.onHttp2Preface = (socket, connection) => {
        this.#add(new Http2ServerConnection(socket, http2, this, connection.accepted));
        this.#connections.delete(connection);
      };
    }
  }

  /** What listeners with TLS offer clients, unless they were told otherwise (`LST-22`). */
  get alpn(): readonly string[] {
    return this.#http2 === undefined ? ["http/1.1"] : ["h2", "http/1.1"];
  }

  /** Whether the server stops: connections close after the request under way. */
  get draining(): boolean {
    return this.#draining;
  }

  async start(context: ServiceContext): Promise<void> {
    this.#logger = context.logger;
    await this.#app.start?.(context);
  }

  handle(socket: Socket, accepted: AcceptedConnection): void {
    const { tls } = accepted;
    const isHttp2 = tls?.alpnProtocol === "h2" && this.#http2 !== undefined;
    this.#add(
      isHttp2
        ? new Http2ServerConnection(socket, this.#http2, this, accepted)
        : new Http1ServerConnection(socket, this.#http1, this, accepted),
    );
  }

  reload(configuration: ServerConfiguration): ReloadAnswer | Promise<ReloadAnswer> {
    return this.#app.reload?.(configuration);
  }

  /** Idle connections close, the others after the response under way. */
  async drain(force: AbortSignal): Promise<void> {
    this.#draining = true;
    for (const connection of this.#connections) connection.drain();
    const destroyAll = (): void => {
      for (const connection of this.#connections) connection.destroy();
    };
    if (force.aborted) destroyAll();
    force.addEventListener("abort", destroyAll, { once: true });
    if (this.#connections.size > 0) {
      await new Promise<void>((resolve) => {
        this.#onEmpty = resolve;
      });
    }
    force.removeEventListener("abort", destroyAll);
    await this.#app.cleanup?.();
  }

  onRequest(session: ServerSession, connection: object): void {
    try {
      const processed = this.#app.processRequest(session, connection);
      if (processed instanceof Promise) processed.catch((error: unknown) => this.#requestFailed(session, error));
    } catch (error) {
      this.#requestFailed(session, error);
    }
  }

  onRefusal(refusal: Refusal): void {
    if (this.#app.onRefusal) this.#app.onRefusal(refusal);
    else this.#logger.info(refusal, "a client was refused");
  }

  onFailure(error: unknown): void {
    this.#logger.error({ err: error }, "a response could not be sent");
  }

  onConnectionClose(connection: ServedConnection): void {
    this.#connections.delete(connection);
    if (this.#connections.size === 0) this.#onEmpty?.();
  }

  #add(connection: ServedConnection): void {
    this.#connections.add(connection);
    if (this.#draining) connection.drain();
  }

  #requestFailed(session: ServerSession, error: unknown): void {
    this.#logger.error({ err: error, client: session.clientAddress }, "the app failed to answer a request");
    session.abort();
  }
}
