import type { HeaderMap, RequestHead, ResponseHead } from "@cirque/http";
import type { ConnectFacts } from "../connectors/connect-facts.ts";
import type { CirqueError } from "../errors/cirque-error.ts";
import type { BodySource } from "./body.ts";

/** What a session tells the one who sent its request. */
export interface ClientSessionObserver {
  /** What was written has left: `write` may go on. */
  onWritable(): void;
}

/** One request and its response, seen from the client side: the same over each version of HTTP (SES-01). */
export interface ClientSession extends BodySource {
  /** Whether the connection was there before, and the origin may have closed it meanwhile. */
  readonly reused: boolean;
  /**
   * Whether the peer may have acted on the request: a byte of it may have reached the peer, and the peer has not said that
   * it did nothing with it (RFC 9113, 8.7).
   */
  readonly requestStarted: boolean;
  /** Whether all of the response has been read. */
  readonly responseEnded: boolean;
  /** Whether the request was sent whole. */
  readonly requestEnded: boolean;
  /** Payload bytes of the response body read. */
  readonly bodyBytesRead: number;
  readonly remoteAddress: string;
  readonly localAddress: string;
  /** How its connection came about, and how long that took (V9-18). */
  readonly connectFacts?: ConnectFacts | undefined;
  observer: ClientSessionObserver | undefined;

  /**
   * Begins the request. The head leaves together with the first body bytes, or at `flush`.
   * @param hasBody Whether a body follows. It is sent with the head's Content-Length, else chunked.
   */
  writeHead(head: RequestHead, hasBody: boolean): void;
  /** Sends body bytes. @returns false when enough is waiting: stop, and go on at `onWritable`. */
  write(chunk: Buffer): boolean;
  /** Completes the request. */
  end(trailers?: HeaderMap): void;
  /** Sends what is held back. */
  flush(): void;
  /**
   * The next response head: interim ones (1xx), then the final one.
   * @throws CirqueError when the connection fails, the time is up, or the peer answers garbage.
   */
  readHead(): Promise<ResponseHead>;
  /** Turns the connection into a tunnel, after a 101. */
  upgrade(): void;
  /** Ends the exchange by force; a pending `readHead` rejects with the error. The connection is closed. */
  abort(error: CirqueError): void;
}
