import type { Socket } from "node:dgram";
import { isIP } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import {
  CirqueError,
  formatSocketAddress,
  isUnixAddress,
  type ListeningSockets,
  parseSocketAddress,
  type TcpAddress,
  type ThreadContext,
} from "@cirque/core";
import { datagramSocket, descriptorOf, stopReceiving } from "./datagram-socket.ts";

/** Settings of an address that datagrams come in by. */
export interface UdpListenerOptions {
  /** Whether an IPv6 address such as `[::]` leaves IPv4 alone. Default false. */
  readonly ipv6Only?: boolean;
  /** Whether sockets of other programs may have the address as well, and a part of the datagrams. Default false. */
  readonly reusePort?: boolean;
  /** Bytes that the system holds until they are read; it drops what does not fit. Default: the system's. */
  readonly recvBufferSize?: number;
  /** Bytes that the system holds until they are sent. Default: the system's. */
  readonly sendBufferSize?: number;
  /** How often binding is tried again while the address is in use. Default 30. */
  readonly bindRetries?: number;
  /** The time between two tries. Default 1,000. */
  readonly bindRetryIntervalMs?: number;
}

/** What a listener tells about. */
export interface UdpListenerEvents {
  /** A datagram came. `serverAddress` is where its socket is bound. */
  datagram(datagram: Buffer, address: string, port: number, socket: Socket, listener: UdpListener): void;
  /** A socket failed; it goes on. */
  error(error: Error): void;
  /** The address is in use, and binding it is tried again. */
  retry(error: Error, attempt: number): void;
}

/**
 * What datagrams come in by at one address, in one thread: usually one socket; more when the process before this one had
 * more threads, and their sockets were inherited.
 */
export class UdpListener {
  /** As configured. */
  readonly address: string;
  readonly #configured: TcpAddress;
  readonly #options: UdpListenerOptions;
  readonly #sockets: Socket[] = [];
  readonly #withdrawals: (() => void)[] = [];
  #boundAddress: string | undefined;

  /** @throws CirqueError `InvalidArgument` when the address is malformed, or that of a Unix socket. */
  constructor(address: string, options: UdpListenerOptions = {}) {
    const parsed = parseSocketAddress(address, { allowPortZero: true });
    if (isUnixAddress(parsed)) {
      throw new CirqueError("InvalidArgument", `${address} is no address for datagrams: expected host:port`);
    }
    this.#configured = parsed;
    this.#options = options;
    this.address = formatSocketAddress(parsed);
  }

  /** Where datagrams arrive: as configured, with the port that the system chose. Undefined unless bound. */
  get boundAddress(): string | undefined {
    return this.#boundAddress;
  }

  /** Whether the address stands for all addresses of the machine. */
  get wildcard(): boolean {
    return this.#configured.host === "0.0.0.0" || this.#configured.host === "::";
  }

  /**
   * Makes sure that the data threads will be able to bind the address: called in the main thread, which does not. The
   * function returned is called when they have.
   *
   * @throws CirqueError like {@link bind}.
   */
  async reserve(
    retry: UdpListenerEvents["retry"],
    sockets: ListeningSockets,
    signal: AbortSignal,
  ): Promise<() => void> {
    if (sockets.inherits("udp", this.address)) return () => {};
    if (this.#configured.port !== 0) {
      await this.#assertFree(retry, signal);
      return () => {};
    }
    const holder = await this.#bindWithRetries(this.#configured, true, retry, signal);
    stopReceiving(holder);
    sockets.assign("udp", this.address, boundAddressOf(holder));
    return () => holder.close();
  }

  /**
   * Takes the sockets over that were inherited for the address, or else binds it.
   *
   * @throws CirqueError `BindError` when that is not possible, when the address stays in use, or `signal` aborts.
   */
  async bind(events: UdpListenerEvents, { index, sockets }: BindingThread, signal: AbortSignal): Promise<void> {
    const inherited = sockets.take("udp", this.address);
    for (const fd of inherited) {
      this.#serve(await this.#bound((socket, done) => socket.bind({ fd }, done), false), events, sockets);
    }
    if (inherited.length > 0) return;
    const resolved = sockets.resolve("udp", this.address);
    const target = parseSocketAddress(resolved, { allowPortZero: true }) as TcpAddress; // this one, but for the port
    // With reusePort, a stranger's socket would not be in the way, and take a part of the datagrams.
    if (sockets.shared && index === 0 && target.port !== 0) await this.#assertFree(events.retry, signal);
    this.#serve(await this.#bindWithRetries(target, sockets.shared, events.retry, signal), events, sockets);
  }

