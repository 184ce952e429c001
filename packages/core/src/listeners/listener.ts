import { createServer, type ListenOptions, type Server, type Socket } from "node:net";
import {
  formatSocketAddress,
  isUnixAddress,
  parseSocketAddress,
  type SocketAddress,
} from "../address/socket-address.ts";
import { CirqueError } from "../errors/cirque-error.ts";
import type { ListeningSockets } from "../threads/listening-sockets.ts";
import type { ThreadContext } from "../threads/thread-context.ts";
import type { TcpListenerOptions, UnixListenerOptions } from "./bind-options.ts";
import { bindError, bindWithRetries } from "./bind-with-retries.ts";
import type { Endpoint } from "./endpoint.ts";
import { boundAddressOf, descriptorOf, listening } from "./listening-server.ts";
import { type PrepareAccepted, prepareAccepted } from "./prepare-accepted.ts";
import { UnixSocketFile } from "./unix-socket-file.ts";

/** What a listener tells about. */
export interface ListenerEvents {
  /** An accepted socket, paused. */
  connection(socket: Socket): void;
  /** The system could not accept a connection, for want of file descriptors for example; the listener goes on. */
  acceptError(error: Error): void;
  /** The address is in use, and binding it is tried again. */
  retry(error: Error, attempt: number): void;
}

/**
 * What accepts connections at one address, in one thread. Usually one socket; more when the process before this one had
 * more threads, and their sockets were inherited.
 */
export class Listener {
  readonly endpoint: Endpoint;
  readonly #address: SocketAddress;
  readonly #options: TcpListenerOptions & UnixListenerOptions;
  readonly #prepareAccepted: PrepareAccepted | undefined;
  readonly #servers: Server[] = [];
  readonly #withdrawals: (() => void)[] = [];
  #boundAddress: string | undefined;
  #inDataThread = false;
  #sockets: ListeningSockets | undefined;
  #file: UnixSocketFile | undefined;

  private constructor(address: SocketAddress, options: TcpListenerOptions & UnixListenerOptions) {
    this.#address = address;
    this.#options = options;
    this.#prepareAccepted = prepareAccepted(options);
    const kind = isUnixAddress(address) ? "unix" : "tcp";
    this.endpoint = Object.freeze({ address: formatSocketAddress(address), kind });
  }

  /**
   * A listener for `host:port`; with port 0 the system chooses one (`LST-01`).
   *
   * @throws CirqueError `InvalidArgument` when the address is malformed.
   */
  static tcp(address: string, options: TcpListenerOptions = {}): Listener {
    return new Listener(parseSocketAddress(address, { allowPortZero: true }), options);
  }

  /** A listener for the path of a Unix socket, with or without `unix:` in front (`LST-02`). Throws like {@link tcp}. */
  static unix(path: string, options: UnixListenerOptions = {}): Listener {
    return new Listener(parseSocketAddress(path.startsWith("unix:") ? path : `unix:${path}`), options);
  }

  /** Where connections arrive: as configured, with the port that the system chose. Undefined unless bound. */
  get boundAddress(): string | undefined {
    return this.#boundAddress;
  }

