import type { Socket } from "node:net";
import { leaseUntilClosed } from "../connection/socket-lease.ts";
import { type AcceptedConnection, describeAccepted } from "../listeners/accepted-connection.ts";
import type { Endpoint } from "../listeners/endpoint.ts";
import type { Counter } from "../observability/metric.ts";
import type { ConnectionHandler } from "../services/connection-handler.ts";
import type { ReloadAnswer, ServiceContext, ServicePlacement } from "../services/service.ts";
import type { AcceptancePlan, AcceptanceTimeouts } from "./acceptance-plan.ts";
import { Arrival, heedErrors, ignoreErrors } from "./arrival.ts";
import { applyFilter, type ConnectionFilter } from "./connection-filter.ts";
import { ConnectionLimiter, ConnectionPlace, isLimited } from "./connection-limiter.ts";
import { ConnectionRefused } from "./connection-refused.ts";
import { DescriptorLimit } from "./descriptor-limit.ts";
import { openCount } from "./open-count.ts";
import { applyPreTls, type PreTlsHook } from "./pre-tls.ts";
import { ProxyHeaderReceiver } from "./receive-proxy-header.ts";
import { RefusalLog } from "./refusal-log.ts";
import { TlsTermination } from "./tls/tls-termination.ts";

/** What an acceptance belongs to. */
export interface AcceptanceOwner {
  /** The name of the service, for metrics. */
  readonly name: string;
  readonly handler: ConnectionHandler;
  /** Counts the connections of all listeners of the service, if they are limited. */
  readonly limiter: ConnectionLimiter | undefined;
  /** For listeners that have none of their own. */
  readonly connectionFilter: ConnectionFilter | undefined;
  /** Where it runs. What shows or controls the server is reached when clients have all the descriptors they may have. */
  readonly placement: ServicePlacement;
}

/**
 * What happens to the connections of one listener between their acceptance and their handler: limits, the header of the
 * PROXY protocol, the filter, the pre-TLS hook, TLS. Whoever is slow or wrong there harms nobody else.
 */
export class Acceptance {
  readonly #endpoint: Endpoint;
  readonly #owner: AcceptanceOwner;
  readonly #context: ServiceContext;
  readonly #timeouts: AcceptanceTimeouts;
  readonly #limiters: readonly ConnectionLimiter[];
  readonly #descriptors: DescriptorLimit | undefined;
  readonly #proxyHeaders: ProxyHeaderReceiver | undefined;
  readonly #filter: ConnectionFilter | undefined;
  readonly #preTls: PreTlsHook | undefined;
  readonly #tls: TlsTermination | undefined;
  /** Whether the handler gets sockets as they are accepted. */
  readonly #direct: boolean;
  readonly #accepted: Counter;
  readonly #handlerErrors: Counter;
  readonly #refusals: RefusalLog;
  readonly #arrivals = new Set<Arrival>();
  #onEmpty: (() => void) | undefined;

  private constructor(
    owner: AcceptanceOwner,
    endpoint: Endpoint,
    { options, timeouts }: AcceptancePlan,
    context: ServiceContext,
    tls: TlsTermination | undefined,
  ) {
    const { metrics } = context;
    const labels = { service: owner.name, listener: endpoint.address };
    const { proxyProtocol } = options;
    this.#descriptors = owner.placement === "data" ? DescriptorLimit.ofProcess() : undefined;
    this.#endpoint = endpoint;
    this.#owner = owner;
    this.#context = context;
    this.#timeouts = timeouts;
    const count = openCount(`${owner.name} ${endpoint.address}`, context.thread);
    const limiter = isLimited(options) ? new ConnectionLimiter("the listener", options, count) : undefined;
    this.#limiters = [limiter, owner.limiter].filter((each) => each !== undefined);
    this.#proxyHeaders = proxyProtocol && new ProxyHeaderReceiver(proxyProtocol);
    this.#filter = options.connectionFilter ?? owner.connectionFilter;
    this.#preTls = options.preTls;
    this.#tls = tls;
    this.#direct = !(this.#proxyHeaders || this.#filter || this.#preTls || tls);
    this.#accepted = metrics.counter("cirque_connections_accepted_total", "Connections accepted", labels);
    this.#handlerErrors = metrics.counter("cirque_connection_handler_errors_total", handlerErrorsHelp, labels);
    this.#refusals = new RefusalLog(metrics, context.logger, labels);
  }

