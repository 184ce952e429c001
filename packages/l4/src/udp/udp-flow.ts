import type { Socket } from "node:dgram";
import { isIP } from "node:net";
import {
  CirqueError,
  type DnsCache,
  encodeProxyHeader,
  isCirqueError,
  isUnixAddress,
  type Logger,
  parseSocketAddress,
  type ResolvedAddress,
} from "@cirque/core";
import { type DatagramSocketOptions, datagramSocket } from "./datagram-socket.ts";
import type { ProxyUdp, UdpPeer } from "./proxy-udp.ts";
import type { UdpProxyMetrics } from "./udp-proxy-metrics.ts";
import type { UdpSession, UdpSessionEnd } from "./udp-session.ts";
import { TableEntry, type UdpSessionTable } from "./udp-session-table.ts";

/** What all sessions of a proxy have in common. */
export interface UdpEnvironment<Ctx> {
  readonly callbacks: ProxyUdp<Ctx>;
  readonly logger: Logger;
  readonly metrics: UdpProxyMetrics;
  readonly responses: number;
  readonly maxQueuedDatagrams: number;
  readonly maxQueuedBytes: number;
  /** What waits in all sessions together. */
  readonly queued: { bytes: number };
  readonly proxyProtocol: boolean;
  readonly accessLog: boolean;
  readonly upstreamSocket: DatagramSocketOptions;
  readonly sourceAddresses: { readonly 4: readonly string[]; readonly 6: readonly string[] };
  readonly dns: DnsCache;
  /** Logs a session that failed, unless it just has logged another one. */
  warn(error: CirqueError): void;
}

/** Who the replies go to. */
export interface UdpClient {
  readonly key: string;
  readonly address: string;
  readonly port: number;
  /** The socket that its datagrams came in by. */
  readonly socket: Socket;
}

/** A session at work: the datagrams of one client, and a connected socket of its own to the peer. */
export class UdpFlow<Ctx> extends TableEntry {
  readonly session: UdpSession;
  readonly #environment: UdpEnvironment<Ctx>;
  readonly #table: UdpSessionTable<UdpFlow<Ctx>>;
  readonly #client: UdpClient;
  readonly #ctx: Ctx;
  #waiting: Buffer[] = [];
  #upstream: FlowSocket | undefined;
  #connected = false;
  #header: Buffer | undefined;
  #over = false;

  constructor(
    environment: UdpEnvironment<Ctx>,
    table: UdpSessionTable<UdpFlow<Ctx>>,
    session: UdpSession,
    client: UdpClient,
  ) {
    super();
    this.#environment = environment;
    this.#table = table;
    this.session = session;
    this.#client = client;
    this.#ctx = environment.callbacks.newCtx?.() as Ctx; // without newCtx, Ctx is void
  }

