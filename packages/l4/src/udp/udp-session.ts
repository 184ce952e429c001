import { turnTime } from "@cirque/core";
import type { UdpPeer } from "./proxy-udp.ts";

/** Why a session is over: the label `reason` of the metric, and the field `outcome` of the log. */
export type UdpSessionEnd =
  /** Nothing came from either side for too long. */
  | "idle"
  /** All replies that were expected came: see `responses`. */
  | "responses"
  /** The table was full, and this session idle for longest. */
  | "evicted"
  /** `upstreamPeer` had no peer. */
  | "no-peer"
  /** A callback threw, or rejected. */
  | "callback"
  /** The peer's name has no address, or no socket could be had to it. */
  | "connect"
  /** The peer's host said that nobody listens there (ICMP). */
  | "refused"
  /** The socket to the peer failed for another reason. */
  | "upstream"
  /** The service stopped and did not wait any longer. */
  | "stopped";

/** What is known of one session. Callbacks read it, the proxy writes it. */
export class UdpSession {
  /** Where its datagrams come in, as configured. */
  readonly listener: string;
  /** The client's address and port. */
  readonly clientAddress: string;
  /** The address and port that the client sends to, and gets its replies from. */
  readonly serverAddress: string;
  /** When its first datagram came, in milliseconds since 1970. */
  readonly startedAt: number = Date.now();
  /** Where it goes. */
  peer: UdpPeer | undefined;
  /** Datagrams and bytes from the client. */
  uploadDatagrams = 0;
  uploadBytes = 0;
  /** Datagrams and bytes to the client. */
  downloadDatagrams = 0;
  downloadBytes = 0;
  /** Time from the first datagram to the end; `undefined` until then. */
  durationMs: number | undefined;
  readonly #startedAt = turnTime();

  constructor(listener: string, clientAddress: string, serverAddress: string) {
    this.listener = listener;
    this.clientAddress = clientAddress;
    this.serverAddress = serverAddress;
  }

  /** Time since the first datagram. */
  get elapsedMs(): number {
    return performance.now() - this.#startedAt;
  }
}
