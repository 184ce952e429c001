import type { Socket } from "node:net";
import {
  type AcceptedConnection,
  acceptedConnection,
  CirqueError,
  type Connection,
  type ConnectionListener,
  type Logger,
  type Peer,
  type TransportConnector,
} from "@cirque/core";
import { receiveClientHello } from "../client-hello/receive-client-hello.ts";
import type { ProxyTcp } from "./proxy-tcp.ts";
import { Relay } from "./relay.ts";
import { failureReason, withReason } from "./tcp-failure.ts";
import type { TcpProxyMetrics } from "./tcp-proxy-metrics.ts";
import { TcpSession } from "./tcp-session.ts";

/** What all connections of a proxy have in common. */
export interface TcpEnvironment<Ctx> {
  readonly callbacks: ProxyTcp<Ctx>;
  /** Makes connections, within the limits of each peer; none is kept. */
  readonly connector: TransportConnector;
  readonly logger: Logger;
  readonly metrics: TcpProxyMetrics;
  readonly maxAttempts: number;
  readonly idleTimeoutMs: number;
  readonly callbackTimeoutMs: number;
  readonly readClientHello: boolean;
  readonly clientHelloTimeoutMs: number;
  readonly accessLog: boolean;
}

/** One connection of a client, from its acceptance to its log record. */
export class TcpExchange<Ctx> {
  readonly session: TcpSession;
  readonly #environment: TcpEnvironment<Ctx>;
  readonly #downstream: Connection;
  readonly #ctx: Ctx;
  readonly #stopping = Promise.withResolvers<void>();
  #upstream: Connection | undefined;
  #stopped = false;