  /** Finds the peer. The flow is in the table by now, and nothing throws. */
  start(): void {
    const { metrics, callbacks } = this.#environment;
    metrics.sessions.inc();
    metrics.active.add(1);
    try {
      const peer = callbacks.upstreamPeer(this.session, this.#ctx);
      if (peer !== undefined && "then" in peer) {
        peer.then(
          (found) => this.#choose(found),
          (error: unknown) => this.#fail("callback", error, "the callback `upstreamPeer` failed"),
        );
      } else {
        this.#choose(peer);
      }
    } catch (error) {
      this.#fail("callback", error, "the callback `upstreamPeer` failed");
    }
  }

  /** A datagram of the client. The buffer belongs to the flow. */
  fromClient(datagram: Buffer): void {
    if (!this.#connected) {
      this.#hold(datagram);
      return;
    }
    this.#table.touch(this);
    this.#send(datagram);
  }

  /** A datagram of the peer. Nobody else's gets here: the socket is connected. */
  fromPeer(datagram: Buffer): void {
    const { metrics, responses } = this.#environment;
    const { session } = this;
    const { socket, port, address } = this.#client;
    if (socket.getSendQueueSize() > MAX_SEND_QUEUE_BYTES) {
      metrics.dropped("send-queue-full");
      return;
    }
    this.#table.touch(this);
    session.downloadDatagrams += 1;
    session.downloadBytes += datagram.length;
    metrics.downloadDatagrams.inc();
    metrics.downloadBytes.inc(datagram.length);
    socket.send(datagram, port, address);
    if (responses > 0 && session.downloadDatagrams >= responses * session.uploadDatagrams) this.end("responses");
  }

  /** The socket to the peer failed. */
  onUpstreamError(error: NodeJS.ErrnoException): void {
    if (!this.#connected) this.#fail("connect", error, `no socket to ${this.session.peer?.address} could be had`);
    else if (error.code === "ECONNREFUSED") this.#fail("refused", error, "nobody listens at the peer's address");
    else this.#fail("upstream", error, "the socket to the peer failed");
  }

  /** The socket to the peer is connected. */
  onConnected(): void {
    if (this.#over) return;
    this.#connected = true;
    this.#table.touch(this);
    for (const datagram of this.#takeWaiting()) this.#send(datagram);
  }

  /** Ends the session. What comes later from either side belongs to another one, or to nobody. */
  end(reason: UdpSessionEnd, error?: CirqueError): void {
    if (this.#over) return;
    this.#over = true;
    this.#connected = false;
    const { metrics } = this.#environment;
    this.#table.remove(this.#client.key);
    this.#upstream?.close();
    metrics.dropped("no-peer", this.#takeWaiting().length);
    this.session.durationMs = this.session.elapsedMs;
    metrics.active.add(-1);
    metrics.ended(reason);
    this.#log(reason, error);
  }

  /**
   * Keeps a datagram until there is a peer. It does not count as activity: a callback that never settles would keep the
   * session for as long as the client sends.
   */
  #hold(datagram: Buffer): void {
    const { maxQueuedDatagrams, maxQueuedBytes, queued, metrics } = this.#environment;
    if (this.#waiting.length >= maxQueuedDatagrams || queued.bytes + datagram.length > maxQueuedBytes) {
      metrics.dropped("queue-full");
      return;
    }
    queued.bytes += datagram.length;
    this.#waiting.push(datagram);
  }

  #takeWaiting(): readonly Buffer[] {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { length } of waiting) this.#environment.queued.bytes -= length;
    return waiting;
  }

  #choose(peer: UdpPeer | undefined): void {
    if (this.#over) return;
    if (peer === undefined) {
      this.#fail("no-peer", undefined, "there is no peer for the session");
      return;
    }
    this.session.peer = peer;
    try {
      const address = parseSocketAddress(peer.address);
      if (isUnixAddress(address)) {
        throw CirqueError.internal(
          "InvalidArgument",
          `${peer.address} is no address for datagrams: expected host:port`,
        );
      }
      const { host, port } = address;
      if (isIP(host) !== 0) {
        this.#connect(host, port);
        return;
      }
      const found = this.#environment.dns.lookup(host.toLowerCase());
      if (!("then" in found)) {
        this.#connectFirst(found, port);
        return;
      }
      found.then(
        (addresses) => this.#connectFirst(addresses, port),
        (error: unknown) => this.#fail("connect", error, `${host} has no address`),
      );
    } catch (error) {
      this.#fail("connect", error, `${peer.address} cannot be connected to`);
    }
  }

  #connectFirst([first]: readonly ResolvedAddress[], port: number): void {
    if (first !== undefined) this.#connect(first.address, port);
  }

  #connect(host: string, port: number): void {
    if (this.#over) return;
    const { upstreamSocket, sourceAddresses, proxyProtocol } = this.#environment;
    const { session } = this;
    const family = isIP(host) === 6 ? 6 : 4;
    try {
      if (proxyProtocol) this.#header = proxyHeader(session);
      const socket: FlowSocket = datagramSocket(family, upstreamSocket);
      this.#upstream = socket;
      socket[FLOW] = this as UdpFlow<unknown>;
      socket.on("message", onMessage);
      socket.on("error", onError);
      socket.on("connect", onConnect);
      const from = sourceAddresses[family];
      const source = from[Math.floor(Math.random() * from.length)];
      if (source !== undefined) socket.bind({ address: source, exclusive: true });
      socket.connect(port, host);
    } catch (error) {
      this.#fail("connect", error, `${session.peer?.address} cannot be connected to`);
    }
  }

  #send(datagram: Buffer): void {
    const socket = this.#upstream as FlowSocket; // there is one as long as it is connected
    const { metrics } = this.#environment;
    const header = this.#header;
    if (header !== undefined && header.length + datagram.length > MAX_DATAGRAM_BYTES) {
      metrics.dropped("oversize");
      return;
    }
    if (socket.getSendQueueSize() > MAX_SEND_QUEUE_BYTES) {
      metrics.dropped("send-queue-full");
      return;
    }
    this.session.uploadDatagrams += 1;
    this.session.uploadBytes += datagram.length;
    metrics.uploadDatagrams.inc();
    metrics.uploadBytes.inc(datagram.length);
    socket.send(header === undefined ? datagram : [header, datagram]);
  }

  #fail(reason: UdpSessionEnd, cause: unknown, message: string): void {
    const context = { reason, client: this.session.clientAddress, peer: this.session.peer?.address };
    const error =
      isCirqueError(cause) && cause.context.reason === undefined
        ? cause.withContext(context)
        : CirqueError.upstream("ConnectError", message, { context, ...(cause !== undefined && { cause }) });
    this.#environment.warn(error);
    this.end(reason, error);
  }

  #log(reason: UdpSessionEnd, error: CirqueError | undefined): void {
    const { callbacks, logger, accessLog } = this.#environment;
    const { session } = this;
    if (accessLog) logger.info(accessRecord(session, reason), "session");
    const failed = (failure: unknown): void => logger.error({ err: failure }, "the callback `logging` failed");
    try {
      const logged = callbacks.logging?.(session, error, this.#ctx);
      if (logged !== undefined) logged.catch(failed);
    } catch (failure) {
      failed(failure);
    }
  }
}

/** Each datagram gets it in front, since each may be the only one to arrive. */
function proxyHeader({ clientAddress, serverAddress }: UdpSession): Buffer {
  // The zone of a link-local address means something on this machine only.
  const [source, destination] = [clientAddress, serverAddress].map((address) => address.replace(/%[^\]]*/, ""));
  return encodeProxyHeader({ transport: "datagram", source, destination });
}

