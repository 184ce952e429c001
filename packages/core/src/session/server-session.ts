import type { HeaderMap, RequestHead, ResponseHead } from "@cirque/http";
import type { CirqueError } from "../errors/cirque-error.ts";
import type { AcceptedConnection } from "../listeners/accepted-connection.ts";
import type { BodySource } from "./body.ts";

/** What a session tells the one who works on its request. */
export interface ServerSessionObserver {
  /** What was written has left: `write` may go on. */
  onWritable(): void;
  /** The client has gone, or broke the protocol, before the exchange was over. The last call. */
  onAbort(error: CirqueError): void;
}

/**
 * One request and its response, seen from the server (SES-01): the same over each version of HTTP.
 *
 * The order is: interim responses, one head, body, end. A session keeps to the framing whatever it is told: it writes
 * the fields that frame a message itself, drops a body where none may be, and cuts the connection rather than let a
 * short body pass for a whole one (promise P1).
 */
export interface ServerSession extends BodySource {
  readonly request: RequestHead;
  /** The method as the client sent it, whatever has become of `request`: the framing of the response hangs on it. */
  readonly method: string;
  /** Whether a request body follows, or has followed. */
  readonly hasRequestBody: boolean;
  /** Whether all of the request has been read. */
  readonly requestEnded: boolean;
  /** Whether the client asked to change the protocol (RFC 9110, 7.8), to another one than HTTP/2. */
  readonly upgradeRequested: boolean;
  /** Whether a response head was written. */
  readonly responseStarted: boolean;
  /** Whether the response is complete. */
  readonly responseEnded: boolean;
  /** Payload bytes of the request body read, and of the response body sent; no framing (H1S-34). */
  readonly bodyBytesRead: number;
  readonly bodyBytesSent: number;
  /** Addresses with port: `127.0.0.1:1234`, or `unix:`; those that a trusted proxy in front said, if there is one. */
  readonly clientAddress: string;
  readonly serverAddress: string;
  /** What is known of the connection: PROXY header, TLS. Undefined for one that no listener of Cirque accepted. */
  readonly accepted: AcceptedConnection | undefined;
  /** Who is told of writability and of the client's leaving. */
  observer: ServerSessionObserver | undefined;

  /** Whether the connection may carry another request after this one. Set false to close it. */
  keepAlive: boolean;

  /**
   * Sends a 1xx response (H1S-19); dropped for HTTP/1.0 clients, which do not know them.
   * @throws CirqueError when the status is that of a response, or 101.
   */
  writeInterim(head: ResponseHead): void;
  /**
   * Begins the response. The head leaves together with the first body bytes, or at `flush`.
   * @param end Whether no body follows.
   * @throws CirqueError when a head was written before, its status is 1xx, or its Content-Length is not one.
   */
  writeHead(head: ResponseHead, end: boolean): void;
  /** Sends body bytes. @returns false when enough is waiting: stop, and go on at `onWritable`. */
  write(chunk: Buffer): boolean;
  /** Completes the response. */
  end(trailers?: HeaderMap): void;
  /** Sends what is held back. */
  flush(): void;
  /** Cuts the response so that the client can see it, and closes. */
  abort(error?: CirqueError): void;
  /**
   * Answers 101 and turns the connection into a tunnel: body bytes are then the other protocol's, both ways.
   * @throws CirqueError when the client has not asked for that, its request was not read to its end, or a response has
   * begun.
   */
  upgrade(head: ResponseHead): void;
}