  constructor(environment: TcpEnvironment<Ctx>, socket: Socket, accepted: AcceptedConnection, ctx: Ctx) {
    this.#environment = environment;
    this.#downstream = acceptedConnection(socket, nobody, accepted);
    this.session = new TcpSession(this.#downstream, accepted);
    this.#ctx = ctx;
  }

  /** Resolves when both connections are closed and the exchange is logged. Never rejects. */
  async run(): Promise<void> {
    const { metrics } = this.#environment;
    metrics.connections.inc();
    metrics.active.add(1);
    let error: CirqueError | undefined;
    try {
      await Promise.race([this.#carry(), this.#stopping.promise]);
    } catch (cause) {
      error = this.#failure(cause);
    }
    if (this.#stopped) error = stopped();
    this.session.durationMs = this.session.elapsedMs;
    metrics.active.add(-1);
    metrics.durationSeconds.observe(this.session.durationMs / 1_000);
    if (error !== undefined) metrics.failed(failureReason(error));
    await this.#log(error);
  }

  /** Drops both connections at once, and waits for no callback any more. */
  stop(): void {
    this.#stopped = true;
    this.#downstream.reset();
    this.#upstream?.reset();
    this.#stopping.resolve();
  }

  async #carry(): Promise<void> {
    const { readClientHello, clientHelloTimeoutMs, idleTimeoutMs, callbacks, metrics } = this.#environment;
    const { session } = this;
    let firstBytes: readonly Buffer[] = [];
    if (readClientHello) {
      const received = await receiveClientHello(this.#downstream, clientHelloTimeoutMs);
      session.clientHello = received.hello;
      firstBytes = received.bytes;
    }
    const [peer, upstream] = await this.#connect();
    this.#upstream = upstream;
    if (this.#stopped) upstream.reset();
    if (callbacks.connected !== undefined) await this.#ask(() => callbacks.connected?.(session, peer, this.#ctx));
    const relay = new Relay(this.#downstream, upstream, idleTimeoutMs);
    const observer = {
      onUpload(bytes: number): void {
        session.uploadBytes += bytes;
        metrics.uploadBytes.inc(bytes);
      },
      onDownload(bytes: number): void {
        session.downloadBytes += bytes;
        metrics.downloadBytes.inc(bytes);
      },
    };
    await relay.run(observer, firstBytes);
  }

  /** Nothing was sent yet, so any peer will do: each failure asks for the next, until the attempts are used up. */
  async #connect(): Promise<readonly [Peer, Connection]> {
    const { callbacks, connector, maxAttempts, metrics } = this.#environment;
    const { session } = this;
    let full: CirqueError | undefined;
    for (;;) {
      const peer = await this.#ask(() => callbacks.upstreamPeer(session, this.#ctx));
      if (peer === undefined) {
        throw CirqueError.internal("ConnectNoRoute", "there is no peer for the connection", {
          context: { reason: "no-peer" },
        });
      }
      this.#assertClient();
      // The wait for a peer at its limit was long enough; only another one is worth a further attempt.
      if (full !== undefined && peer.address === session.peer?.address) throw full;
      session.peer = peer;
      session.attempts += 1;
      try {
        const upstream = await connector.connect(peer, true);
        session.connectMs = session.elapsedMs;
        return [peer, upstream];
      } catch (cause) {
        const failed = withReason(cause, "connect", `connecting to ${peer} failed`);
        full = LIMIT_CODES.has(failed.code) ? failed : undefined;
        if (full !== undefined) failed.retry = true;
        const error = await this.#ask(() => callbacks.failToConnect?.(session, peer, this.#ctx, failed) ?? failed);
        if (error.retry !== true || session.attempts >= maxAttempts) throw withReason(error, "connect", "");
        metrics.retries.inc();
      }
    }
  }

  /** What a callback throws is told from what the network does. */
  async #ask<T>(callback: () => T | Promise<T>): Promise<T> {
    try {
      const result = callback();
      return result instanceof Promise ? await inTime(result, this.#environment.callbackTimeoutMs) : result;
    } catch (error) {
      throw withReason(error, "callback", "a callback failed");
    }
  }

  #assertClient(): void {
    if (!this.#downstream.closed) return;
    const options = { context: { reason: "client-gone" }, cause: this.#downstream.error };
    throw CirqueError.downstream("ConnectionClosed", "the client is gone before a peer was found", options);
  }

  #failure(cause: unknown): CirqueError {
    // Before the relay has both, a failure leaves one of them open.
    this.#downstream.reset();
    this.#upstream?.reset();
    return withReason(cause, "internal", "the connection failed");
  }

  async #log(error: CirqueError | undefined): Promise<void> {
    const { callbacks, logger, accessLog } = this.#environment;
    const { session } = this;
    if (accessLog) logger.info(accessRecord(session, error), "connection");
    if (error !== undefined && error.source !== "downstream" && failureReason(error) !== "stopped") {
      logger.warn({ err: error, client: session.clientAddress, peer: session.peer?.address }, "a connection failed");
    }
    try {
      const logged = callbacks.logging?.(session, error, this.#ctx);
      if (logged !== undefined) await Promise.race([logged, this.#stopping.promise]);
    } catch (failure) {
      logger.error({ err: failure }, "the callback `logging` failed");
    }
  }
}

const LIMIT_CODES: ReadonlySet<string> = new Set(["ConnectionLimitReached", "ConnectionLimitTimedout"]);

/** A callback that never settles must not hold its connection for good. */
async function inTime<T>(result: Promise<T>, timeoutMs: number): Promise<T> {
  if (timeoutMs > LONGEST_TIMER_MS) return result;
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(CirqueError.internal("InternalError", `a callback did not settle within ${timeoutMs} ms`)),
    timeoutMs,
  );
  try {
    return await Promise.race([result, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

const LONGEST_TIMER_MS = 2 ** 31 - 1;

function stopped(): CirqueError {
  return CirqueError.internal("ConnectionClosed", "the service stopped before the connection had ended", {
    context: { reason: "stopped" },
  });
}

/** The record that the access log has for each connection. */
function accessRecord(session: TcpSession, error: CirqueError | undefined): object {
  return {
    client: session.clientAddress,
    server: session.serverAddress,
    listener: session.accepted.endpoint.address,
    peer: session.peer?.address,
    attempts: session.attempts,
    serverName: session.clientHello?.serverName ?? session.accepted.tls?.serverName,
    uploadBytes: session.uploadBytes,
    downloadBytes: session.downloadBytes,
    connectMs: round(session.connectMs),
    durationMs: round(session.durationMs),
    outcome: error === undefined ? "ok" : failureReason(error),
  };
}

function round(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.round(ms * 1_000) / 1_000;
}

/** Nothing is read before a relay takes over; a connection that closes until then is found closed. */
const nobody: ConnectionListener = { onBytes() {}, onEnd() {}, onDrain() {}, onClose() {} };