/** The record that the access log has for each session. */
function accessRecord(session: UdpSession, reason: UdpSessionEnd): object {
  return {
    client: session.clientAddress,
    server: session.serverAddress,
    listener: session.listener,
    peer: session.peer?.address,
    uploadDatagrams: session.uploadDatagrams,
    uploadBytes: session.uploadBytes,
    downloadDatagrams: session.downloadDatagrams,
    downloadBytes: session.downloadBytes,
    durationMs: Math.round((session.durationMs ?? 0) * 1_000) / 1_000,
    outcome: reason,
  };
}

/** What IPv4 and UDP leave of 64 KiB. */
const MAX_DATAGRAM_BYTES = 65_507;
/** Node keeps what the system does not take, without a bound of its own. */
const MAX_SEND_QUEUE_BYTES = 1024 * 1024;

const FLOW = Symbol("flow");

/** The listeners are shared by all sockets and find their flow here: no closures for each of them. */
interface FlowSocket extends Socket {
  [FLOW]?: UdpFlow<unknown>;
}

function onMessage(this: FlowSocket, datagram: Buffer): void {
  this[FLOW]?.fromPeer(datagram);
}

function onError(this: FlowSocket, error: NodeJS.ErrnoException): void {
  this[FLOW]?.onUpstreamError(error);
}

function onConnect(this: FlowSocket): void {
  this[FLOW]?.onConnected();
}
