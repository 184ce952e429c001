import { chmodSync } from "node:fs";
import { type AddressInfo, createServer, type ListenOptions, type Server, type Socket } from "node:net";
import {
  formatSocketAddress,
  isUnixAddress,
  parseSocketAddress,
  type SocketAddress,
} from "../address/socket-address.ts";
import type { TcpListenerOptions, UnixListenerOptions } from "./bind-options.ts";
import { bindError, bindWithRetries } from "./bind-with-retries.ts";
import type { Endpoint } from "./endpoint.ts";
import { removeStaleSocket } from "./stale-socket.ts";

/** What a listener tells about. */
export interface ListenerEvents {
  /** An accepted socket, paused. */
  connection(socket: Socket): void;
  /** The system could not accept a connection, for want of file descriptors for example; the listener goes on. */
  acceptError(error: Error): void;
  /** The address is in use, and binding it is tried again. */
  retry(error: Error, attempt: number): void;
}

/** A socket that accepts connections at one address. */
export class Listener {
  readonly endpoint: Endpoint;
  readonly #address: SocketAddress;
  readonly #options: TcpListenerOptions & UnixListenerOptions;
  #server: Server | undefined;

  private constructor(address: SocketAddress, options: TcpListenerOptions & UnixListenerOptions) {
    this.#address = address;
    this.#options = options;
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
    const bound = this.#server?.address();
    if (bound === null || bound === undefined) return undefined;
    return typeof bound === "string" ? `unix:${bound}` : formatSocketAddress(hostAndPort(bound));
  }

  /** How many accepted connections are open. */
  connectionCount(): Promise<number> {
    return new Promise((resolve, reject) => {
      if (!this.#server) return resolve(0);
      this.#server.getConnections((error, count) => (error ? reject(error) : resolve(count)));
    });
  }

  /**
   * Binds the address and accepts connections.
   *
   * @throws CirqueError `BindError` when that is not possible, when the address stays in use, or `signal` aborts.
   */
  async bind(events: ListenerEvents, signal: AbortSignal): Promise<void> {
    const { bindRetries: retries = 30, bindRetryIntervalMs: intervalMs = 1_000 } = this.#options;
    await bindWithRetries(this.endpoint.address, { retries, intervalMs, signal, onRetry: events.retry }, async () => {
      if (isUnixAddress(this.#address)) await removeStaleSocket(this.#address.path);
      this.#server = await listen(this.#createServer(events), this.#listenOptions());
    });
    this.#server?.on("error", events.acceptError);
    this.#applyMode();
  }

  /** Accepts nothing more. Connections that were accepted live on. The file of a Unix socket goes. */
  close(): void {
    this.#server?.close();
  }

  #createServer({ connection }: ListenerEvents): Server {
    const { keepAlive } = this.#options;
    const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true });
    server.on(
      "connection",
      keepAlive
        ? (socket) => {
            socket.setKeepAlive(true, keepAlive.idleMs, keepAlive.intervalMs ?? 1_000, keepAlive.count ?? 10);
            connection(socket);
          }
        : connection,
    );
    return server;
  }

  #listenOptions(): ListenOptions {
    const { backlog = 65_535, ipv6Only = false, reusePort = false } = this.#options;
    if (isUnixAddress(this.#address)) return { path: this.#address.path, backlog };
    return { ...this.#address, backlog, ipv6Only, reusePort, exclusive: true };
  }

  #applyMode(): void {
    if (!isUnixAddress(this.#address)) return;
    try {
      chmodSync(this.#address.path, this.#options.mode ?? 0o666);
    } catch (error) {
      this.close();
      throw bindError(this.endpoint.address, error);
    }
  }
}

function hostAndPort({ address, port }: AddressInfo): SocketAddress {
  return { host: address, port };
}

function listen(server: Server, options: ListenOptions): Promise<Server> {
  const { promise, resolve, reject } = Promise.withResolvers<Server>();
  server.once("error", reject);
  server.listen(options, () => {
    server.off("error", reject);
    resolve(server);
  });
  return promise;
}
