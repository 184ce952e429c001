import net, { type SocketConstructorOpts, type TcpSocketConnectOpts } from "node:net";
import { connectReadOptions } from "../connection/connection.ts";
import { CirqueError } from "../errors/cirque-error.ts";
import type { ResolvedAddress } from "./dns/resolver.ts";
import type { Peer } from "./peer.ts";

/** Where a socket may connect from, by the family of the other end. */
export interface SourceAddresses {
  /** Addresses to connect from, one at random (CFG-15, CFG-16, CONN-02). */
  readonly bindToIpv4?: readonly string[];
  readonly bindToIpv6?: readonly string[];
}

/** How one attempt ended: exactly one of the two is called, once, unless the attempt is cancelled. */
export interface AttemptListener {
  onOpen(socket: net.Socket): void;
  onFailure(error: Error): void;
}

/** Ports of a range that one attempt tries at most. */
const MAX_PORTS = 64;

/**
 * One attempt to connect to one address. Where the peer names a range of source ports, it goes on to the next port when
 * one is taken, and where it allows that, to any source at last (PO-01).
 */
export class ConnectAttempt {
  readonly #peer: Peer;
  readonly #target: ResolvedAddress | undefined;
  readonly #wrapped: boolean;
  readonly #listener: AttemptListener;
  readonly #ports: number[];
  #source: string | undefined;
  #socket: net.Socket | undefined;

  /**
   * @param target One of the addresses of the peer; undefined for a Unix socket.
   * @param wrapped Whether a TLS socket is going to read the transport by itself.
   * @throws CirqueError `InvalidArgument` for a source address that is none.
   */
  constructor(
    peer: Peer,
    target: ResolvedAddress | undefined,
    wrapped: boolean,
    sources: SourceAddresses,
    listener: AttemptListener,
  ) {
    this.#peer = peer;
    this.#target = target;
    this.#wrapped = wrapped;
    this.#listener = listener;
    this.#source = target === undefined ? undefined : sourceFor(peer, target.family, sources);
    this.#ports = sourcePorts(peer);
    this.#open(this.#ports.pop());
  }

  /** Gives the attempt up; nobody is called. */
  cancel(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    // An error that is on its way is nobody's business any more.
    socket?.on("error", ignore);
    socket?.destroy();
  }

  #open(localPort: number | undefined): void {
    const socket = new net.Socket(this.#wrapped ? HALF_OPEN : HALF_OPEN_READING);
    this.#socket = socket;
    const onError = (error: Error): void => {
      if (this.#socket !== socket) return;
      this.#socket = undefined;
      this.#failed(error);
    };
    socket.on("error", onError);
    socket.once("connect", () => {
      if (this.#socket !== socket) return;
      this.#socket = undefined;
      socket.off("error", onError);
      this.#listener.onOpen(socket);
    });
    try {
      prepare(socket, this.#peer);
      connectSocket(socket, this.#peer, this.#target, this.#source, localPort);
    } catch (cause) {
      this.#socket = undefined;
      socket.destroy();
      // What Node throws at once, it throws because of an option.
      const message = cause instanceof Error ? cause.message : String(cause);
      throw CirqueError.internal("InvalidArgument", `${this.#peer} has an option that cannot be used: ${message}`, {
        cause,
      });
    }
  }

  #failed(error: Error): void {
    const { code, syscall } = error as NodeJS.ErrnoException;
    const portTaken = code === "EADDRINUSE" || (code === "EADDRNOTAVAIL" && syscall === "connect");
    const refused = portTaken || (syscall === "bind" && (code === "EADDRNOTAVAIL" || code === "EACCES"));
    const next = portTaken ? this.#ports.pop() : undefined;
    const { localPortRange, localAddressFallback } = this.#peer.options;
    if (next !== undefined) this.#openAgain(next);
    else if (refused && localAddressFallback && this.#source !== ANYWHERE) {
      this.#source = ANYWHERE;
      this.#ports.length = 0;
      this.#openAgain(undefined);
    } else if (portTaken && localPortRange !== undefined) {
      const message = `no source port of ${localPortRange.join(" to ")} is free: ${error.message}`;
      this.#listener.onFailure(Object.assign(new Error(message, { cause: error }), { code: "EADDRNOTAVAIL" }));
    } else this.#listener.onFailure(error);
  }

  #openAgain(localPort: number | undefined): void {
    try {
      this.#open(localPort);
    } catch (error) {
      // A hook may throw the second time.
      this.#listener.onFailure(error as Error);
    }
  }
}

/** Any source address and port. */
const ANYWHERE = "";

const HALF_OPEN: SocketConstructorOpts = { allowHalfOpen: true };
const HALF_OPEN_READING: SocketConstructorOpts = { allowHalfOpen: true, onread: connectReadOptions };

function connectSocket(
  socket: net.Socket,
  peer: Peer,
  target: ResolvedAddress | undefined,
  source: string | undefined,
  localPort: number | undefined,
): void {
  const address = peer.socketAddress;
  if ("path" in address) {
    socket.connect({ path: address.path });
    return;
  }
  const options: TcpSocketConnectOpts = { host: target?.address ?? address.host, port: address.port };
  if (source !== undefined && source !== ANYWHERE) options.localAddress = source;
  if (localPort !== undefined) options.localPort = localPort;
  socket.connect(options);
}

/** Options of the socket itself; Node remembers them until there is one. */
function prepare(socket: net.Socket, peer: Peer): void {
  const { tcpKeepaliveMs, tcpKeepaliveIntervalMs, tcpKeepaliveCount, dscp, onSocket } = peer.options;
  if ("host" in peer.socketAddress) {
    socket.setNoDelay(true);
    if (tcpKeepaliveMs !== undefined) {
      socket.setKeepAlive(true, tcpKeepaliveMs, tcpKeepaliveIntervalMs, tcpKeepaliveCount);
    }
    if (dscp !== undefined) {
      if (socket.setTypeOfService === undefined) throw new Error("dscp needs Node 26");
      socket.setTypeOfService(dscp << 2);
    }
  }
  onSocket?.(socket);
}

function sourceFor(peer: Peer, family: 4 | 6, sources: SourceAddresses): string | undefined {
  const { localAddress } = peer.options;
  if (localAddress !== undefined) return localAddress;
  const list = family === 4 ? sources.bindToIpv4 : sources.bindToIpv6;
  return list?.[Math.floor(Math.random() * list.length)];
}

/** The ports to try, the last one first: of a range, from a random one on, so that threads do not meet at the first. */
function sourcePorts({ options: { localPort, localPortRange } }: Peer): number[] {
  if (localPort !== undefined) return [localPort];
  if (localPortRange === undefined) return [];
  const [low, high] = localPortRange;
  const size = high - low + 1;
  const start = Math.floor(Math.random() * size);
  return Array.from({ length: Math.min(size, MAX_PORTS) }, (_, index) => low + ((start + index) % size));
}

function ignore(): void {}
