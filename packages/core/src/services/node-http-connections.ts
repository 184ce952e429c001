import { createServer, type RequestListener, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { ConnectionHandler } from "./connection-handler.ts";
import { whenAborted } from "./when-aborted.ts";

/** Limits of {@link NodeHttpConnections}; a client that exceeds one is answered with an error and disconnected. */
export interface NodeHttpLimits {
  /** Connections at once; further ones are closed. Default: 100. */
  readonly maxConnections?: number;
  /** Time to send the head of a request. Default: 10,000. */
  readonly headersTimeoutMs?: number;
  /** Time to send a request as a whole. Default: 30,000. */
  readonly requestTimeoutMs?: number;
  /** Time that a connection may stay without traffic. Default: 30,000. */
  readonly idleTimeoutMs?: number;
  /** Time between two requests. Default: 10,000. */
  readonly keepAliveTimeoutMs?: number;
}

/**
 * Serves connections with Node's own HTTP server: for pages about the program itself, such as metrics, where cost does
 * not count. Heads are limited to 16 KiB and 100 fields.
 */
export class NodeHttpConnections implements ConnectionHandler {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #responses = new Set<ServerResponse>();
  readonly #limits: Required<NodeHttpLimits>;
  #draining = false;

  constructor(listener: RequestListener, limits: NodeHttpLimits = {}) {
    this.#limits = {
      maxConnections: limits.maxConnections ?? 100,
      headersTimeoutMs: limits.headersTimeoutMs ?? 10_000,
      requestTimeoutMs: limits.requestTimeoutMs ?? 30_000,
      idleTimeoutMs: limits.idleTimeoutMs ?? 30_000,
      keepAliveTimeoutMs: limits.keepAliveTimeoutMs ?? 10_000,
    };
    this.#server = createHttpServer(this.#limits);
    this.#server.on("request", (request, response) => {
      if (this.#draining) response.setHeader("Connection", "close");
      this.#responses.add(response);
      response.once("close", () => this.#responses.delete(response));
      listener(request, response);
    });
  }

  /** How many connections are open. */
  get connectionCount(): number {
    return this.#sockets.size;
  }

  start(): void {
    // Node checks the deadlines of heads and requests only in a server that listens; this one never does itself.
    this.#server.emit("listening");
  }

  handle(socket: Socket): void {
    if (this.#sockets.size >= this.#limits.maxConnections) {
      socket.on("error", ignore);
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    this.#server.emit("connection", socket);
    socket.resume();
  }

  async drain(force: AbortSignal): Promise<void> {
    this.#draining = true;
    const closed = Array.from(this.#sockets, (socket) => new Promise((resolve) => socket.once("close", resolve)));
    for (const response of this.#responses) {
      if (response.headersSent) response.once("close", () => this.#server.closeIdleConnections());
      else response.setHeader("Connection", "close");
    }
    // Also ends the checks that "listening" began.
    this.#server.close();
    this.#server.closeIdleConnections();
    const forced = whenAborted(force).then(() => {
      for (const socket of this.#sockets) socket.destroy();
    });
    await Promise.race([Promise.all(closed), forced]);
  }
}

function createHttpServer(limits: Required<NodeHttpLimits>): Server {
  const server = createServer({
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    connectionsCheckingInterval: Math.min(1_000, limits.headersTimeoutMs),
    maxHeaderSize: 16 * 1024,
    requireHostHeader: true,
    insecureHTTPParser: false,
  });
  server.maxHeadersCount = 100;
  server.maxRequestsPerSocket = 1_000;
  server.timeout = limits.idleTimeoutMs;
  return server;
}

function ignore(): void {}
