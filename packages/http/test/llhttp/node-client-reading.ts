import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import type { Socket } from "node:net";
import { deliver, memoryConnection } from "./memory-connection.ts";
import type { Message, Reading } from "./reading.ts";

/**
 * Reads the final response to one request of `method` with Node's own client, whose parser is llhttp in its default mode.
 * @param from Pieces of bytes, or a real connection to an origin that sends them and closes.
 */
export async function readWithNodeClient(method: string, from: readonly Buffer[] | (() => Socket)): Promise<Reading> {
  const reading: Reading = { messages: [], refusal: undefined };
  const connection = typeof from === "function" ? from() : memoryConnection();
  const sent = request({ method, createConnection: () => connection, maxHeaderSize: 1 << 20 });
  sent.maxHeadersCount = 0;
  sent.on("error", (error: NodeJS.ErrnoException) => {
    reading.refusal ??= error.code ?? error.message;
  });
  sent.on("response", (response) => record(reading, response));
  sent.on("upgrade", (response) => {
    reading.messages.push({ ...messageOf(response), complete: true });
    connection.destroy();
  });
  sent.end();
  if (typeof from === "function") {
    await once(connection, "close");
  } else {
    await once(sent, "socket");
    deliver(connection, from);
  }
  return reading;
}

/** Writes down what the parser tells the response, at the moment it is told. */
function record(reading: Reading, response: IncomingMessage): void {
  const message = messageOf(response);
  reading.messages.push(message);
  response.push = (chunk: Buffer | null): boolean => {
    if (chunk === null) {
      message.complete = true;
      message.trailers = response.rawTrailers;
      response.socket.destroy();
    } else {
      message.body += chunk.toString("latin1");
    }
    return true;
  };
}

function messageOf(response: IncomingMessage): Message {
  const start = `HTTP/${response.httpVersion} ${response.statusCode} ${response.statusMessage}`;
  return { start, fields: response.rawHeaders, body: "", trailers: [], complete: false };
}
