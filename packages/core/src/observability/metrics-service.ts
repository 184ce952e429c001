import type { IncomingMessage, ServerResponse } from "node:http";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import type { ConnectionHandler } from "../services/connection-handler.ts";
import { ListeningService } from "../services/listening-service.ts";
import { NodeHttpConnections } from "../services/node-http-connections.ts";
import type { ServiceContext } from "../services/service.ts";
import type { MetricsRegistry } from "./metrics-registry.ts";

/**
 * A service named `metrics` that answers GET and HEAD, on any path, with the metrics in Prometheus text, compressed
 * when the client accepts gzip (`OBS-06`). They are the sums of all threads, or, with `?per=thread`, those of each. Give
 * it an address that the public cannot reach.
 *
 * @param registry Default: the registry of the server it is added to.
 * @example
 * server.addService(metricsService().addTcp("127.0.0.1:9090"));
 */
export function metricsService(registry?: MetricsRegistry): ListeningService {
  return new ListeningService("metrics", new MetricsConnections(registry), { placement: "main" });
}

class MetricsConnections implements ConnectionHandler {
  #registry: MetricsRegistry | undefined;
  #context: ServiceContext | undefined;
  readonly #http = new NodeHttpConnections((request, response) => {
    this.#answer(request, response).catch((error: unknown) => {
      this.#context?.logger.error({ err: error }, "the metrics could not be shown");
      response.destroy();
    });
  });

  constructor(registry: MetricsRegistry | undefined) {
    this.#registry = registry;
  }

  start(context: ServiceContext): void {
    this.#context = context;
    this.#registry ??= context.metrics;
    this.#http.start();
  }

  handle(socket: Parameters<NodeHttpConnections["handle"]>[0]): void {
    this.#http.handle(socket);
  }

  drain(force: AbortSignal): Promise<void> {
    return this.#http.drain(force);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== "GET" && request.method !== "HEAD") {
      // A body is not read, so the connection cannot carry another request.
      response.writeHead(405, { Allow: "GET, HEAD", Connection: "close", "Content-Length": 0 }).end();
      return;
    }
    const per = queryOf(request).get("per");
    if (per !== null && per !== "thread") {
      const explanation = "The parameter per can only be thread\n";
      response.writeHead(400, { "Content-Type": "text/plain; charset=utf-8", "Content-Length": explanation.length });
      response.end(request.method === "HEAD" ? undefined : explanation);
      return;
    }
    const text = (await this.#registry?.exposition({ perThread: per === "thread" })) ?? "";
    const compressed = acceptsGzip(request.headers["accept-encoding"]);
    const body = compressed ? await compress(text, { level: 7 }) : Buffer.from(text);
    response.writeHead(200, {
      "Content-Type": "text/plain; version=0.0.4; charset=utf-8",
      "Content-Length": body.length,
      "Cache-Control": "no-store",
      Vary: "Accept-Encoding",
      ...(compressed ? { "Content-Encoding": "gzip" } : {}),
    });
    response.end(request.method === "HEAD" ? undefined : body);
  }
}

const compress = promisify(gzip);

function queryOf({ url = "" }: IncomingMessage): URLSearchParams {
  const start = url.indexOf("?");
  return new URLSearchParams(start < 0 ? "" : url.slice(start));
}

/** Whether gzip is among the codings with a weight above zero (RFC 9110, section 12.5.3). */
function acceptsGzip(acceptEncoding: string | readonly string[] | undefined): boolean {
  const codings = new Map<string, number>();
  for (const item of String(acceptEncoding ?? "")
    .toLowerCase()
    .split(",")) {
    const [coding = "", ...parameters] = item.split(";").map((part) => part.trim());
    const weight = parameters.find((parameter) => parameter.startsWith("q="))?.slice(2) ?? "1";
    codings.set(coding, Number(weight));
  }
  return (codings.get("gzip") ?? codings.get("x-gzip") ?? codings.get("*") ?? 0) > 0;
}
