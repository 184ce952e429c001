import type { Logger } from "../observability/logger.ts";
import type { Counter, Labels } from "../observability/metric.ts";
import type { MetricsRegistry } from "../observability/metrics-registry.ts";
import type { ConnectionRefused } from "./connection-refused.ts";

/** So many records of one reason in a second: whoever is refused may try again ten thousand times a second. */
const RECORDS_PER_SECOND = 10;

/** Counts and logs the connections of a listener that do not come to their handler. */
export class RefusalLog {
  readonly #metrics: MetricsRegistry;
  readonly #logger: Logger;
  readonly #labels: Labels & { readonly listener: string };
  readonly #reasons = new Map<string, Reason>();

  constructor(metrics: MetricsRegistry, logger: Logger, labels: Labels & { readonly listener: string }) {
    this.#metrics = metrics;
    this.#logger = logger;
    this.#labels = labels;
  }

  /** @param error A refusal, or what a callback of the user threw. */
  add(error: ConnectionRefused, clientAddress: string): void {
    const reason = this.#reason(error.reason);
    reason.counter.inc();
    const suppressed = reason.mayLog();
    if (suppressed === undefined) return;
    const fields = {
      reason: error.reason,
      clientAddress,
      listener: this.#labels.listener,
      ...(suppressed > 0 && { suppressed }),
      ...(error.cause !== undefined && { err: error.cause }),
    };
    this.#logger[levelOf(error.reason)](fields, `a connection was refused: ${error.message}`);
  }

  #reason(name: string): Reason {
    let reason = this.#reasons.get(name);
    if (reason === undefined) {
      const help = "Connections that did not come to their handler, by reason";
      const counter = this.#metrics.counter("cirque_connections_refused_total", help, {
        ...this.#labels,
        reason: name,
      });
      reason = new Reason(counter);
      this.#reasons.set(name, reason);
    }
    return reason;
  }
}

/** What the operator should do something about: limits that are met, and code of the user that fails. */
const LOUD = /^(?:max-connections|file-descriptors|.*-error$|filter-timeout$|pre-tls-timeout$)/;

/** What health checks do all day. */
const QUIET = /^(?:client-gone|tls-client-gone|stopped)$/;

function levelOf(reason: string): "warn" | "info" | "debug" {
  if (LOUD.test(reason)) return "warn";
  return QUIET.test(reason) ? "debug" : "info";
}

class Reason {
  readonly counter: Counter;
  #second = 0;
  #logged = 0;
  #suppressed = 0;

  constructor(counter: Counter) {
    this.counter = counter;
  }

  /** How many records were left out before this one; undefined when this one is left out, too. */
  mayLog(): number | undefined {
    const second = Math.floor(performance.now() / 1_000);
    if (second !== this.#second) {
      this.#second = second;
      this.#logged = 0;
    }
    if (this.#logged >= RECORDS_PER_SECOND) {
      this.#suppressed++;
      return undefined;
    }
    this.#logged++;
    const suppressed = this.#suppressed;
    this.#suppressed = 0;
    return suppressed;
  }
}
