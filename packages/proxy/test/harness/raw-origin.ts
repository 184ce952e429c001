import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { HttpPeer, type PeerOptions } from "@cirque/core";
import { ParseEvent, type RequestHead, RequestParser } from "@cirque/http";
import { RawPeer } from "./raw-peer.ts";
import { Recorder } from "./recorder.ts";

/** A request as an origin reads it. */
export interface ReadRequest {
  readonly head: RequestHead;
  readonly body: string;
}

/** A connection that the proxy made to an origin. */
export class OriginConnection extends RawPeer {
  /** The number of this connection, from 0. */
  readonly index: number;
  #read = 0;

  constructor(socket: Socket, index: number) {
    super(socket);
    this.index = index;
  }

  /** The next request on this connection, once it is there whole. */
  async request(): Promise<ReadRequest> {
    let found: { request: ReadRequest; length: number } | undefined;
    await this.when(() => {
      found = readRequest(this.text.slice(this.#read));
      return found !== undefined;
    }, "a whole request");
    if (found === undefined) throw new Error("no request"); // `when` has just found it
    this.#read += found.length;
    return found.request;
  }

  /** The head of the next request, however much of its body is there. */
  async requestHead(): Promise<string> {
    await this.when(() => this.text.indexOf("\r\n\r\n", this.#read) >= 0, "a request head");
    return this.text.slice(this.#read, this.text.indexOf("\r\n\r\n", this.#read) + 4);
  }
}

/** What an origin does with a connection. */
export type OriginScript = (connection: OriginConnection) => void | Promise<void>;

/** An origin that sends exactly the bytes its script says. */
export class RawOrigin implements AsyncDisposable {
  readonly port: number;
  readonly connections = new Recorder<OriginConnection>();
  readonly #server: Server;

  private constructor(server: Server, script: OriginScript) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port; // it listens on a port
    server.on("connection", (socket) => {
      const connection = new OriginConnection(socket, this.connections.length);
      this.connections.add(connection);
      // A script that waits for what the proxy never sends ends with its connection.
      Promise.resolve(script(connection)).catch(() => {});
    });
  }

  /** @param script Called for each connection; without it, a test works with `connections`. */
  static async start(script: OriginScript = () => {}, host = "127.0.0.1"): Promise<RawOrigin> {
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    server.listen(0, host);
    await once(server, "listening");
    return new RawOrigin(server, script);
  }

  /** An origin that answers each request with these bytes, on connections that it keeps. */
  static answering(response: string | ((request: ReadRequest) => string), host?: string): Promise<RawOrigin> {
    return RawOrigin.start(async (connection) => {
      while (!connection.closed) {
        const request = await connection.request();
        connection.send(typeof response === "string" ? response : response(request));
      }
    }, host);
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** This origin as a peer. */
  peer(options?: PeerOptions): HttpPeer {
    return new HttpPeer(this.address, options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const connection of this.connections.items) connection[Symbol.dispose]();
    await closed;
  }
}

/** A response with its length declared. */
export function okResponse(body: string, lines = ""): string {
  return `HTTP/1.1 200 OK\r\nContent-Length: ${Buffer.byteLength(body, "latin1")}\r\n${lines}\r\n${body}`;
}

/** An address of this machine that refuses connections. */
export async function refusingAddress(): Promise<string> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // it listens on a port
  server.close();
  await once(server, "close");
  return `127.0.0.1:${port}`;
}

function readRequest(text: string): { request: ReadRequest; length: number } | undefined {
  const parser = new RequestParser();
  parser.push(Buffer.from(text, "latin1"));
  let body = "";
  for (;;) {
    const event = parser.next();
    if (event === ParseEvent.NeedMore) return undefined;
    if (event === ParseEvent.Data) body += parser.data.toString("latin1");
    if (event !== ParseEvent.End || parser.head === undefined) continue;
    return { request: { head: parser.head, body }, length: text.length - parser.bufferedBytes };
  }
}
