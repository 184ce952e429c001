import type { Socket } from "node:net";
import type { Endpoint } from "../listeners/endpoint.ts";
import type { Counter } from "../observability/metric.ts";
import type { ConnectionHandler } from "../services/connection-handler.ts";
import type { ServiceContext } from "../services/service.ts";

/** What happens to the connections of one listener between their acceptance and their handler. */
export class Acceptance {
  readonly #endpoint: Endpoint;
  readonly #handler: ConnectionHandler;
  readonly #context: ServiceContext;
  readonly #accepted: Counter;
  readonly #handlerErrors: Counter;

  /** @param service The name of the service, for metrics. */
  constructor(service: string, endpoint: Endpoint, handler: ConnectionHandler, context: ServiceContext) {
    const { metrics } = context;
    const labels = { service, listener: endpoint.address };
    this.#endpoint = endpoint;
    this.#handler = handler;
    this.#context = context;
    this.#accepted = metrics.counter("cirque_connections_accepted_total", "Connections accepted", labels);
    this.#handlerErrors = metrics.counter("cirque_connection_handler_errors_total", handlerErrorsHelp, labels);
  }

  /** Takes a socket that was accepted, paused. */
  accept(socket: Socket): void {
    this.#accepted.inc();
    this.#handOver(socket);
  }

  #handOver(socket: Socket): void {
    try {
      // The type says void, which an async function is assignable to; its rejection belongs here as well.
      const result: unknown = this.#handler.handle(socket, { endpoint: this.#endpoint });
      if (result instanceof Promise) result.catch((error: unknown) => this.#handlerFailed(socket, error));
    } catch (error) {
      this.#handlerFailed(socket, error);
    }
  }

  #handlerFailed(socket: Socket, error: unknown): void {
    this.#handlerErrors.inc();
    socket.on("error", ignore);
    socket.destroy();
    this.#context.logger.error({ err: error, listener: this.#endpoint.address }, "the connection handler failed");
  }
}

const handlerErrorsHelp = "Connections destroyed because their handler failed";

function ignore(): void {}
