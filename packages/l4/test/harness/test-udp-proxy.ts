import {
  type CirqueError,
  createConfiguration,
  type ListeningSocket,
  type ListeningSockets,
  MetricsRegistry,
  type ServiceContext,
  singleThread,
} from "@cirque/core";
import {
  type ProxyUdp,
  type UdpListenerOptions,
  type UdpProxy,
  type UdpProxyOptions,
  type UdpSession,
  udpProxyService,
} from "../../src/index.ts";
import { RecordingLogger } from "./recording-logger.ts";

/** A session that is over. */
export interface LoggedSession {
  readonly session: UdpSession;
  readonly error: CirqueError | undefined;
}

/** How a {@link TestUdpProxy} listens. */
export interface TestListener extends UdpListenerOptions {
  readonly addresses?: readonly string[];
  readonly sockets?: ListeningSockets;
}

/** The sockets of one of several threads, with those inherited that are given. */
export function threadSockets(inherited: readonly number[] = []): ListeningSockets & { bound: ListeningSocket[] } {
  const assigned = new Map<string, string>();
  const bound: ListeningSocket[] = [];
  return {
    bound,
    shared: true,
    handedOver: false,
    inherits: () => inherited.length > 0,
    take: () => inherited,
    assign: (_kind, address, boundAddress) => assigned.set(address, boundAddress),
    resolve: (_kind, address) => assigned.get(address) ?? address,
    offer: (socket) => {
      bound.push(socket);
      return () => bound.splice(bound.indexOf(socket), 1);
    },
  };
}

/** A UDP proxy with everything at hand to look at. */
export class TestUdpProxy<Ctx = void> implements AsyncDisposable {
  readonly logger: RecordingLogger = new RecordingLogger();
  readonly metrics: MetricsRegistry = new MetricsRegistry();
  readonly logged: LoggedSession[] = [];
  readonly service: UdpProxy<Ctx>;
  readonly context: ServiceContext;
  readonly #onLogged: (() => void)[] = [];

  private constructor(callbacks: ProxyUdp<Ctx>, options: UdpProxyOptions, sockets: ListeningSockets | undefined) {
    const own: ProxyUdp<Ctx> = Object.assign(Object.create(callbacks) as ProxyUdp<Ctx>, {
      logging: (session: UdpSession, error: CirqueError | undefined, ctx: Ctx) => {
        this.logged.push({ session, error });
        for (const resolve of this.#onLogged.splice(0)) resolve();
        return callbacks.logging?.(session, error, ctx);
      },
    });
    this.service = udpProxyService(createConfiguration(), own, options);
    const thread = singleThread();
    this.context = {
      logger: this.logger,
      metrics: this.metrics,
      configuration: createConfiguration(),
      thread: sockets === undefined ? thread : { ...thread, index: 1, sockets },
      shutdown: new AbortController().signal,
    };
  }

  static async start<Ctx = void>(
    callbacks: ProxyUdp<Ctx>,
    options: UdpProxyOptions = {},
    { addresses = ["127.0.0.1:0"], sockets, ...listener }: TestListener = {},
  ): Promise<TestUdpProxy<Ctx>> {
    const proxy = new TestUdpProxy(callbacks, options, sockets);
    for (const address of addresses) proxy.service.addUdp(address, listener);
    await proxy.service.start(proxy.context);
    return proxy;
  }

  get address(): string {
    return this.service.addresses()[0] ?? "";
  }

  /** Resolves with the session that was over as number `index`, once it is. */
  async over(index = 0): Promise<LoggedSession> {
    for (;;) {
      const found = this.logged[index];
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => {
        this.#onLogged.push(resolve);
      });
    }
  }

  /** The value of a series, found by its name and one label. */
  async metric(name: string, label = ""): Promise<number> {
    const lines = (await this.metrics.exposition()).split("\n");
    const line = lines.find((text) => text.startsWith(`${name}{`) && text.includes(label));
    return Number(line?.split(" ").at(-1) ?? 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.service.stop(AbortSignal.abort());
  }
}
