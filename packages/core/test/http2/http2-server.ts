import { once } from "node:events";
import { type ClientHttp2Session, type ClientSessionOptions, connect, type IncomingHttpHeaders } from "node:http2";
import { type AddressInfo, connect as connectSocket, createServer, type Server, type Socket } from "node:net";
import { ResponseHead } from "@cirque/http";
import type { CirqueError } from "../../src/errors/cirque-error.ts";
import { HttpServer, type HttpServerApp } from "../../src/http-server/http-server.ts";
import type { HttpServerOptions } from "../../src/http-server/http-server-options.ts";
import type { Refusal } from "../../src/http1/index.ts";
import { describeAccepted } from "../../src/listeners/accepted-connection.ts";
import type { ServerSession } from "../../src/session/server-session.ts";
import { testContext } from "../server/test-context.ts";
import { Recorder } from "../wire/recorder.ts";
import { type FirstSettings, FramePeer } from "./frame-peer.ts";

type OnRequest = (session: ServerSession) => void | Promise<void>;

/** An `HttpServer` on a port of its own, and all that its app is told. */
export class Http2TestServer implements HttpServerApp, AsyncDisposable {
  readonly port: number;
  readonly sessions = new Recorder<ServerSession>();
  readonly refusals = new Recorder<Refusal>();
  readonly aborts = new Recorder<CirqueError>();
  readonly context = testContext();
  readonly http: HttpServer;
  /** The sockets that were accepted. */
  readonly sockets: Socket[] = [];
  readonly #server: Server;
  readonly #onRequest: OnRequest;
  readonly #clients: ClientHttp2Session[] = [];
  readonly #peers: FramePeer[] = [];
  #drained: Promise<void> | undefined;

  private constructor(server: Server, onRequest: OnRequest, options: HttpServerOptions) {
    this.#server = server;
    this.#onRequest = onRequest;
    this.port = (server.address() as AddressInfo).port; // it listens on a port
    this.http = new HttpServer(this, options);
    const endpoint = { kind: "tcp", address: `127.0.0.1:${this.port}` } as const;
    server.on("connection", (socket) => {
      this.sockets.push(socket);
      this.http.handle(socket, describeAccepted(socket, endpoint));
    });
  }

  static async start(onRequest: OnRequest = answerHello, options: HttpServerOptions = {}): Promise<Http2TestServer> {
    const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const started = new Http2TestServer(server, onRequest, options);
    await started.http.start(started.context);
    return started;
  }

  get origin(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** A client of `node:http2`, closed with the server. */
  client(options: ClientSessionOptions = {}): ClientHttp2Session {
    const client = connect(this.origin, options);
    client.on("error", () => {});
    this.#clients.push(client);
    return client;
  }

  /** A client that sends frames, one by one. It has sent the preface and its settings. */
  async peer(settings?: FirstSettings): Promise<FramePeer> {
    const socket = connectSocket(this.port, "127.0.0.1");
    await once(socket, "connect");
    const peer = new FramePeer(socket, settings);
    this.#peers.push(peer);
    return peer;
  }

  /** How many connections are open. */
  openConnections(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.getConnections((error, count) => (error ? reject(error) : resolve(count)));
    });
  }

  drain(force: AbortSignal = new AbortController().signal): Promise<void> {
    this.#drained ??= this.http.drain(force);
    return this.#drained;
  }

  processRequest(session: ServerSession): void | Promise<void> {
    session.observer = { onWritable() {}, onAbort: (error) => this.aborts.add(error) };
    this.sessions.add(session);
    return this.#onRequest(session);
  }

  onRefusal(refusal: Refusal): void {
    this.refusals.add(refusal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client.destroy();
    for (const peer of this.#peers) peer[Symbol.dispose]();
    this.#server.close();
    if (this.#drained === undefined) await this.drain(AbortSignal.abort());
    for (const socket of this.sockets) socket.destroy();
  }
}

/** A whole response, as a client got it. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly raw: readonly string[];
  readonly text: string;
  readonly trailers: IncomingHttpHeaders | undefined;
  readonly interim: readonly (readonly string[])[];
  /** The code the stream was closed with. */
  readonly code: number;
}

/** Sends a request, and resolves when its stream has closed, in whatever way. */
export function ask(
  client: ClientHttp2Session,
  fields: Readonly<Record<string, string>> | readonly string[] = {},
  body?: string | Buffer,
): Promise<Answer> {
  const headers = Array.isArray(fields) ? (fields as string[]) : { ":path": "/", ...fields };
  const stream = client.request(headers as never, { endStream: body === undefined });
  const interim: string[][] = [];
  let got: { headers: IncomingHttpHeaders; raw: string[] } = { headers: {}, raw: [] };
  let trailers: IncomingHttpHeaders | undefined;
  let text = "";
  stream.setEncoding("latin1");
  stream.on("headers", (_headers: unknown, _flags: number, raw: string[]) => interim.push(raw));
  stream.on("response", (all: IncomingHttpHeaders, _flags: number, raw?: string[]) => {
    got = { headers: all, raw: raw ?? [] };
  });
  stream.on("trailers", (all: IncomingHttpHeaders) => {
    trailers = all;
  });
  stream.on("data", (chunk: string) => {
    text += chunk;
  });
  stream.on("error", () => {});
  if (body !== undefined) stream.end(body);
  return new Promise((resolve) => {
    stream.on("close", () => {
      const status = Number(got.headers[":status"] ?? 0);
      resolve({ status, headers: got.headers, raw: got.raw, text, trailers, interim, code: stream.rstCode });
    });
  });
}

/** Answers with a text, its length declared. */
export function answer(session: ServerSession, text: string, status = 200): void {
  session.writeHead(new ResponseHead(status, [["Content-Length", String(text.length)]]), false);
  session.write(Buffer.from(text, "latin1"));
  session.end();
}

function answerHello(session: ServerSession): void {
  answer(session, "hello");
}
