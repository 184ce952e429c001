import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Origin } from "./origin.ts";

/** Stops and starts origins by `POST /NAME/stop` and `POST /NAME/start`, and shows by `GET /` which ones run. */
export class OriginControl {
  readonly port: number;
  readonly #origins: ReadonlyMap<string, Origin>;
  readonly #server: Server;

  constructor(port: number, origins: readonly Origin[]) {
    this.port = port;
    this.#origins = new Map(origins.map((origin) => [origin.name, origin]));
    this.#server = createServer({ headersTimeout: 10_000, requestTimeout: 10_000 }, (request, response) => {
      // A body is not read, so the connection carries no second request.
      response.setHeader("connection", "close");
      this.#answer(request, response).catch((error: unknown) => finish(response, 500, String(error)));
    });
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Throws when the port is taken. */
  async start(): Promise<void> {
    this.#server.listen(this.port, "127.0.0.1");
    await once(this.#server, "listening");
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #answer({ method, url = "" }: IncomingMessage, response: ServerResponse): Promise<void> {
    if (method === "GET" && url === "/") {
      finish(response, 200, Array.from(this.#origins.values(), stateOf).join("\n"));
      return;
    }
    const [, name = "", action] = url.split("/");
    const origin = this.#origins.get(name);
    if (method !== "POST" || !origin || (action !== "stop" && action !== "start")) {
      const names = [...this.#origins.keys()].join(", ");
      finish(response, 404, `POST /NAME/stop or POST /NAME/start, where NAME is one of ${names}; GET / shows who runs`);
      return;
    }
    await origin[action]();
    finish(response, 200, stateOf(origin));
  }
}

function stateOf(origin: Origin): string {
  return `origin ${origin.name} at ${origin.address} ${origin.isUp ? "runs" : "is stopped"}`;
}

function finish(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8" }).end(`${text}\n`);
}
