import type { Socket } from "node:dgram";
import { networkInterfaces } from "node:os";
import {
  CirqueError,
  type DnsCache,
  type Endpoint,
  formatSocketAddress,
  type ReloadAnswer,
  type ServerConfiguration,
  type Service,
  type ServiceContext,
  sharedDnsCache,
  withDefaults,
} from "@cirque/core";
import type { ProxyUdp } from "./proxy-udp.ts";
import { type UdpEnvironment, UdpFlow } from "./udp-flow.ts";
import { UdpListener, type UdpListenerEvents, type UdpListenerOptions } from "./udp-listener.ts";
import { UdpProxyMetrics } from "./udp-proxy-metrics.ts";
import { UdpSession } from "./udp-session.ts";
import { UdpSessionTable } from "./udp-session-table.ts";

/** Settings of a UDP proxy. */
export interface UdpProxyOptions {
  /** The name of the service, and the label `service` of its metrics. Default `UDP proxy`. */
  readonly name?: string;
  /**
   * Silence from both sides after which a session is over, in milliseconds. Default 30 s. Some protocols keep silent for
   * longer and expect to be remembered: QUIC and WireGuard want minutes.
   */
  readonly sessionIdleTimeoutMs?: number;
  /**
   * After how many replies to each datagram a session is over: 1 for DNS and others that ask and answer. Default 0: only
   * after silence.
   */
  readonly responses?: number;
  /**
   * Sessions at once, in each thread; each has a socket. When there are as many, the one that is idle for longest makes
   * room. Default 10,000.
   */
  readonly maxSessions?: number;
  /** Datagrams of a session that wait while its peer is being found; further ones are dropped. Default 32. */
  readonly maxQueuedDatagrams?: number;
  /** Bytes that wait so, in all sessions together, in each thread. Default 16 MiB. */
  readonly maxQueuedBytes?: number;
  /** Whether each datagram to a peer begins with a header of the PROXY protocol, version 2. Default false. */
  readonly proxyProtocol?: boolean;
  /** Whether each session is logged when it is over. Default false. */
  readonly accessLog?: boolean;
  /** How long a service that stops waits for the next reply in a session, in milliseconds. Default 2 s. */
  readonly drainIdleTimeoutMs?: number;
  /** Bytes that the system holds for the socket of each session, until they are read. Default: the system's. */
  readonly upstreamRecvBufferSize?: number;
  /** Likewise, until they are sent. Default: the system's. */
  readonly upstreamSendBufferSize?: number;
  /** Addresses to send from to peers, one at random for each session. Default: those of the configuration. */
  readonly bindToIpv4?: readonly string[];
  readonly bindToIpv6?: readonly string[];
  /** Who finds the addresses of peers that are given by name. Default: the cache that all of the thread share. */
  readonly dns?: DnsCache;
}

/** What holds where the options say nothing. */
export const DEFAULT_UDP_PROXY_OPTIONS: Omit<
  Required<UdpProxyOptions>,
  "upstreamRecvBufferSize" | "upstreamSendBufferSize" | "dns"
> = {
  name: "UDP proxy",
  sessionIdleTimeoutMs: 30_000,
  responses: 0,
  maxSessions: 10_000,
  maxQueuedDatagrams: 32,
  maxQueuedBytes: 16 * 1024 * 1024,
  proxyProtocol: false,
  accessLog: false,
  drainIdleTimeoutMs: 2_000,
  bindToIpv4: [],
  bindToIpv6: [],
};

/**
 * Carries datagrams between clients and peers. All datagrams from one address and port to one listener are a session, with
 * a socket of its own to the peer; what comes back there goes to that client, from the address that it had sent to.
 */
export class UdpProxy<Ctx = void> implements Service {
  readonly name: string;
  readonly placement = "data";
  /** The options that follow from new settings of the server. Default: there are none. */
  onReload: ((configuration: ServerConfiguration) => UdpProxyOptions) | undefined;
  readonly #callbacks: ProxyUdp<Ctx>;
  #options: ResolvedOptions;
  #environment: UdpEnvironment<Ctx> | undefined;
  readonly #listeners: UdpListener[] = [];
  readonly #table: UdpSessionTable<UdpFlow<Ctx>>;
  #context: ServiceContext | undefined;
  #stopping = false;

