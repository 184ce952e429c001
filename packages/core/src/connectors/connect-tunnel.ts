import {
  MalformedMessage,
  ParseEvent,
  RequestHead,
  type ResponseHead,
  ResponseParser,
  serializeRequestHead,
} from "@cirque/http";
import type { TcpAddress } from "../address/socket-address.ts";
import { CirqueError } from "../errors/cirque-error.ts";
import type { HandshakeReader, Step } from "./exchange-bytes.ts";
import type { NextHop } from "./next-hop.ts";

/** What a proxy may say at most before the tunnel stands. */
const LIMITS = { headBytes: 16 * 1024, fieldBytes: 8 * 1024 };
const MAX_INTERIM_RESPONSES = 4;

/**
 * The request for a tunnel (RFC 9110, 9.3.6).
 * @throws CirqueError `InvalidArgument` for a field that cannot be sent.
 */
export function connectRequest(target: TcpAddress, { headers = {}, credentials }: NextHop): string {
  const authority = `${target.host.includes(":") ? `[${target.host}]` : target.host}:${target.port}`;
  try {
    const head = new RequestHead("CONNECT", authority, { host: authority });
    for (const [name, value] of Object.entries(headers)) head.headers.set(name, value);
    if (credentials !== undefined) {
      const text = Buffer.from(`${credentials.username}:${credentials.password}`).toString("base64");
      head.headers.set("proxy-authorization", `Basic ${text}`);
    }
    return serializeRequestHead(head);
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw CirqueError.internal("InvalidArgument", `nextHop.headers cannot be sent: ${message}`, { cause });
  }
}

/** Reads the answer to a CONNECT request (CONN-04). Only a 2xx makes a tunnel; its body, if any, is the tunnel's. */
export class ConnectResponseReader implements HandshakeReader<ResponseHead> {
  readonly #proxy: string;
  readonly #parser = new ResponseParser(LIMITS);
  #interim = 0;

  constructor(proxy: string) {
    this.#proxy = proxy;
    this.#parser.expect("CONNECT");
  }

  read(received: Buffer): Step<ResponseHead> | undefined {
    if (received.length === 0) return undefined;
    this.#parser.push(received);
    const head = this.#nextHead();
    if (head === undefined) return { consumed: received.length };
    if (head.headers.has("transfer-encoding")) {
      throw this.#refusal("answered with Transfer-Encoding, which no tunnel has", head);
    }
    // What the parser has not used was the last to come.
    const rest = this.#parser.takeRemainder();
    return { consumed: received.length - rest.length, result: head };
  }

  /** The final head, if it is there and grants the tunnel. */
  #nextHead(): ResponseHead | undefined {
    try {
      for (;;) {
        if (this.#parser.next() !== ParseEvent.Head) return undefined;
        const { head } = this.#parser;
        if (head === undefined) return undefined;
        if (head.status >= 200 && head.status < 300) return head;
        if (!head.informational || head.status === 101)
          throw this.#refusal(`answered ${head.status} ${head.reason}`, head);
        if (++this.#interim > MAX_INTERIM_RESPONSES) throw this.#refusal("sends interim responses without end", head);
        this.#parser.next();
        this.#parser.startNext();
      }
    } catch (cause) {
      if (!(cause instanceof MalformedMessage)) throw cause;
      throw this.#refusal(`sent a malformed answer: ${cause.message}`, undefined, cause);
    }
  }

  #refusal(what: string, response: ResponseHead | undefined, cause?: Error): CirqueError {
    // A proxy that is overloaded may be well again; one that forbids it will go on to.
    const retry = response !== undefined && response.status >= 500;
    return CirqueError.upstream("ConnectProxyFailure", `the proxy ${this.#proxy} ${what}`, {
      retry,
      ...(cause && { cause }),
      context: { proxy: this.#proxy, ...(response && { status: response.status, response }) },
    });
  }
}
