import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { RequestHead, type ResponseHead } from "@cirque/http";
import { HttpConnector, type HttpConnectorOptions } from "../../src/connectors/http-connector.ts";
import { HttpPeer } from "../../src/connectors/http-peer.ts";
import type { PeerOptions } from "../../src/connectors/peer-options.ts";
import type { Http1ClientSession } from "../../src/http1/client-session.ts";
import { CollectingSink } from "./collecting-sink.ts";
import { RawPeer } from "./raw-peer.ts";
import { Recorder } from "./recorder.ts";

/** An origin that sends exactly the bytes it is told to, and a connector to reach it with. */
export class TestOrigin implements AsyncDisposable {
  readonly address: string;
  readonly connections = new Recorder<RawPeer>();
  readonly connector: HttpConnector;
  readonly #server: Server;

  private constructor(server: Server, options: HttpConnectorOptions) {
    this.#server = server;
    this.address = `127.0.0.1:${(server.address() as AddressInfo).port}`; // it listens on a port
    this.connector = new HttpConnector(options);
    server.on("connection", (socket: Socket) => this.connections.add(new RawPeer(socket)));
  }

  static async start(options: HttpConnectorOptions = {}): Promise<TestOrigin> {
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new TestOrigin(server, options);
  }

  peer(options?: PeerOptions): HttpPeer {
    return new HttpPeer(this.address, options);
  }

  /** A session, reused or new. */
  async session(peer: HttpPeer = this.peer()): Promise<Http1ClientSession> {
    return (await this.connector.session(peer)) as Http1ClientSession; // the only kind there is
  }

  /** A new session, and its other end. */
  async connected(options?: PeerOptions): Promise<{ session: Http1ClientSession; origin: RawPeer; peer: HttpPeer }> {
    const peer = this.peer(options);
    const index = this.connections.length;
    const session = await this.session(peer);
    return { session, origin: await this.connections.at(index), peer };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.connector.close();
    for (const connection of this.connections.items) connection[Symbol.dispose]();
    this.#server.close();
    await once(this.#server, "close");
  }
}

/** The head of a request. */
export function requestHead(method = "GET", headers: Record<string, string> = {}): RequestHead {
  return new RequestHead(method, "/", { host: "a.example", ...headers });
}

/** What came back for one request. */
export interface ReceivedResponse {
  readonly head: ResponseHead;
  readonly sink: CollectingSink;
}

/** Sends a request without body, waits for the final head and begins to read the body. */
export async function ask(session: Http1ClientSession, head: RequestHead = requestHead()): Promise<ReceivedResponse> {
  session.writeHead(head, false);
  return receive(session);
}

/** Waits for the final head and begins to read the body. */
export async function receive(session: Http1ClientSession): Promise<ReceivedResponse> {
  let head = await session.readHead();
  while (head.informational) head = await session.readHead();
  const sink = new CollectingSink();
  session.readBody(sink);
  return { head, sink };
}

/** A response with a body and its length. */
export function sized(body: string, lines = ""): string {
  return `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n${lines}\r\n${body}`;
}
