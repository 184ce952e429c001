import { once } from "node:events";
import { createServer, type Server } from "node:http";

/** A small web server that answers with its name, and that can die and return. */
export class Origin {
  readonly name: string;
  readonly port: number;
  #server: Server | undefined;

  constructor(name: string, port: number) {
    this.name = name;
    this.port = port;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  get isUp(): boolean {
    return this.#server !== undefined;
  }

  /** Does nothing when it runs. Throws when the port is taken. */
  async start(): Promise<void> {
    if (this.#server) return;
    const server = createServer(limits, (request, response) => {
      response.setHeader("content-type", "text/plain; charset=utf-8");
      response.end(`Hello from origin ${this.name}. You asked ${request.headers.host} for ${request.url}\n`);
    });
    this.#server = server;
    try {
      server.listen(this.port, "127.0.0.1");
      await once(server, "listening");
    } catch (error) {
      this.#server = undefined;
      throw error;
    }
  }

  /** Dies, and cuts the connections that it has. Does nothing when it does not run. */
  async stop(): Promise<void> {
    const server = this.#server;
    if (!server) return;
    this.#server = undefined;
    const closed = once(server, "close");
    server.close();
    server.closeAllConnections();
    await closed;
  }
}

// A proxy keeps connections for up to a minute, and should be the one that closes them.
const limits = { headersTimeout: 10_000, requestTimeout: 30_000, keepAliveTimeout: 75_000, maxHeaderSize: 65_536 };