  /** Receives nothing more; replies still leave. Where that cannot be had, false: see `stopReceiving`. */
  stopReceiving(): boolean {
    for (const withdraw of this.#withdrawals.splice(0)) withdraw();
    return this.#sockets.every(stopReceiving);
  }

  close(): void {
    for (const withdraw of this.#withdrawals.splice(0)) withdraw();
    for (const socket of this.#sockets.splice(0)) socket.close();
    this.#boundAddress = undefined;
  }

  /** Binds the address for a moment as if nobody shared it. */
  async #assertFree(retry: UdpListenerEvents["retry"], signal: AbortSignal): Promise<void> {
    if (this.#options.reusePort) return;
    const probe = await this.#bindWithRetries(this.#configured, false, retry, signal);
    probe.close();
  }

  async #bindWithRetries(
    { host, port }: TcpAddress,
    shared: boolean,
    retry: UdpListenerEvents["retry"],
    signal: AbortSignal,
  ): Promise<Socket> {
    const { bindRetries = 30, bindRetryIntervalMs = 1_000 } = this.#options;
    for (let attempt = 0; ; attempt++) {
      if (signal.aborted) throw bindError(this.address, new Error("the server was stopped"));
      try {
        return await this.#bound((socket, done) => socket.bind({ address: host, port, exclusive: true }, done), shared);
      } catch (error) {
        const failure = bindError(this.address, error);
        if (failure.context.systemCode !== "EADDRINUSE" || attempt >= bindRetries) throw failure;
        retry(failure, attempt + 1);
      }
      await delay(bindRetryIntervalMs, undefined, { signal }).catch(() => {});
    }
  }

  #bound(bind: (socket: Socket, done: () => void) => void, shared: boolean): Promise<Socket> {
    const { ipv6Only = false, reusePort = false, recvBufferSize, sendBufferSize } = this.#options;
    return new Promise((resolve, reject) => {
      const socket = datagramSocket(isIP(this.#configured.host) === 6 ? 6 : 4, {
        ipv6Only,
        reusePort: shared || reusePort,
        ...(recvBufferSize !== undefined && { recvBufferSize }),
        ...(sendBufferSize !== undefined && { sendBufferSize }),
      });
      const fail = (error: Error): void => {
        socket.close();
        reject(error);
      };
      socket.once("error", fail);
      bind(socket, () => {
        socket.off("error", fail);
        resolve(socket);
      });
    });
  }

  #serve(socket: Socket, events: UdpListenerEvents, sockets: ListeningSockets): void {
    this.#sockets.push(socket);
    const boundAddress = boundAddressOf(socket);
    this.#boundAddress ??= boundAddress;
    socket.on("message", (datagram, from) => events.datagram(datagram, from.address, from.port, socket, this));
    socket.on("error", events.error);
    const descriptor = descriptorOf(socket);
    if (descriptor === undefined) return;
    this.#withdrawals.push(sockets.offer({ kind: "udp", address: this.address, boundAddress, descriptor }));
  }
}

type BindingThread = Pick<ThreadContext, "index" | "sockets">;

function boundAddressOf(socket: Socket): string {
  const { address, port } = socket.address();
  return formatSocketAddress({ host: address, port });
}

/** What binding failed with, in words that tell what to do. */
function bindError(address: string, cause: unknown): CirqueError {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  const reason = reasons[code] ?? (cause instanceof Error ? cause.message : String(cause));
  return CirqueError.internal("BindError", `cannot receive datagrams at ${address}: ${reason}`, {
    cause,
    context: { address, systemCode: code },
  });
}

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: "the address is in use; stop the program that has it, or choose another",
  EADDRNOTAVAIL: "no network interface of this machine has that address",
  EACCES: "permission denied; ports below 1024 need root or the capability CAP_NET_BIND_SERVICE",
};
