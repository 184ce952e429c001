import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";
import { ResponseHead } from "@cirque/http";
import type { CirqueError } from "../../src/errors/cirque-error.ts";
import {
  Http1ServerConnection,
  type Http1ServerHandler,
  type Http1ServerOptions,
  type Refusal,
  resolveServerOptions,
} from "../../src/http1/index.ts";
import type { ServerSession } from "../../src/session/server-session.ts";
import { RawPeer } from "./raw-peer.ts";
import { Recorder } from "./recorder.ts";

type OnRequest = (session: ServerSession, server: TestServer) => void;

/** HTTP/1.1 connections on a socket that listens, accepted as a listener of Cirque does, and all they tell. */
export class TestServer implements Http1ServerHandler, AsyncDisposable {
  readonly port: number;
  readonly connections: Http1ServerConnection[] = [];
  readonly sessions = new Recorder<ServerSession>();
  readonly refusals = new Recorder<Refusal>();
  readonly closed = new Recorder<Http1ServerConnection>();
  /** What observers were told, by sessions whose handler set none. */
  readonly aborts = new Recorder<CirqueError>();
  readonly #server: Server;
  readonly #onRequest: OnRequest;
  readonly #clients: RawPeer[] = [];

  private constructor(server: Server, onRequest: OnRequest, options: Http1ServerOptions) {
    this.#server = server;
    this.#onRequest = onRequest;
    this.port = (server.address() as AddressInfo).port; // it listens on a port
    const resolved = resolveServerOptions(options);
    server.on("connection", (socket) => this.connections.push(new Http1ServerConnection(socket, resolved, this)));
  }

  static async start(onRequest: OnRequest = answerHello, options: Http1ServerOptions = {}): Promise<TestServer> {
    const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new TestServer(server, onRequest, options);
  }

  get origin(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** A client that is closed with the server. */
  async client(): Promise<RawPeer> {
    const client = await RawPeer.connect(this.port);
    this.#clients.push(client);
    return client;
  }

  /** What a client of its own gets for these bytes until the server closes. */
  async exchange(bytes: string): Promise<string> {
    const client = await this.client();
    return (await client.send(bytes).whenClosed()).text;
  }

  onRequest(session: ServerSession): void {
    session.observer = { onWritable() {}, onAbort: (error) => this.aborts.add(error) };
    this.sessions.add(session);
    this.#onRequest(session, this);
  }

  onRefusal(refusal: Refusal): void {
    this.refusals.add(refusal);
  }

  onConnectionClose(connection: Http1ServerConnection): void {
    this.closed.add(connection);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client[Symbol.dispose]();
    for (const connection of this.connections) connection.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }
}

/** Answers with a text, its length declared. */
export function answer(session: ServerSession, text: string, status = 200): void {
  session.writeHead(new ResponseHead(status, [["Content-Length", String(text.length)]]), false);
  session.write(Buffer.from(text, "latin1"));
  session.end();
}

/** Answers with the target that was asked for. */
export function answerTarget(session: ServerSession): void {
  answer(session, session.request.target);
}

function answerHello(session: ServerSession): void {
  answer(session, "hello");
}

/** A request without body. */
export function get(target = "/", lines = ""): string {
  return `GET ${target} HTTP/1.1\r\nHost: a.example\r\n${lines}\r\n`;
}

/** A request with a body and its length. */
export function post(body: string, lines = ""): string {
  return `POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: ${body.length}\r\n${lines}\r\n${body}`;
}

/** A request with these bytes as its chunked body. */
export function postChunks(chunks: string, lines = ""): string {
  return `POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n${lines}\r\n${chunks}`;
}
