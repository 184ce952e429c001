import type { Counter, Gauge, MetricsRegistry } from "@cirque/core";
import type { UdpSessionEnd } from "./udp-session.ts";

/** Why a datagram went nowhere: the label `reason` of the metric. */
export type UdpDropReason =
  /** Too many, or too many bytes, wait for a peer to be found. */
  | "queue-full"
  /** The system does not send as fast as they come. */
  | "send-queue-full"
  /** With the PROXY protocol's header it would be longer than a datagram can be. */
  | "oversize"
  /** It waited for a peer, and there was none. */
  | "no-peer"
  /** It claims to come from port 0, where nobody can be answered. */
  | "bad-source"
  /** The service stops. */
  | "stopping";

/** What a UDP proxy counts. Handles are looked up once, so that counting is an addition. */
export class UdpProxyMetrics {
  readonly #registry: MetricsRegistry;
  readonly #service: string;
  readonly #ends = new Map<string, Counter>();
  readonly #drops = new Map<string, Counter>();
  readonly sessions: Counter;
  readonly active: Gauge;
  readonly uploadDatagrams: Counter;
  readonly downloadDatagrams: Counter;
  readonly uploadBytes: Counter;
  readonly downloadBytes: Counter;
  readonly listenerErrors: Counter;

  constructor(registry: MetricsRegistry, service: string) {
    this.#registry = registry;
    this.#service = service;
    const datagramsHelp = "Datagrams passed on: upload from clients to peers, download from peers to clients";
    const bytesHelp = "Bytes in datagrams passed on, likewise";
    const [upload, download] = [
      { service, direction: "upload" },
      { service, direction: "download" },
    ];
    this.sessions = registry.counter("cirque_udp_sessions_total", "Sessions of clients", { service });
    this.active = registry.gauge("cirque_udp_sessions_active", "Sessions that are open", { service });
    this.uploadDatagrams = registry.counter("cirque_udp_datagrams_total", datagramsHelp, upload);
    this.downloadDatagrams = registry.counter("cirque_udp_datagrams_total", datagramsHelp, download);
    this.uploadBytes = registry.counter("cirque_udp_bytes_total", bytesHelp, upload);
    this.downloadBytes = registry.counter("cirque_udp_bytes_total", bytesHelp, download);
    this.listenerErrors = registry.counter("cirque_udp_listener_errors_total", "Failures of listening sockets", {
      service,
    });
  }

  ended(reason: UdpSessionEnd): void {
    this.#count(this.#ends, "cirque_udp_sessions_ended_total", "Sessions that are over, by reason", reason, 1);
  }

  dropped(reason: UdpDropReason, datagrams = 1): void {
    if (datagrams === 0) return;
    const help = "Datagrams that went nowhere, by reason";
    this.#count(this.#drops, "cirque_udp_datagrams_dropped_total", help, reason, datagrams);
  }

  #count(counters: Map<string, Counter>, name: string, help: string, reason: string, amount: number): void {
    let counter = counters.get(reason);
    if (counter === undefined) {
      counter = this.#registry.counter(name, help, { service: this.#service, reason });
      counters.set(reason, counter);
    }
    counter.inc(amount);
  }
}
