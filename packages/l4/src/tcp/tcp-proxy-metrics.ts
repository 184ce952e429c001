import type { Counter, Gauge, Histogram, MetricsRegistry } from "@cirque/core";

/** What a TCP proxy counts. Handles are looked up once, so that counting is an addition. */
export class TcpProxyMetrics {
  readonly #registry: MetricsRegistry;
  readonly #service: string;
  readonly #failures = new Map<string, Counter>();
  readonly connections: Counter;
  readonly active: Gauge;
  readonly uploadBytes: Counter;
  readonly downloadBytes: Counter;
  readonly retries: Counter;
  readonly durationSeconds: Histogram;

  constructor(registry: MetricsRegistry, service: string) {
    this.#registry = registry;
    this.#service = service;
    const bytesHelp = "Bytes carried: upload from clients to peers, download from peers to clients";
    this.connections = registry.counter("cirque_tcp_connections_total", "Connections of clients", { service });
    this.active = registry.gauge("cirque_tcp_connections_active", "Connections of clients that are open", { service });
    this.uploadBytes = registry.counter("cirque_tcp_bytes_total", bytesHelp, { service, direction: "upload" });
    this.downloadBytes = registry.counter("cirque_tcp_bytes_total", bytesHelp, { service, direction: "download" });
    this.retries = registry.counter("cirque_tcp_connect_retries_total", "Attempts after a failed one", { service });
    this.durationSeconds = registry.histogram(
      "cirque_tcp_connection_duration_seconds",
      "From the acceptance of a connection to its end",
      sessionBuckets,
      { service },
    );
  }

  /** Counts a connection that did not end well. @param reason See `failureReason`. */
  failed(reason: string): void {
    let counter = this.#failures.get(reason);
    if (counter === undefined) {
      counter = this.#registry.counter("cirque_tcp_failures_total", "Connections that did not end well, by reason", {
        service: this.#service,
        reason,
      });
      this.#failures.set(reason, counter);
    }
    counter.inc();
  }
}

/** Upper bounds in seconds that suit connections: from 10 ms to an hour. */
const sessionBuckets: readonly number[] = [0.01, 0.1, 1, 10, 60, 600, 3600];
