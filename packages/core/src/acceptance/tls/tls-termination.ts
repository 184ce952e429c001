import type { Socket } from "node:net";
import { createServer, type Server, type TLSSocket } from "node:tls";
import type { Histogram, Labels } from "../../observability/metric.ts";
import { durationBuckets } from "../../observability/metric.ts";
import type { ReloadAnswer, ServiceContext } from "../../services/service.ts";
import { type Arrival, ignoreErrors } from "../arrival.ts";
import { ConnectionRefused } from "../connection-refused.ts";
import { handshakeRefusal } from "./handshake-failure.ts";
import { type PreparedTls, prepareTls, type ResolvedTlsSettings } from "./server-options.ts";
import type { TlsAcceptor } from "./tls-acceptor.ts";
import { digestOf } from "./tls-digest.ts";
import type { TlsSettings } from "./tls-settings.ts";

/** Does the TLS handshakes of a listener, with a server of `node:tls` that is given its connections. */
export class TlsTermination {
  readonly #settings: TlsSettings;
  readonly #resolved: ResolvedTlsSettings;
  readonly #server: Server;
  readonly #hasAcceptor: boolean;
  readonly #detach: (() => void) | undefined;
  readonly #handshakeSeconds: Histogram;
  readonly #underWay = new WeakMap<Socket, PromiseWithResolvers<TLSSocket>>();

  private constructor(
    { given: settings, resolved }: PreparedTls,
    acceptor: TlsAcceptor | undefined,
    context: ServiceContext,
    labels: Labels,
  ) {
    this.#settings = settings;
    this.#resolved = resolved;
    this.#server = createServer(resolved.options);
    this.#server.on("secureConnection", (socket) => {
      ignoreErrors(socket);
      this.#handshakeOf(socket)?.resolve(socket);
    });
    this.#server.on("tlsClientError", (error, socket) => {
      this.#handshakeOf(socket)?.reject(handshakeRefusal(error, socket.authorizationError));
    });
    if (settings.onKeylog !== undefined) this.#server.on("keylog", settings.onKeylog);
    const help = "From the beginning of a TLS handshake with a client to its end";
    const { metrics } = context;
    this.#handshakeSeconds = metrics.histogram("cirque_tls_handshake_duration_seconds", help, durationBuckets, labels);
    this.#hasAcceptor = acceptor !== undefined;
    this.#detach = acceptor?.attach?.(this.#server, context);
  }

  /** @throws CirqueError for settings that cannot be used. */
  static async start(tls: PreparedTls | TlsAcceptor, context: ServiceContext, labels: Labels): Promise<TlsTermination> {
    const acceptor = "resolved" in tls ? undefined : tls;
    const prepared = "resolved" in tls ? tls : prepareTls(await tls.settings(context));
    warnOfExpiry(prepared.resolved, context);
    return new TlsTermination(prepared, acceptor, context, labels);
  }

  /**
   * Does the handshake, and adds to what is known of the connection.
   * @throws ConnectionRefused when it fails.
   */
  async secure(arrival: Arrival): Promise<TLSSocket> {
    const startedAt = performance.now();
    const { socket, accepted } = arrival;
    const deadlineMs = this.#resolved.handshakeTimeoutMs;
    const handshake = Promise.withResolvers<TLSSocket>();
    this.#underWay.set(socket, handshake);
    const secured = await arrival.within(deadlineMs, "tls", () => {
      this.#server.emit("connection", socket);
      return handshake.promise;
    });
    if (secured.alpnProtocol === false && this.#resolved.requiresAlpn) {
      throw new ConnectionRefused("tls-alpn", "the client offers no protocol (ALPN), and one is needed");
    }
    const handshakeMs = performance.now() - startedAt;
    const digest = { ...digestOf(secured, handshakeMs), extension: undefined as unknown };
    accepted.tls = digest;
    const { onHandshake } = this.#settings;
    if (onHandshake !== undefined) {
      const leftMs = Math.max(1, deadlineMs - handshakeMs);
      digest.extension = await extensionOf(arrival, leftMs, () => onHandshake(secured, accepted));
    }
    this.#handshakeSeconds.observe(handshakeMs / 1_000);
    return secured;
  }

  /**
   * Reads the files of certificates again; what it returns shows them to clients that come from then on. An acceptor does
   * that by itself.
   * @throws CirqueError for a file that cannot be used.
   */
  reload(): ReloadAnswer {
    if (this.#hasAcceptor) return undefined;
    const { resolved } = prepareTls(this.#settings);
    return () => {
      this.#server.setSecureContext(resolved.options);
      this.#resolved.forgetCertificates();
    };
  }

  /** Lets go of what the listener had for TLS. */
  stop(): void {
    this.#detach?.();
  }

  #handshakeOf(secured: TLSSocket): PromiseWithResolvers<TLSSocket> | undefined {
    // The socket underneath, which Node does not show.
    const { _parent: socket } = secured as unknown as { readonly _parent?: Socket };
    return socket && this.#underWay.get(socket);
  }
}

async function extensionOf(arrival: Arrival, ms: number, run: () => unknown): Promise<unknown> {
  try {
    return await arrival.within(ms, "tls-callback", run);
  } catch (cause) {
    throw ConnectionRefused.because("tls-callback-error", "`onHandshake` failed", cause);
  }
}

/** Clients will not trust it, but a server that is restarted in the night the certificate expires should start. */
function warnOfExpiry({ certificate }: ResolvedTlsSettings, { logger }: ServiceContext): void {
  if (certificate === undefined) return;
  const { validFromDate, validToDate } = certificate.certificate;
  const now = Date.now();
  const { origin } = certificate;
  if (validToDate.getTime() < now) {
    logger.warn({ expiredAt: validToDate.toISOString() }, `the certificate in ${origin} has expired`);
  } else if (validFromDate.getTime() > now) {
    logger.warn({ validFrom: validFromDate.toISOString() }, `the certificate in ${origin} is not valid yet`);
  }
}
