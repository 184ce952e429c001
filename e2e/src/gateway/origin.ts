import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { WebSocketServer } from "ws";

/** How much `/download` sends: the first half at once, the second half when it is told to. */
export const downloadBytes: number = 5 * 1024 * 1024;

/**
 * An origin: it answers GET with `hello`, and POST with the hash of the body. `GET /download` is slow: its second half
 * comes when {@link finishDownloads} is called. WebSockets are echoed.
 */
export class Origin implements AsyncDisposable {
  /** @param port Default: any that is free. */
  static async start(port = 0): Promise<Origin> {
    const origin = new Origin();
    origin.#server.listen(port, "127.0.0.1");
    await once(origin.#server, "listening");
    return origin;
  }

  readonly #server: Server;
  readonly #sockets = new WebSocketServer({ noServer: true });
  readonly #waiting = new Set<ServerResponse>();

  private constructor() {
    // Connections of the proxy are kept for a minute; the proxy should be the one to close them.
    this.#server = createServer({ keepAliveTimeout: 75_000 }, (request, response) => {
      this.#answer(request, response).catch(() => response.destroy());
    });
    this.#server.on("upgrade", (request, socket, head) => {
      this.#sockets.handleUpgrade(request, socket, head, (webSocket) => {
        webSocket.on("message", (data) => webSocket.send(data));
      });
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port; // it listens on a port
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Sends the second half of every download that waits. */
  finishDownloads(): void {
    for (const response of this.#waiting) response.end(half);
    this.#waiting.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const webSocket of this.#sockets.clients) webSocket.terminate();
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.url === "/download") {
      response.writeHead(200, { "content-length": downloadBytes });
      response.write(half);
      this.#waiting.add(response);
      response.once("close", () => this.#waiting.delete(response));
      return;
    }
    response.setHeader("x-port", this.port);
    const hash = createHash("sha256");
    for await (const piece of request) hash.update(piece);
    response.end(request.method === "GET" ? "hello" : hash.digest("hex"));
  }
}

const half = Buffer.alloc(downloadBytes / 2, "0123456789");
