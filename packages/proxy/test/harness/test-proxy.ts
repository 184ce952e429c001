import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";
import { createConfiguration, describeAccepted, type Endpoint, MetricsRegistry, singleThread } from "@cirque/core";
import { HttpProxy, type HttpProxyOptions, type ProxyHttp } from "../../src/index.ts";
import { RawPeer } from "./raw-peer.ts";
import { RecordingLogger } from "./recording-logger.ts";

/** A proxy that listens on a port of its own, with what it logs and counts at hand. */
export class TestProxy<Ctx> implements AsyncDisposable {
  readonly port: number;
  readonly proxy: HttpProxy<Ctx>;
  readonly logger = new RecordingLogger();
  readonly metrics = new MetricsRegistry();
  readonly #server: Server;
  readonly #clients: RawPeer[] = [];

  private constructor(server: Server, callbacks: ProxyHttp<Ctx>, options: HttpProxyOptions) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port; // it listens on a port
    this.proxy = new HttpProxy(callbacks, options);
    this.proxy.start({
      logger: this.logger,
      metrics: this.metrics,
      configuration: createConfiguration(),
      thread: singleThread(),
      shutdown: new AbortController().signal,
    });
    const endpoint: Endpoint = { kind: "tcp", address: `127.0.0.1:${this.port}` };
    server.on("connection", (socket) => this.proxy.handle(socket, describeAccepted(socket, endpoint)));
  }

  static async start<Ctx = void>(callbacks: ProxyHttp<Ctx>, options: HttpProxyOptions = {}): Promise<TestProxy<Ctx>> {
    const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new TestProxy(server, callbacks, options);
  }

  get origin(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** A client that is closed with the proxy. */
  async client(): Promise<RawPeer> {
    const client = await RawPeer.connect(this.port);
    this.#clients.push(client);
    return client;
  }

  /** All that a client of its own gets for these bytes until the proxy closes: send `Connection: close`. */
  async exchange(bytes: string | Buffer): Promise<string> {
    const client = await this.client();
    return (await client.send(bytes).whenClosed()).text;
  }

  /** The value of one series, such as `cirque_requests_total{service="http",status="2xx"}`; undefined when there is none. */
  async metric(series: string): Promise<number | undefined> {
    const lines = (await this.metrics.exposition()).split("\n");
    const line = lines.find((candidate) => candidate.startsWith(`${series} `));
    return line === undefined ? undefined : Number(line.slice(series.length + 1));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client[Symbol.dispose]();
    const closed = once(this.#server, "close");
    this.#server.close();
    await this.proxy.drain(AbortSignal.abort());
    await closed;
  }
}

/** A request without body, after which the connection closes unless `lines` say otherwise. */
export function get(target = "/", lines = "Connection: close\r\n"): string {
  return `GET ${target} HTTP/1.1\r\nHost: a.example\r\n${lines}\r\n`;
}

/** A request with a body and its length. */
export function post(body: string, lines = "Connection: close\r\n"): string {
  return `POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: ${body.length}\r\n${lines}\r\n${body}`;
}

/** A request with these bytes as its chunked body. */
export function postChunks(chunks: string, lines = "Connection: close\r\n"): string {
  return `POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n${lines}\r\n${chunks}`;
}
