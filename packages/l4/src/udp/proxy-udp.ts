import type { CirqueError } from "@cirque/core";
import type { UdpSession } from "./udp-session.ts";

/** Where the datagrams of a session go. A `Peer` is one, and so is a backend of a load balancer. */
export interface UdpPeer {
  /** `1.2.3.4:53`, `[::1]:53` or `name:53`. */
  readonly address: string;
}

/**
 * What a UDP proxy does with sessions: the datagrams of one client, and the replies to them. Each callback but
 * `upstreamPeer` may be left out. They may be sync or async, and stand in the order in which they are called.
 *
 * `Ctx` is the state of one session: made by `newCtx`, given to every other callback, gone with the session.
 */
export interface ProxyUdp<Ctx = void> {
  /** Makes the state of a session. */
  newCtx?(): Ctx;
  /**
   * Where the session goes, asked once, at its first datagram; `undefined` when there is nowhere, and then it ends. Further
   * datagrams wait in the meantime, up to `maxQueuedDatagrams`.
   */
  upstreamPeer(session: UdpSession, ctx: Ctx): UdpPeer | undefined | Promise<UdpPeer | undefined>;
  /** The session is over: called exactly once for each. */
  logging?(session: UdpSession, error: CirqueError | undefined, ctx: Ctx): void | Promise<void>;
}
