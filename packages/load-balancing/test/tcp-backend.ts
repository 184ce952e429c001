import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";

/** A TCP server that can die and come back on the same port. */
export class TcpBackend implements AsyncDisposable {
  /** A backend on a free port of the loopback interface, listening. */
  static async start(): Promise<TcpBackend> {
    const backend = new TcpBackend();
    await backend.restart();
    return backend;
  }

  /** Connections that are open. */
  readonly connections: Set<Socket> = new Set();
  /** How many connections were made, in all. */
  accepted = 0;
  #server: Server | undefined;
  #port = 0;

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  async restart(): Promise<void> {
    this.#server = createServer((socket) => {
      this.accepted += 1;
      this.connections.add(socket);
      socket.on("error", () => socket.destroy());
      socket.on("close", () => this.connections.delete(socket));
      socket.resume();
    });
    this.#server.listen(this.#port, "127.0.0.1");
    await once(this.#server, "listening");
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    if (!this.#server) return;
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const socket of this.connections) socket.destroy();
    this.#server = undefined;
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