  /** @throws CirqueError `InvalidArgument` for an option that is not of its kind. */
  constructor(callbacks: ProxyUdp<Ctx>, options: UdpProxyOptions = {}) {
    this.#callbacks = callbacks;
    this.#options = resolved(options);
    this.name = this.#options.name;
    this.#table = new UdpSessionTable(this.#options.sessionIdleTimeoutMs, (flow) => flow.end("idle"));
  }

  /**
   * Adds an address such as `127.0.0.1:53` or `[::1]:53`; with port 0 the system chooses one. Replies leave from the
   * address of the listener, so a machine with several addresses needs one listener for each: with `0.0.0.0` the system
   * chooses the address that a reply leaves from.
   *
   * @throws CirqueError `InvalidArgument` when the address is malformed or the service was started.
   */
  addUdp(address: string, options?: UdpListenerOptions): this {
    const listener = new UdpListener(address, options);
    if (this.#context) {
      const message = `${listener.address} has to be added before the service "${this.name}" starts`;
      throw new CirqueError("InvalidArgument", message);
    }
    this.#listeners.push(listener);
    return this;
  }

  /** The addresses as they were configured. */
  endpoints(): readonly Endpoint[] {
    return this.#listeners.map(({ address }) => ({ address, kind: "udp" }));
  }

  /** The addresses that are bound, in the order in which they were added. Empty unless started. */
  addresses(): readonly string[] {
    return this.#listeners.map((listener) => listener.boundAddress).filter((address) => address !== undefined);
  }

  /** How many sessions there are. */
  get sessionCount(): number {
    return this.#table.size;
  }

