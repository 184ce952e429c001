import { CirqueError, type ClientSession, type HttpPeer, isCirqueError } from "@cirque/core";
import type { OriginConnector } from "../exchange/environment.ts";
import type { MaybePromise } from "../maybe-promise.ts";
import { MemoryClientSession } from "./memory-client-session.ts";
import type { TestOrigin } from "./test-origin.ts";

/** Called for each new connection to an origin: what it throws, such as {@link connectRefused}, makes that fail. */
export type TestConnect = (peer: HttpPeer) => MaybePromise<void>;

/** How many connections to each peer are idle. The exchanges of one proxy share them. */
export type IdleConnections = Map<string, number>;

/** Connects one exchange with origins that are functions, and remembers what they were sent. */
export class MemoryConnector implements OriginConnector {
  readonly sessions: MemoryClientSession[] = [];
  /** What `connect` threw that is no failure of a connection. */
  mistake: { readonly error: unknown } | undefined;
  readonly #origin: TestOrigin;
  readonly #connect: TestConnect | undefined;
  readonly #idle: IdleConnections;

  constructor(origin: TestOrigin, connect: TestConnect | undefined, idle: IdleConnections) {
    this.#origin = origin;
    this.#connect = connect;
    this.#idle = idle;
  }

  keptSession(peer: HttpPeer): ClientSession | undefined {
    const idle = this.#idle.get(peer.reuseKey) ?? 0;
    if (idle === 0) return undefined;
    this.#idle.set(peer.reuseKey, idle - 1);
    return this.#open(peer, true);
  }

  async newSession(peer: HttpPeer, _fresh?: boolean, signal?: AbortSignal): Promise<ClientSession> {
    try {
      if (this.#connect !== undefined) await unlessAborted(this.#connect(peer), signal);
    } catch (cause) {
      if (isCirqueError(cause)) throw cause;
      this.mistake = { error: cause };
      throw CirqueError.upstream("ConnectError", `could not connect to ${peer}`, { cause });
    }
    return this.#open(peer, false);
  }

  release(session: ClientSession, peer: HttpPeer): void {
    if (!(session instanceof MemoryClientSession) || !session.reusable) return;
    this.#idle.set(peer.reuseKey, (this.#idle.get(peer.reuseKey) ?? 0) + 1);
  }

  close(): void {
    this.#idle.clear();
  }

  #open(peer: HttpPeer, reused: boolean): MemoryClientSession {
    const session = new MemoryClientSession(this.#origin, peer, reused);
    this.sessions.push(session);
    return session;
  }
}

async function unlessAborted(connected: MaybePromise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return connected;
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort, { once: true });
  try {
    await Promise.race([connected, promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
