import { once } from "node:events";
import { createServer as createHttpServer, type IncomingHttpHeaders } from "node:http";
import { type AddressInfo, createServer } from "node:net";
import { describeAccepted, HttpPeer } from "@cirque/core";
import { type HttpModuleFactory, HttpProxy, type ProxyHttp } from "@cirque/proxy";

/** A proxy with one module, before an origin that notes the fields of the last request. */
export class TestProxy implements AsyncDisposable {
  readonly url: string;
  /** What the origin saw; undefined when it was not asked. */
  seen: IncomingHttpHeaders | undefined;
  readonly #close: () => Promise<void>;

  private constructor(url: string, close: () => Promise<void>) {
    this.url = url;
    this.#close = close;
  }

  static async start(module: HttpModuleFactory, callbacks: Partial<ProxyHttp> = {}): Promise<TestProxy> {
    const origin = createHttpServer((request, response) => {
      started.seen = request.headers;
      response.end("ok");
    }).listen(0, "127.0.0.1");
    await once(origin, "listening");
    const peer = new HttpPeer(`127.0.0.1:${(origin.address() as AddressInfo).port}`);
    const proxy = new HttpProxy({ upstreamPeer: () => peer, ...callbacks }, { modules: [module] });
    const listener = createServer({ allowHalfOpen: true, pauseOnConnect: true }).listen(0, "127.0.0.1");
    await once(listener, "listening");
    const address = `127.0.0.1:${(listener.address() as AddressInfo).port}`;
    listener.on("connection", (socket) => proxy.handle(socket, describeAccepted(socket, { kind: "tcp", address })));
    const started = new TestProxy(`http://${address}`, async () => {
      listener.close();
      await proxy.drain(AbortSignal.abort());
      await proxy.cleanup();
      origin.close();
      origin.closeAllConnections();
    });
    return started;
  }

  /** The status of a request with a token, and the challenge of the response. */
  async ask(token?: string, headers: Record<string, string> = {}, method = "GET"): Promise<[number, string | null]> {
    this.seen = undefined;
    const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const response = await fetch(this.url, { method, headers: { ...authorization, ...headers } });
    await response.arrayBuffer();
    return [response.status, response.headers.get("www-authenticate")];
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#close();
  }
}
