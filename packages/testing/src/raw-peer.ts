import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setImmediate as turnOfTheLoop } from "node:timers/promises";

/** How a connection ended: what was received in all, and whether by a reset. */
export interface Ending {
  readonly text: string;
  readonly reset: boolean;
}

/**
 * One end of a connection, client or origin, that sends exactly the bytes it is told to and keeps what it receives.
 * Texts are latin1. Whatever it waits for and can no longer come fails with what came in its place.
 */
export class RawPeer implements Disposable {
  readonly socket: Socket;
  /** What was received. */
  text = "";
  /** Whether the other side has said that it sends nothing more. */
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

  /** A connection to a port of 127.0.0.1, or to the path of a Unix socket. It stays half open when the server ends. */
  static async connect(to: number | string): Promise<RawPeer> {
    const target = typeof to === "number" ? { port: to, host: "127.0.0.1" } : { path: to };
    const socket = connect({ ...target, noDelay: true, allowHalfOpen: true });
    await once(socket, "connect");
    return new RawPeer(socket);
  }

  send(data: string | Buffer): this {
    this.socket.write(typeof data === "string" ? Buffer.from(data, "latin1") : data);
    return this;
  }

  /** Sends so that the bytes are in the other side's kernel before this resolves, in a packet of their own. */
  async sendNow(data: string | Buffer): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const bytes = typeof data === "string" ? Buffer.from(data, "latin1") : data;
      this.socket.write(bytes, (error) => (error ? reject(error) : resolve()));
    });
  }

  /** Says that nothing more will be sent. */
  end(): this {
    this.socket.end();
    return this;
  }

  reset(): this {
    this.socket.resetAndDestroy();
    return this;
  }

  /** Resolves with all that was received once `pattern` is found in it. */
  async until(pattern: string | RegExp): Promise<string> {
    const found = (): boolean => (typeof pattern === "string" ? this.text.includes(pattern) : pattern.test(this.text));
    await this.when(found, `${pattern}`);
    return this.text;
  }

  /** Resolves with all that was received once `count` messages with the status line are in it. */
  async responses(count: number): Promise<string> {
    await this.when(() => this.text.split("HTTP/1.1 ").length > count, `${count} responses`);
    return this.text;
  }

  /** Resolves with all that was received once `length` bytes are there. */
  async bytes(length: number): Promise<string> {
    await this.when(() => this.text.length >= length, `${length} bytes`);
    return this.text;
  }

  /** Resolves when the other side has ended, in good order. */
  async whenEnded(): Promise<string> {
    await this.when(() => this.ended, "the end of the other side");
    return this.text;
  }

  /** Resolves when the connection is gone, however. Ends this side as soon as the other has ended. */
  async whenClosed(): Promise<Ending> {
    await this.when(() => this.ended || this.closed, "the end of the connection");
    this.socket.end();
    await this.when(() => this.closed, "the end of the connection");
    return { text: this.text, reset: this.error !== undefined };
  }

  /** Forgets what was received. */
  clear(): this {
    this.text = "";
    return this;
  }

  /** Resolves once `condition` holds; it is looked at whenever something arrives. */
  when(condition: () => boolean, what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const watcher = (): void => {
        if (condition()) resolve();
        else if (this.closed) reject(new Error(`closed before ${what}: ${JSON.stringify(this.text.slice(0, 1000))}`));
        else return;
        this.#watchers.delete(watcher);
      };
      this.#watchers.add(watcher);
      watcher();
    });
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }

  #changed(): void {
    for (const watcher of this.#watchers) watcher();
  }
}

/** Lets everything happen that needs no time: what is on its way between sockets of this process arrives. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await turnOfTheLoop();
}
