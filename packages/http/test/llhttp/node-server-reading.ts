import { once } from "node:events";
import { createServer, IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { deliver, memoryConnection } from "./memory-connection.ts";
import type { Message, Reading } from "./reading.ts";

/**
 * Reads requests with Node's own server, whose parser is llhttp: its default, strict one. Every request is written down;
 * none is answered. The connection is a stream in memory, given its bytes as events, so all happens within the call.
 */
export class NodeServerReader {
  readonly #server: Server<typeof RecordedRequest, typeof ServerResponse>;
  #reading: Reading = { messages: [], refusal: undefined };

  constructor() {
    this.#server = createServer({
      IncomingMessage: RecordedRequest,
      // Limits are not what is compared, and a missing Host is ours to refuse.
      maxHeaderSize: 1 << 20,
      requireHostHeader: false,
      requestTimeout: 0,
      headersTimeout: 0,
      keepAliveTimeout: 0,
    });
    this.#server.maxHeadersCount = 0;
    for (const event of ["request", "checkContinue", "checkExpectation"] as const) {
      this.#server.on(event, (request: RecordedRequest) => this.#reading.messages.push(request.record()));
    }
    this.#server.on("connect", (request: RecordedRequest, socket) => {
      this.#reading.messages.push({ ...request.record(), complete: true });
      socket.destroy();
    });
    this.#server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
      this.#reading.refusal ??= error.code ?? error.message;
      socket.destroy();
    });
  }

  /** What the server makes of the pieces, and of the end behind them. */
  read(pieces: readonly Buffer[]): Reading {
    const reading: Reading = { messages: [], refusal: undefined };
    this.#reading = reading;
    const connection = memoryConnection();
    this.#server.emit("connection", connection);
    deliver(connection, pieces);
    return reading;
  }

  /** The same over a real connection. */
  async readFromSocket(bytes: Buffer): Promise<Reading> {
    const reading: Reading = { messages: [], refusal: undefined };
    this.#reading = reading;
    if (!this.#server.listening) await once(this.#server.listen(0, "127.0.0.1"), "listening");
    const client = connect((this.#server.address() as AddressInfo).port, "127.0.0.1");
    client.on("error", () => {}); // the server resets what it refuses
    const [connection] = (await once(this.#server, "connection")) as [Socket];
    client.end(bytes);
    client.resume();
    if (!connection.closed) await once(connection, "close");
    client.destroy();
    return reading;
  }

  close(): void {
    this.#server.close();
  }
}

/** A request that writes down what the parser tells it, at the moment it is told. */
class RecordedRequest extends IncomingMessage {
  #message: Message | undefined;

  /** Starts writing. */
  record(): Message {
    const start = `${this.method} ${this.url} HTTP/${this.httpVersion}`;
    this.#message = { start, fields: this.rawHeaders, body: "", trailers: [], complete: false };
    return this.#message;
  }

  override push(chunk: Buffer | null): boolean {
    const message = this.#message;
    if (message === undefined) return true;
    if (chunk === null) {
      message.complete = true;
      message.trailers = this.rawTrailers;
    } else {
      message.body += chunk.toString("latin1");
    }
    return true;
  }
}