  /** How many accepted connections are open. */
  async connectionCount(): Promise<number> {
    const counts = await Promise.all(this.#servers.map(connectionsOf));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  /**
   * Makes sure that the data threads will be able to bind the address: called in the main thread, which does not. The
   * function returned is called when they have.
   *
   * @throws CirqueError like {@link bind}.
   */
  async reserve(
    events: Pick<ListenerEvents, "retry">,
    sockets: ListeningSockets,
    signal: AbortSignal,
  ): Promise<Release> {
    const { kind, address } = this.endpoint;
    if (isUnixAddress(this.#address) || sockets.inherits(kind, address)) return () => {};
    if (this.#address.port !== 0) {
      await this.#assertFree(events, signal);
      return () => {};
    }
    const holder = await this.#tryToListen(events, signal, () => this.#listenOptions(this.#address, true));
    sockets.assign(kind, address, boundAddressOf(holder));
    return () => holder.close();
  }

  /**
   * Takes the sockets over that were inherited for the address, or else binds it, and accepts connections. A Unix socket
   * has no way to be shared by threads: the first one serves it, and in the others nothing happens.
   *
   * @throws CirqueError `BindError` when that is not possible, when the address stays in use, or `signal` aborts.
   */
  async bind(events: ListenerEvents, { index, sockets }: BindingThread, signal: AbortSignal): Promise<void> {
    this.#sockets = sockets;
    this.#inDataThread = index > 0;
    const { kind, address } = this.endpoint;
    const inherited = sockets.take(kind, address);
    for (const fd of inherited) {
      const server = await this.#tryToListen(events, signal, () => ({ fd, backlog: this.#backlog }));
      this.#serve(server, events);
    }
    if (isUnixAddress(this.#address))
      await this.#bindPath(this.#address.path, inherited.length > 0, index, events, signal);
    else if (inherited.length === 0) await this.#bindPort(index, sockets, events, signal);
  }

  /**
   * Accepts nothing more. Connections that were accepted live on. The file of a Unix socket goes, unless the next process
   * has taken it over.
   */
  close(): void {
    for (const withdraw of this.#withdrawals.splice(0)) withdraw();
    for (const server of this.#servers) server.close();
    if (!this.#sockets?.handedOver) this.#file?.remove();
    this.#boundAddress = undefined;
  }

  get #backlog(): number {
    return this.#options.backlog ?? 65_535;
  }

  async #bindPort(
    index: number,
    sockets: ListeningSockets,
    events: ListenerEvents,
    signal: AbortSignal,
  ): Promise<void> {
    const { kind, address } = this.endpoint;
    const target = parseSocketAddress(sockets.resolve(kind, address), { allowPortZero: true });
    // With reusePort, a stranger's socket would not be in the way, and take a part of the connections.
    const mayBeTaken = sockets.shared && index === 0 && "port" in target && target.port !== 0;
    if (mayBeTaken) await this.#assertFree(events, signal);
    const options = (): ListenOptions => this.#listenOptions(target, sockets.shared);
    try {
      this.#serve(await this.#tryToListen(events, signal, options), events);
    } catch (error) {
      throw this.#inDataThread && sockets.inherits(kind, address) ? tooFewSockets(address, error) : error;
    }
  }

  async #bindPath(
    path: string,
    inherited: boolean,
    index: number,
    events: ListenerEvents,
    signal: AbortSignal,
  ): Promise<void> {
    if (inherited) {
      this.#file = UnixSocketFile.inherited(path, this.#options.mode);
      return;
    }
    if (index > 1) return;
    const file = new UnixSocketFile(path, this.#options.mode);
    const server = await this.#tryToListen(events, signal, async () => {
      await file.prepare();
      return { path: file.temporaryPath, backlog: this.#backlog };
    });
    try {
      file.publish();
    } catch (error) {
      server.close();
      throw bindError(this.endpoint.address, error);
    }
    this.#file = file;
    this.#serve(server, events);
  }

  /** Binds the address for a moment as if nobody shared it. */
  async #assertFree(events: Pick<ListenerEvents, "retry">, signal: AbortSignal): Promise<void> {
    if (this.#options.reusePort) return;
    const probe = await this.#tryToListen(events, signal, () => this.#listenOptions(this.#address, false));
    probe.close();
  }

  async #tryToListen(
    events: Pick<ListenerEvents, "retry">,
    signal: AbortSignal,
    options: () => ListenOptions | Promise<ListenOptions>,
  ): Promise<Server> {
    const { bindRetries = 30, bindRetryIntervalMs: intervalMs = 1_000 } = this.#options;
    // In a data thread: the main thread has made sure of the address, and starts a thread that fails again.
    const retries = this.#inDataThread ? 0 : bindRetries;
    return bindWithRetries(this.endpoint.address, { retries, intervalMs, signal, onRetry: events.retry }, async () =>
      listening(createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }), await options()),
    );
  }

  #listenOptions(address: SocketAddress, shared: boolean): ListenOptions {
    const { ipv6Only = false, reusePort = false } = this.#options;
    return { ...address, backlog: this.#backlog, ipv6Only, reusePort: shared || reusePort, exclusive: true };
  }

  #serve(server: Server, events: ListenerEvents): void {
    const { kind, address } = this.endpoint;
    const prepare = this.#prepareAccepted;
    const { connection } = events;
    if (prepare !== undefined) server.on("connection", prepare);
    server.on("connection", connection);
    server.on("error", events.acceptError);
    this.#servers.push(server);
    const boundAddress = kind === "unix" ? address : boundAddressOf(server);
    this.#boundAddress ??= boundAddress;
    const descriptor = descriptorOf(server);
    if (descriptor === undefined || !this.#sockets) return;
    this.#withdrawals.push(this.#sockets.offer({ kind, address, boundAddress, descriptor }));
  }
}

function tooFewSockets(address: string, cause: unknown): CirqueError {
  const message =
    `cannot listen on ${address}: there are more threads than sockets that were passed to this process, and these cannot ` +
    "be shared. Under systemd, repeat ListenStream= for each thread, with ReusePort=yes; or start without its sockets";
  return CirqueError.internal("BindError", message, { cause, context: { address } });
}

/** Lets go of what was reserved. */
export type Release = () => void;

type BindingThread = Pick<ThreadContext, "index" | "sockets">;

function connectionsOf(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.getConnections((error, count) => (error ? reject(error) : resolve(count)));
  });
}
