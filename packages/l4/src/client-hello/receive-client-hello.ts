import { CirqueError, type Connection, type ConnectionListener } from "@cirque/core";
import type { ClientHello, ClientHelloFault } from "./client-hello.ts";
import { ClientHelloParser } from "./client-hello-parser.ts";

/** A ClientHello, and all bytes that came until it was complete. */
export interface ReceivedClientHello {
  readonly hello: ClientHello;
  readonly bytes: readonly Buffer[];
}

/**
 * Reads from a connection until the ClientHello is complete, and leaves it paused.
 *
 * @throws CirqueError, downstream, when it is malformed, does not come in time, or the client is gone before.
 */
export async function receiveClientHello(connection: Connection, timeoutMs: number): Promise<ReceivedClientHello> {
  const receiver = new ClientHelloReceiver(connection);
  const timer = setTimeout(
    () => receiver.fail("ReadTimedout", `the client sent no ClientHello within ${timeoutMs} ms`, { timeoutMs }),
    Math.min(timeoutMs, LONGEST_TIMER_MS),
  );
  try {
    return await receiver.received.promise;
  } finally {
    clearTimeout(timer);
  }
}

class ClientHelloReceiver implements ConnectionListener {
  readonly received = Promise.withResolvers<ReceivedClientHello>();
  readonly #connection: Connection;
  readonly #parser = new ClientHelloParser();
  #bytes: Buffer[] = [];

  constructor(connection: Connection) {
    this.#connection = connection;
    connection.listener = this;
    connection.resume();
  }

  onBytes(chunk: Buffer): void {
    // Thousands of pieces of a byte each would take far more memory than what is in them.
    if (this.#bytes.length >= MAX_PIECES) this.#bytes = [Buffer.concat(this.#bytes)];
    this.#bytes.push(chunk);
    const progress = this.#parser.push(chunk);
    if (progress.state === "complete") {
      this.#connection.pause();
      this.received.resolve({ hello: progress.hello, bytes: this.#bytes });
    } else if (progress.state === "malformed") {
      this.#connection.pause();
      this.fail("HandshakeError", `the client sent no ClientHello: ${EXPLANATIONS[progress.fault]}`, {
        fault: progress.fault,
      });
    }
  }

  onEnd(): void {
    this.fail("ConnectionClosed", "the client ended before its ClientHello was complete", { fault: "ended" });
  }

  onDrain(): void {}

  onClose(error: Error | undefined): void {
    this.fail("ConnectionClosed", "the client closed before its ClientHello was complete", { fault: "closed" }, error);
  }

  fail(
    code: "ReadTimedout" | "HandshakeError" | "ConnectionClosed",
    message: string,
    context: Readonly<Record<string, unknown>>,
    cause?: Error,
  ): void {
    const options = { context: { reason: "client-hello", ...context }, ...(cause !== undefined && { cause }) };
    this.received.reject(CirqueError.downstream(code, message, options));
  }
}

const MAX_PIECES = 32;
const LONGEST_TIMER_MS = 2 ** 31 - 1;

const EXPLANATIONS: Readonly<Record<ClientHelloFault, string>> = {
  "not-tls": "it does not speak TLS",
  "bad-record": "a TLS record is malformed",
  "not-client-hello": "it began with another message",
  "too-long": "it is longer than 16 KiB",
  "bad-message": "its lengths do not add up, or an extension stands there twice",
  "bad-server-name": "the server name is not a host name",
};
