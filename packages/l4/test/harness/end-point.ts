import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/**
 * One end of a connection, client or upstream, that sends exactly the bytes it is told to, keeps what it receives, and
 * stays half open. What it waits for and can no longer come fails.
 */
export class EndPoint implements Disposable {
  readonly socket: Socket;
  /** What was received, as latin1 text. */
  text = "";
  ended = false;
  closed = false;
  error: NodeJS.ErrnoException | undefined;
  readonly #watchers = new Set<() => void>();

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk) => {
      this.text += chunk.toString("latin1");
      this.#changed();
    });
    socket.on("end", () => {
      this.ended = true;
      this.#changed();
    });
    socket.on("error", (error) => {
      this.error = error;
    });
    socket.on("close", () => {
      this.closed = true;
      this.#changed();
    });
  }

  static async connect(port: number): Promise<EndPoint> {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true, allowHalfOpen: true });
    const point = new EndPoint(socket);
    // A proxy may reset the connection so soon that it never was one here.
    await new Promise<void>((resolve) => {
      socket.once("connect", resolve);
      socket.once("close", () => resolve());
    });
    return point;
  }

  get reset(): boolean {
    return this.error?.code === "ECONNRESET" || this.error?.code === "EPIPE";
  }

  send(data: string | Uint8Array): this {
    this.socket.write(typeof data === "string" ? Buffer.from(data, "latin1") : data);
    return this;
  }

  end(): this {
    this.socket.end();
    return this;
  }

  /** Resolves with all that was received once `text` is in it. */
  async until(text: string): Promise<string> {
    await this.#when(() => this.text.includes(text), JSON.stringify(text));
    return this.text;
  }

  async bytes(length: number): Promise<string> {
    await this.#when(() => this.text.length >= length, `${length} bytes`);
    return this.text;
  }

  async whenEnded(): Promise<string> {
    await this.#when(() => this.ended, "the end");
    return this.text;
  }

  async whenClosed(): Promise<string> {
    await this.#when(() => this.closed, "the close");
    return this.text;
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }

  #when(condition: () => boolean, what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const watcher = (): void => {
        if (condition()) resolve();
        else if (this.closed) reject(new Error(`closed before ${what}: ${JSON.stringify(this.text.slice(0, 200))}`));
        else return;
        this.#watchers.delete(watcher);
      };
      this.#watchers.add(watcher);
      watcher();
    });
  }

  #changed(): void {
    for (const watcher of this.#watchers) watcher();
  }
}

/** A server that a proxy connects to; a test takes its connections one after the other. */
export class Upstream implements AsyncDisposable {
  readonly connections: EndPoint[] = [];
  readonly #server: Server;
  #taken = 0;
  readonly #onArrived: (() => void)[] = [];

  private constructor(server: Server) {
    this.#server = server;
  }

  /** @param greet What each connection is sent at once. */
  static async start(
    greet = "",
    server: Server = createServer({ allowHalfOpen: true, noDelay: true }),
    path?: string,
  ): Promise<Upstream> {
    const upstream = new Upstream(server);
    server.on("secureConnection", (socket: Socket) => upstream.#add(socket, greet));
    if (!("setSecureContext" in server)) server.on("connection", (socket) => upstream.#add(socket, greet));
    server.listen(path === undefined ? { port: 0, host: "127.0.0.1" } : { path });
    await once(server, "listening");
    return upstream;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port; // it listens on a port
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** The next connection. */
  async next(): Promise<EndPoint> {
    for (;;) {
      const connection = this.connections[this.#taken];
      if (connection !== undefined) {
        this.#taken += 1;
        return connection;
      }
      await new Promise<void>((resolve) => {
        this.#onArrived.push(resolve);
      });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const connection of this.connections) connection[Symbol.dispose]();
    await closed;
  }

  #add(socket: Socket, greet: string): void {
    this.connections.push(new EndPoint(socket));
    if (greet !== "") socket.write(greet);
    for (const resolve of this.#onArrived.splice(0)) resolve();
  }
}

/** An address of this machine that refuses connections. */
export async function refusingAddress(): Promise<string> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // it listens on a port
  server.close();
  await once(server, "close");
  return `127.0.0.1:${port}`;
}
