import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";
import type { CirqueError } from "@cirque/core";
import { createConfiguration, describeAccepted, MetricsRegistry, singleThread } from "@cirque/core";
import { type ProxyTcp, TcpProxy, type TcpProxyOptions, type TcpSession } from "../../src/index.ts";
import { EndPoint } from "./end-point.ts";
import { RecordingLogger } from "./recording-logger.ts";

/** A connection that is over. */
export interface LoggedConnection {
  readonly session: TcpSession;
  readonly error: CirqueError | undefined;
}

/** A proxy behind an accept loop of its own, with everything at hand to look at. */
export class TestTcpProxy<Ctx = void> implements AsyncDisposable {
  readonly logger: RecordingLogger = new RecordingLogger();
  readonly metrics: MetricsRegistry = new MetricsRegistry();
  readonly logged: LoggedConnection[] = [];
  readonly proxy: TcpProxy<Ctx>;
  readonly #server: Server;
  #onLogged: (() => void) | undefined;

  private constructor(callbacks: ProxyTcp<Ctx>, options: TcpProxyOptions, server: Server) {
    this.#server = server;
    const own: ProxyTcp<Ctx> = Object.assign(Object.create(callbacks) as ProxyTcp<Ctx>, {
      logging: async (session: TcpSession, error: CirqueError | undefined, ctx: Ctx) => {
        this.logged.push({ session, error });
        this.#onLogged?.();
        await callbacks.logging?.(session, error, ctx);
      },
    });
    this.proxy = new TcpProxy(own, options);
    this.proxy.start({
      logger: this.logger,
      metrics: this.metrics,
      configuration: createConfiguration(),
      thread: singleThread(),
      shutdown: new AbortController().signal,
    });
    const accept = server.listenerCount("secureConnection") > 0 || "setSecureContext" in server;
    server.on(accept ? "secureConnection" : "connection", (socket) => {
      socket.pause();
      this.proxy.handle(socket, describeAccepted(socket, { address: "test:1", kind: "tcp" }));
    });
  }

  static async start<Ctx = void>(
    callbacks: ProxyTcp<Ctx>,
    options: TcpProxyOptions = {},
    server: Server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }),
  ): Promise<TestTcpProxy<Ctx>> {
    const proxy = new TestTcpProxy(callbacks, options, server);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port; // it listens on a port
  }

  connect(): Promise<EndPoint> {
    return EndPoint.connect(this.port);
  }

  /** Resolves with the connection that was over as number `index`, once it is. */
  async over(index = 0): Promise<LoggedConnection> {
    for (;;) {
      const found = this.logged[index];
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => {
        this.#onLogged = resolve;
      });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    await this.proxy.drain(AbortSignal.abort());
  }
}
