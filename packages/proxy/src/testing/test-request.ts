import { type AcceptedConnection, CirqueError } from "@cirque/core";
import { type HeaderInit, HeaderMap, ParseEvent, RequestParser } from "@cirque/http";
import type { MemoryRequest } from "../memory/memory-server-session.ts";

/** What a client sends. */
export interface TestRequestInit {
  /** Default: `GET`. Any method will do, whatever the fetch standard forbids. */
  readonly method?: string;
  /** Fields, beside Host and those that frame the body, which are added where they are not here. */
  readonly headers?: HeaderInit;
  /** Default: none. A stream is sent in chunks, without a length. */
  readonly body?: string | Uint8Array | ReadableStream<Uint8Array>;
  /** Fields behind the body, which is then sent in chunks. */
  readonly trailers?: HeaderInit;
  /** The client leaves when it aborts. */
  readonly signal?: AbortSignal;
  /** The request target as it is sent. Default: path and query of the URL, which the URL has put in order. */
  readonly target?: string;
  /** Default: `1.1`. */
  readonly version?: "1.0" | "1.1";
  /** The client, with port. Default: `192.0.2.1:50000`. */
  readonly clientAddress?: string;
  /** What the former request on the same connection left, for `onConnectionReuse`. */
  readonly previous?: unknown;
}

/**
 * The request as a server would read it: it passes the parser of HTTP/1.1.
 *
 * @throws MalformedMessage for a request that a server refuses before any callback sees it; TypeError for a URL that is
 * none, and for what cannot be in a request at all.
 */
export function testRequest(url: string, init: TestRequestInit): MemoryRequest {
  const { protocol, host, pathname, search } = new URL(url);
  if (protocol !== "http:" && protocol !== "https:") throw new TypeError(`${url} is neither http: nor https:`);
  const { method = "GET", body, target = pathname + search, version = "1.1" } = init;
  const headers = new HeaderMap(init.headers);
  const trailers = init.trailers && new HeaderMap(init.trailers);
  const bytes = typeof body === "string" ? Buffer.from(body) : body;
  if (!headers.has("host")) headers.append("Host", host);
  if (!headers.has("content-length") && !headers.has("transfer-encoding")) {
    if (bytes instanceof ReadableStream || trailers !== undefined) headers.append("Transfer-Encoding", "chunked");
    else if (bytes !== undefined) headers.append("Content-Length", String(bytes.length));
  }
  const parser = new RequestParser();
  parser.push(Buffer.from(`${method} ${target} HTTP/${version}\r\n${headers.toWire()}\r\n`, "latin1"));
  const event = parser.next();
  if (event !== ParseEvent.Head || parser.head === undefined) {
    throw CirqueError.internal("InvalidArgument", "method, target and headers are no request");
  }
  const serverAddress = `203.0.113.1:${protocol === "https:" ? 443 : 80}`;
  const clientAddress = init.clientAddress ?? "192.0.2.1:50000";
  return {
    head: parser.head,
    body: parser.bodyLength === 0 ? undefined : streamOf(bytes),
    trailers,
    clientAddress,
    serverAddress,
    accepted: protocol === "https:" ? overTls(clientAddress, serverAddress, host) : undefined,
  };
}

function streamOf(body: Uint8Array | ReadableStream<Uint8Array> | undefined): ReadableStream<Uint8Array> {
  if (body instanceof ReadableStream) return body;
  return new ReadableStream({
    start(controller) {
      if (body !== undefined && body.length > 0) controller.enqueue(body);
      controller.close();
    },
  });
}

function overTls(clientAddress: string, serverAddress: string, host: string): AcceptedConnection {
  return {
    endpoint: { kind: "tcp", address: serverAddress },
    peerAddress: clientAddress,
    localAddress: serverAddress,
    clientAddress,
    serverAddress,
    proxyHeader: undefined,
    tls: {
      protocol: "TLSv1.3",
      cipher: "TLS_AES_128_GCM_SHA256",
      alpnProtocol: "http/1.1",
      serverName: host.replace(/:\d+$/, ""),
      resumed: false,
      handshakeMs: 0,
      clientCertificate: undefined,
      extension: undefined,
    },
  };
}