  /** Looks at new settings of the server: see {@link onReload}. The time-outs stay as they are until a restart. */
  reload(configuration: ServerConfiguration): ReloadAnswer {
    if (this.onReload === undefined) return undefined;
    const options = resolved(this.onReload(configuration));
    return () => {
      this.#options = options;
      if (this.#context) this.#environment = this.#createEnvironment(this.#context, options);
    };
  }

  async reserve({ logger, thread, shutdown }: ServiceContext): Promise<() => void> {
    const retry = (error: Error, attempt: number): void =>
      logger.warn({ attempt }, `${error.message}. It is tried again`);
    const releases = await Promise.all(
      this.#listeners.map((listener) => listener.reserve(retry, thread.sockets, shutdown)),
    );
    return () => {
      for (const release of releases) release();
    };
  }

  async start(context: ServiceContext): Promise<void> {
    this.#context = context;
    const { logger, shutdown, thread } = context;
    if (this.#listeners.length === 0) logger.warn("the service has no address to listen on");
    const environment = this.#createEnvironment(context, this.#options);
    this.#environment = environment;
    const events: UdpListenerEvents = {
      datagram: (datagram, address, port, socket, listener) =>
        this.#receive(this.#environment ?? environment, datagram, address, port, socket, listener),
      error: (error) => {
        environment.metrics.listenerErrors.inc();
        logger.error({ err: error }, "a socket that receives datagrams failed");
      },
      retry: (error, attempt) => logger.warn({ attempt }, `${error.message}. It is tried again`),
    };
    const bound = await Promise.allSettled(this.#listeners.map((listener) => listener.bind(events, thread, shutdown)));
    const failed = bound.find((result) => result.status === "rejected");
    if (failed) {
      this.#close();
      throw failed.reason;
    }
    for (const listener of this.#listeners) {
      if (listener.wildcard && hasSeveralAddresses()) logger.warn({ address: listener.address }, WILDCARD_WARNING);
      logger.info({ address: listener.boundAddress }, "listening");
    }
  }

  /**
   * Reads nothing more: what comes now is for the next process, which has the same sockets in an upgrade. Replies to what
   * was read still go to their clients, until all sessions are over or silent.
   */
  async stop(force: AbortSignal): Promise<void> {
    this.#stopping = true;
    const silenced = this.#listeners.map((listener) => listener.stopReceiving());
    const endAll = (): void => {
      for (const flow of [...this.#table.values()]) flow.end("stopped");
    };
    // A socket that goes on reading would take the datagrams away from the next process.
    if (force.aborted || silenced.includes(false)) endAll();
    force.addEventListener("abort", endAll, { once: true });
    this.#table.shorten(this.#options.drainIdleTimeoutMs);
    await this.#table.whenEmpty();
    force.removeEventListener("abort", endAll);
    this.#close();
  }

  #receive(
    environment: UdpEnvironment<Ctx>,
    datagram: Buffer,
    address: string,
    port: number,
    socket: Socket,
    listener: UdpListener,
  ): void {
    // Nobody can be answered there; a forged sender at most.
    if (port === 0) {
      environment.metrics.dropped("bad-source");
      return;
    }
    const key = this.#listeners.length === 1 ? `${address} ${port}` : `${address} ${port} ${listener.address}`;
    let flow = this.#table.get(key);
    if (flow === undefined) {
      if (this.#stopping) {
        environment.metrics.dropped("stopping");
        return;
      }
      if (this.#table.size >= this.#options.maxSessions) this.#table.oldest?.end("evicted");
      const clientAddress = formatSocketAddress({ host: address, port });
      const session = new UdpSession(listener.address, clientAddress, listener.boundAddress ?? listener.address);
      const created = this.#createFlow(environment, session, { key, address, port, socket });
      if (created === undefined) return;
      flow = created;
      this.#table.add(key, flow);
      flow.fromClient(datagram);
      flow.start();
      return;
    }
    flow.fromClient(datagram);
  }

  #createFlow(
    environment: UdpEnvironment<Ctx>,
    session: UdpSession,
    client: ConstructorParameters<typeof UdpFlow<Ctx>>[3],
  ): UdpFlow<Ctx> | undefined {
    try {
      return new UdpFlow(environment, this.#table, session, client);
    } catch (error) {
      environment.metrics.dropped("no-peer");
      environment.warn(CirqueError.because("InternalError", "the callback `newCtx` failed", error));
      return undefined;
    }
  }

  #createEnvironment({ logger, metrics }: ServiceContext, resolvedOptions: ResolvedOptions): UdpEnvironment<Ctx> {
    const { upstreamRecvBufferSize, upstreamSendBufferSize, bindToIpv4, bindToIpv6, ...options } = resolvedOptions;
    return {
      ...options,
      queued: { bytes: 0 },
      dns: options.dns ?? sharedDnsCache(),
      callbacks: this.#callbacks,
      logger,
      warn: oncePerSecond((error) => logger.warn({ err: error }, "a session failed")),
      metrics: new UdpProxyMetrics(metrics, this.name),
      upstreamSocket: {
        ...(upstreamRecvBufferSize !== undefined && { recvBufferSize: upstreamRecvBufferSize }),
        ...(upstreamSendBufferSize !== undefined && { sendBufferSize: upstreamSendBufferSize }),
      },
      sourceAddresses: { 4: bindToIpv4, 6: bindToIpv6 },
    };
  }

  #close(): void {
    for (const listener of this.#listeners) listener.close();
  }
}

type ResolvedOptions = typeof DEFAULT_UDP_PROXY_OPTIONS & UdpProxyOptions;

function resolved(options: UdpProxyOptions): ResolvedOptions {
  return withDefaults<ResolvedOptions>(DEFAULT_UDP_PROXY_OPTIONS, options);
}

/** Anybody can send datagrams by the thousand, and a line for each would fill the disk. The metrics count them all. */
function oncePerSecond(log: (error: Error) => void): (error: Error) => void {
  let last = Number.NEGATIVE_INFINITY;
  return (error) => {
    const time = performance.now();
    if (time - last < 1_000) return;
    last = time;
    log(error);
  };
}

/** Whether a reply could leave from another address than the one that its datagram was sent to. */
function hasSeveralAddresses(): boolean {
  const addresses = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  return addresses.filter(({ internal, scopeid = 0 }) => !internal && scopeid === 0).length > 1;
}

const WILDCARD_WARNING =
  "this machine has several addresses, and the system chooses which one a reply leaves from; clients drop a reply from " +
  "another address than they sent to. Add each address by itself";
