import { connect as connectTcp, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import { CirqueError, type ErrorCode, parseSocketAddress } from "@cirque/core";
import type { Backend } from "../backend.ts";
import { checkedDurationMs } from "../duration.ts";
import type { HealthCheck } from "./health-check.ts";
import { isConnectedToItself } from "./self-connection.ts";

/** Settings of a {@link TcpHealthCheck}. */
export interface TcpHealthCheckOptions<Ext = unknown> {
  /** How long to wait for the connection, the TLS handshake included, in milliseconds. Default: 1,000. */
  readonly connectTimeoutMs?: number;
  /** How many checks in a row have to succeed until an ill backend is healthy again. Default: 1. */
  readonly consecutiveSuccess?: number;
  /** How many checks in a row have to fail until a healthy backend is ill. Default: 1. */
  readonly consecutiveFailure?: number;
  /** Told after a backend became healthy or ill. */
  readonly healthChanged?: (backend: Backend<Ext>, healthy: boolean) => Promise<void> | void;
  /** The local address to connect from. Default: the system chooses. */
  readonly localAddress?: string;
  /**
   * Demands a TLS handshake too, with these options of `node:tls`: `servername`, `ca`, `cert`, `key` ... Default: none.
   */
  readonly tls?: ConnectionOptions;
}

/** A backend is healthy when it takes a connection, which is closed at once (`LB-28`). */
export class TcpHealthCheck<Ext = unknown> implements HealthCheck<Ext> {
  /** How long one check may take, in milliseconds. */
  readonly timeoutMs: number;
  readonly #options: TcpHealthCheckOptions<Ext>;
  readonly #consecutiveSuccess: number;
  readonly #consecutiveFailure: number;

  /** @throws CirqueError `InvalidArgument` when a number is out of range. */
  constructor(options: TcpHealthCheckOptions<Ext> = {}) {
    this.timeoutMs = checkedDurationMs("connectTimeoutMs", options.connectTimeoutMs ?? 1_000);
    this.#consecutiveSuccess = checkedCount("consecutiveSuccess", options.consecutiveSuccess ?? 1);
    this.#consecutiveFailure = checkedCount("consecutiveFailure", options.consecutiveFailure ?? 1);
    this.#options = options;
  }

  /** A check that demands a TLS handshake with this server name, and a valid certificate for it. */
  static tls<Ext = unknown>(servername: string, options: TcpHealthCheckOptions<Ext> = {}): TcpHealthCheck<Ext> {
    return new TcpHealthCheck<Ext>({ ...options, tls: { ...options.tls, servername } });
  }

  check(backend: Backend<Ext>, signal: AbortSignal): Promise<void> {
    const { localAddress, tls } = this.#options;
    const target = { ...parseSocketAddress(backend.address), ...(localAddress !== undefined && { localAddress }) };
    return tls
      ? established(connectTls({ ...tls, ...target }), "secureConnect", backend.address, signal)
      : established(connectTcp(target), "connect", backend.address, signal);
  }

  healthThreshold(success: boolean): number {
    return success ? this.#consecutiveSuccess : this.#consecutiveFailure;
  }

  healthStatusChange(backend: Backend<Ext>, healthy: boolean): Promise<void> | void {
    return this.#options.healthChanged?.(backend, healthy);
  }
}

function established(
  socket: Socket,
  event: "connect" | "secureConnect",
  address: string,
  signal: AbortSignal,
): Promise<void> {
  let connected = false;
  let onAbort: () => void;
  const attempt = new Promise<void>((resolve, reject) => {
    onAbort = () => reject(signal.reason);
    socket.once("connect", () => {
      connected = true;
    });
    socket.once(event, () => (isConnectedToItself(socket) ? reject(nobodyListens(address)) : resolve()));
    socket.on("error", (error) => reject(failure(address, connected, error)));
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort);
  });
  return attempt.finally(() => {
    signal.removeEventListener("abort", onAbort);
    socket.destroy();
  });
}

function nobodyListens(address: string): CirqueError {
  return CirqueError.upstream("ConnectRefused", `nobody listens on ${address}`);
}

function failure(address: string, connected: boolean, cause: NodeJS.ErrnoException): CirqueError {
  const system = cause.code ?? "";
  if (!connected) {
    return CirqueError.upstream(connectCodes.get(system) ?? "ConnectError", `no connection to ${address}`, { cause });
  }
  const code = certificateFault.test(system) ? "InvalidCert" : "TLSHandshakeFailure";
  return CirqueError.upstream(code, `no TLS handshake with ${address}`, { cause });
}

const certificateFault = /CERT|ALTNAME|UNABLE_TO/;

const connectCodes: ReadonlyMap<string, ErrorCode> = new Map([
  ["ECONNREFUSED", "ConnectRefused"],
  // The path of a Unix socket that nobody made.
  ["ENOENT", "ConnectRefused"],
  ["ETIMEDOUT", "ConnectTimedout"],
  ["EHOSTUNREACH", "ConnectNoRoute"],
  ["ENETUNREACH", "ConnectNoRoute"],
]);

function checkedCount(name: string, value: number): number {
  if (Number.isSafeInteger(value) && value >= 1) return value;
  throw new CirqueError("InvalidArgument", `${name} has to be a whole number of at least 1, and is ${String(value)}`, {
    context: { [name]: value },
  });
}