  /** @throws CirqueError for options that cannot be used. */
  static async start(
    owner: AcceptanceOwner,
    endpoint: Endpoint,
    plan: AcceptancePlan,
    context: ServiceContext,
  ): Promise<Acceptance> {
    const labels = { service: owner.name, listener: endpoint.address };
    const tls = plan.tls && (await TlsTermination.start(plan.tls, context, labels));
    return new Acceptance(owner, endpoint, plan, context, tls);
  }

  /** Takes a socket that was accepted, paused. */
  accept(socket: Socket): void {
    this.#accepted.inc();
    const accepted = describeAccepted(socket, this.#endpoint);
    let place: ConnectionPlace | undefined;
    try {
      this.#descriptors?.check(socket);
      if (this.#limiters.length > 0) place = this.#takePlace(socket);
      if (this.#clientIsKnown) place?.takeForClient(accepted.clientAddress);
    } catch (error) {
      this.#refuse(socket, accepted, error);
      return;
    }
    if (this.#direct) this.#handOver(socket, accepted);
    else void this.#receive(new Arrival(socket, accepted), place);
  }

  /**
   * Reads the files of certificates again. What it returns puts them to use.
   * @throws CirqueError for one that cannot be used.
   */
  reload(): ReloadAnswer {
    return this.#tls?.reload();
  }

  /**
   * Nothing is accepted any more: waits until those on their way have come to their handler, for a moment at most. When
   * `force` aborts, or the moment is over, drops those that are left.
   */
  async stop(force: AbortSignal): Promise<void> {
    if (this.#arrivals.size > 0) {
      const empty = Promise.withResolvers<void>();
      this.#onEmpty = empty.resolve;
      const drop = (): void => {
        for (const arrival of this.#arrivals) arrival.refuse(new ConnectionRefused("stopped", "the server stops"));
      };
      const timer = setTimeout(drop, STOPPING_MS);
      if (force.aborted) drop();
      force.addEventListener("abort", drop, { once: true });
      await empty.promise;
      force.removeEventListener("abort", drop);
      clearTimeout(timer);
    }
    this.#tls?.stop();
  }

  /** The way of one connection, from its first byte to its handler. Never rejects. */
  async #receive(arrival: Arrival, place: ConnectionPlace | undefined): Promise<void> {
    const { connectionFilterTimeoutMs, preTlsTimeoutMs } = this.#timeouts;
    const { accepted } = arrival;
    this.#arrivals.add(arrival);
    try {
      if (this.#proxyHeaders) await this.#proxyHeaders.receive(arrival);
      if (this.#filter) await applyFilter(this.#filter, arrival, connectionFilterTimeoutMs);
      if (this.#preTls) await applyPreTls(this.#preTls, arrival, preTlsTimeoutMs);
      if (!this.#clientIsKnown) place?.takeForClient(accepted.clientAddress);
      const socket = this.#tls ? await this.#tls.secure(arrival) : arrival.socket;
      if (socket.destroyed) throw new ConnectionRefused("client-gone", "the client closed it");
      arrival.leave();
      heedErrors(socket);
      this.#handOver(socket, accepted);
    } catch (error) {
      this.#refuse(arrival.socket, accepted, error);
      arrival.leave();
    }
    this.#arrivals.delete(arrival);
    if (this.#arrivals.size === 0) this.#onEmpty?.();
  }

  /** Whether the client is whoever is at the other end of the socket. */
  get #clientIsKnown(): boolean {
    return !this.#proxyHeaders && !this.#preTls;
  }

  #takePlace(socket: Socket): ConnectionPlace {
    const place = new ConnectionPlace(this.#limiters);
    leaseUntilClosed(socket, place);
    return place;
  }

  #refuse(socket: Socket, accepted: AcceptedConnection, error: unknown): void {
    ignoreErrors(socket);
    socket.destroy();
    this.#refusals.add(
      ConnectionRefused.because("internal-error", "it could not be taken", error),
      accepted.clientAddress,
    );
  }

  #handOver(socket: Socket, accepted: AcceptedConnection): void {
    try {
      // The type says void, which an async function is assignable to; its rejection belongs here as well.
      const result: unknown = this.#owner.handler.handle(socket, accepted);
      if (result instanceof Promise) result.catch((error: unknown) => this.#handlerFailed(socket, error));
    } catch (error) {
      this.#handlerFailed(socket, error);
    }
  }

  #handlerFailed(socket: Socket, error: unknown): void {
    this.#handlerErrors.inc();
    ignoreErrors(socket);
    socket.destroy();
    this.#context.logger.error({ err: error, listener: this.#endpoint.address }, "the connection handler failed");
  }
}

/** How long a server that stops waits for handshakes under way. */
const STOPPING_MS = 1_000;

const handlerErrorsHelp = "Connections destroyed because their handler failed";
