import { type Counter, durationBuckets, type Gauge, type Histogram, type MetricsRegistry } from "@cirque/core";

/** What a proxy counts. Handles are looked up once, so that counting is an addition. */
export class ProxyMetrics {
  readonly #registry: MetricsRegistry;
  readonly #service: string;
  readonly requestsInFlight: Gauge;
  readonly durationSeconds: Histogram;
  readonly retries: Counter;
  readonly aborted: Counter;
  readonly #byStatusClass: readonly Counter[];
  readonly #byReason = new Map<string, Counter>();

  constructor(registry: MetricsRegistry, service: string) {
    this.#registry = registry;
    this.#service = service;
    this.requestsInFlight = registry.gauge("cirque_requests_in_flight", "Requests being worked on", { service });
    this.durationSeconds = registry.histogram(
      "cirque_request_duration_seconds",
      "From the head of a request to the end of its response",
      durationBuckets,
      { service },
    );
    this.retries = registry.counter("cirque_upstream_retries_total", "Attempts after a failed one", { service });
    this.aborted = registry.counter("cirque_requests_aborted_total", "Requests without a complete response", {
      service,
    });
    this.#byStatusClass = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"].map((status) =>
      registry.counter("cirque_requests_total", "Requests by the class of their status", { service, status }),
    );
  }

  /** Counts a request that is over. @param status 0 when there was no response. */
  requestEnded(status: number, seconds: number): void {
    const statusClass = status >= 600 ? 5 : Math.floor(status / 100);
    this.#byStatusClass[statusClass]?.inc();
    this.durationSeconds.observe(seconds);
  }

  /** Counts what a client sent and was refused for (promise P13). */
  refused(reason: string): void {
    this.#countReason("cirque_refused_messages_total", "What clients sent and were refused for, by reason", reason);
  }

  /** Counts a response that an origin sent and that could not be taken. */
  malformed(reason: string): void {
    this.#countReason(
      "cirque_malformed_responses_total",
      "Responses of origins that broke the protocol, by reason",
      reason,
    );
  }

  #countReason(name: string, help: string, reason: string): void {
    const key = `${name} ${reason}`;
    let counter = this.#byReason.get(key);
    if (counter === undefined) {
      counter = this.#registry.counter(name, help, { service: this.#service, reason });
      this.#byReason.set(key, counter);
    }
    counter.inc();
  }
}
