import { once } from "node:events";
import {
  createSecureServer,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type ServerOptions,
} from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import { certificate, privateKey } from "./backend-test-certificate.ts";
import { Recorder } from "./recorder.ts";

/** What an origin does with a request. */
export type Http2Handler = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;

/** How an origin listens. */
export interface Http2OriginOptions extends ServerOptions {
  /** TLS with the certificate for `backend.test`; without, HTTP/2 is known before. */
  readonly tls?: boolean;
  /** Whether HTTP/1.1 may be agreed on in TLS as well. */
  readonly allowHttp1?: boolean;
}

/** An origin of `node:http2`. Without a handler, it echoes bodies. */
export class Http2Origin implements AsyncDisposable {
  readonly address: string;
  readonly sessions: Recorder<ServerHttp2Session> = new Recorder<ServerHttp2Session>();
  readonly streams: Recorder<ServerHttp2Stream> = new Recorder<ServerHttp2Stream>();
  /** What is called for each request; it may be changed at any time. */
  handler: Http2Handler;
  readonly server: Http2Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Http2Server, handler: Http2Handler) {
    this.server = server;
    this.handler = handler;
    this.address = `127.0.0.1:${(server.address() as AddressInfo).port}`; // it listens on a port
    server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
    server.on("session", (session) => {
      session.on("error", () => {});
      this.sessions.add(session);
    });
    server.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
      stream.on("error", () => {});
      this.streams.add(stream);
      this.handler(stream, headers);
    });
  }

  static async start(handler: Http2Handler = echo, options: Http2OriginOptions = {}): Promise<Http2Origin> {
    const { tls = false, allowHttp1 = false, ...rest } = options;
    const server: Http2Server = tls
      ? createSecureServer({ cert: certificate, key: privateKey, allowHTTP1: allowHttp1, ...rest })
      : createServer(rest);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new Http2Origin(server, handler);
  }

  /** How many connections are open. */
  get connections(): number {
    return this.#sockets.size;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.server, "close");
    this.server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}

/** Answers 200 with the body of the request. */
export function echo(stream: ServerHttp2Stream): void {
  stream.respond({ ":status": 200 });
  stream.pipe(stream);
}
