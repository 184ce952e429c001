import type { Lease } from "../connection/socket-lease.ts";
import { CirqueError } from "../errors/cirque-error.ts";
import type { ConnectionLimits } from "./acceptance-options.ts";
import { clientKey } from "./client-key.ts";
import { ConnectionRefused } from "./connection-refused.ts";
import { type OpenCount, openCount } from "./open-count.ts";

/** Counts open connections, all together and of each client, against limits (`LST-33`). */
export class ConnectionLimiter {
  readonly #of: string;
  readonly #maxConnections: number;
  readonly #maxPerClient: number;
  readonly #prefixLength: number;
  /** Only clients that are connected are in it. */
  readonly #clients = new Map<string, number>();
  readonly #open: OpenCount;

  /**
   * @param of Whose limits these are, for messages: `the listener`, `the service`.
   * @param open Counts them in all threads; the clients are counted in this one.
   * @throws CirqueError `InvalidArgument` for a limit that is no whole number, 1 or more.
   */
  constructor(of: string, limits: ConnectionLimits, open: OpenCount) {
    this.#of = of;
    this.#open = open;
    this.#maxConnections = limit("maxConnections", limits.maxConnections);
    this.#maxPerClient = limit("maxConnectionsPerClient", limits.maxConnectionsPerClient);
    this.#prefixLength = limits.clientPrefixLength ?? 64;
    if (!Number.isInteger(this.#prefixLength) || this.#prefixLength < 1 || this.#prefixLength > 128) {
      throw invalid(`clientPrefixLength is ${limits.clientPrefixLength}; expected a number of bits, 1 to 128`);
    }
  }

  /** How many connections are open. */
  get openCount(): number {
    return this.#open.total;
  }

  /** How many clients are connected, where they are counted. */
  get clientCount(): number {
    return this.#clients.size;
  }

  /** @throws ConnectionRefused when there are as many as there may be. */
  open(): void {
    if (this.#open.add(this.#maxConnections)) return;
    throw new ConnectionRefused(
      "max-connections",
      `${this.#of} has ${this.#maxConnections} connections, as many as it may`,
    );
  }

  close(): void {
    this.#open.remove();
  }

  /**
   * Counts a connection as one of a client.
   * @returns What `closeOf` is to be given; undefined when it does not count.
   * @throws ConnectionRefused when the client has as many as it may.
   */
  openOf(clientAddress: string): string | undefined {
    if (this.#maxPerClient === Infinity) return undefined;
    const key = clientKey(clientAddress, this.#prefixLength);
    if (key === undefined) return undefined;
    const open = this.#clients.get(key) ?? 0;
    if (open >= this.#maxPerClient) {
      const message = `the client has ${open} connections with ${this.#of}, as many as it may`;
      throw new ConnectionRefused("max-connections-per-client", message);
    }
    this.#clients.set(key, open + 1);
    return key;
  }

  closeOf(key: string): void {
    const open = (this.#clients.get(key) ?? 0) - 1;
    if (open > 0) this.#clients.set(key, open);
    else this.#clients.delete(key);
  }
}

/** @throws CirqueError `InvalidArgument` like the constructor of {@link ConnectionLimiter}. */
export function assertLimits(limits: ConnectionLimits): void {
  new ConnectionLimiter("", limits, openCount("", { index: 0, dataThreads: 1 }));
}

/** Whether there is anything to count. */
export function isLimited({ maxConnections, maxConnectionsPerClient }: ConnectionLimits): boolean {
  return maxConnections !== undefined || maxConnectionsPerClient !== undefined;
}

/** The places of one connection in the counts of its listener and of its service, until it is closed. */
export class ConnectionPlace implements Lease {
  readonly #limiters: ConnectionLimiter[] = [];
  #clientKeys: (string | undefined)[] | undefined;
  #released = false;

  /** @throws ConnectionRefused when one has no place. */
  constructor(limiters: readonly ConnectionLimiter[]) {
    try {
      for (const limiter of limiters) {
        limiter.open();
        this.#limiters.push(limiter);
      }
    } catch (error) {
      this.release();
      throw error;
    }
  }

  /** The client is known. @throws ConnectionRefused when it has as many connections as it may. */
  takeForClient(clientAddress: string): void {
    if (this.#released) return;
    const keys: (string | undefined)[] = [];
    this.#clientKeys = keys;
    for (const limiter of this.#limiters) keys.push(limiter.openOf(clientAddress));
  }

  release(): void {
    if (this.#released) return;
    this.#released = true;
    for (const [index, limiter] of this.#limiters.entries()) {
      const key = this.#clientKeys?.[index];
      limiter.close();
      if (key !== undefined) limiter.closeOf(key);
    }
  }
}

function limit(name: string, value: number | undefined): number {
  if (value === undefined || value === Infinity) return Infinity;
  if (Number.isInteger(value) && value >= 1) return value;
  throw invalid(`${name} is ${value}; expected a whole number, 1 or more`);
}

function invalid(message: string): CirqueError {
  return new CirqueError("InvalidArgument", message);
}
