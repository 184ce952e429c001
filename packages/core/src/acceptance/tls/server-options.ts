import { constants } from "node:crypto";
import { createSecureContext, type SecureContext, type SecureContextOptions, type TlsOptions } from "node:tls";
import { CirqueError } from "../../errors/cirque-error.ts";
import { type CertificateMaterial, readAuthorities, readCertificate, readPem } from "./certificate-material.ts";
import { processTicketKeys } from "./ticket-keys.ts";
import type { CertificateChooser, CertificateSource, TlsSettings } from "./tls-settings.ts";

/** Settings, and what their files held. */
export interface PreparedTls {
  readonly given: TlsSettings;
  readonly resolved: ResolvedTlsSettings;
}

/** Settings of TLS as `node:tls` takes them. */
export interface ResolvedTlsSettings {
  readonly options: TlsOptions;
  /** The certificate for clients without SNI; undefined where only `certificateFor` gives them. */
  readonly certificate: CertificateMaterial | undefined;
  readonly handshakeTimeoutMs: number;
  /** Whether a client that offers no protocol is refused. */
  readonly requiresAlpn: boolean;
  /** Lets what `certificateFor` gives be read again. */
  forgetCertificates(): void;
}

/**
 * Reads files and fills in defaults.
 *
 * @throws CirqueError `FileReadError`, `InvalidCert` and `InvalidArgument` for what cannot be used, naming it.
 */
export function prepareTls(settings: TlsSettings): PreparedTls {
  const resolved = resolve(settings);
  try {
    createSecureContext(resolved.options);
  } catch (error) {
    // What Node throws here, it throws because of an option: a cipher, a group, a version that is none.
    const message = error instanceof Error ? error.message : String(error);
    throw CirqueError.because("InvalidArgument", `the TLS settings cannot be used: ${message}`, error);
  }
  return { given: settings, resolved };
}

function resolve(settings: TlsSettings): ResolvedTlsSettings {
  const { alpn = ["http/1.1"], handshakeTimeoutMs = 10_000, certificateFor } = settings;
  if (!(handshakeTimeoutMs > 0)) throw invalid(`tls.handshakeTimeoutMs is ${handshakeTimeoutMs}; expected more than 0`);
  if (settings.sessionTimeoutMs !== undefined && !(settings.sessionTimeoutMs > 0)) {
    throw invalid(`tls.sessionTimeoutMs is ${settings.sessionTimeoutMs}; expected more than 0`);
  }
  assertProtocols(alpn);
  const certificate = certificateOf(settings);
  const context = contextOptions(settings);
  const chosen = new ChosenContexts(context);
  const options: TlsOptions = {
    ...context,
    ...(certificate && pemOf(certificate)),
    ...(certificateFor && { SNICallback: sniCallback(certificateFor, chosen, certificate !== undefined) }),
    ...(alpn.length > 0 && { ALPNProtocols: [...alpn] }),
    ...(settings.clientCertificates && {
      requestCert: true,
      rejectUnauthorized: settings.clientCertificates.required ?? true,
    }),
    // Node fires a timer that is longer at once.
    handshakeTimeout: Math.min(handshakeTimeoutMs, 2 ** 31 - 1),
    ...settings.options,
    pauseOnConnect: true,
  };
  return {
    options,
    certificate,
    handshakeTimeoutMs,
    requiresAlpn: alpn.length > 0 && !alpn.includes("http/1.1"),
    forgetCertificates: () => chosen.forget(),
  };
}

/** The lists of the intermediate profile. The server chooses, as it does by default in Node; ciphers of TLS 1.3 first. */
const CIPHERS = [
  "TLS_AES_128_GCM_SHA256",
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
].join(":");

/** What holds for each certificate of the listener. */
function contextOptions(settings: TlsSettings): SecureContextOptions {
  const { minVersion = "TLSv1.2", maxVersion = "TLSv1.3", clientCertificates, sessionTickets = true } = settings;
  const { SSL_OP_NO_RENEGOTIATION, SSL_OP_NO_TICKET } = constants;
  return {
    minVersion,
    maxVersion,
    ciphers: CIPHERS,
    secureOptions: SSL_OP_NO_RENEGOTIATION | (sessionTickets ? 0 : SSL_OP_NO_TICKET),
    sessionTimeout: Math.ceil((settings.sessionTimeoutMs ?? 7_200_000) / 1_000),
    ticketKeys: settings.ticketKeys ?? processTicketKeys(),
    ...(clientCertificates && { ca: readAuthorities("clientCertificates.ca", clientCertificates.ca) }),
    ...(clientCertificates?.crl !== undefined && { crl: readPem("clientCertificates.crl", clientCertificates.crl) }),
    ...settings.options,
  };
}

function certificateOf(settings: TlsSettings): CertificateMaterial | undefined {
  const { cert, key, passphrase, certificateFor, options } = settings;
  if (cert !== undefined || key !== undefined) {
    return readCertificate({ cert: cert as string | Buffer, key: key as string | Buffer, passphrase });
  }
  const elsewhere = certificateFor !== undefined || options?.cert !== undefined || options?.pfx !== undefined;
  if (elsewhere || options?.SNICallback !== undefined || options?.pskCallback !== undefined) return undefined;
  throw invalid("tls.cert and tls.key are missing; give both, or tls.certificateFor");
}

function pemOf({ cert, key, passphrase }: CertificateMaterial): SecureContextOptions {
  return { cert, key, ...(passphrase !== undefined && { passphrase }) };
}

/** Node's callback for the name in the hello, over one that may be async and gives certificates. */
function sniCallback(
  choose: CertificateChooser,
  contexts: ChosenContexts,
  hasDefault: boolean,
): NonNullable<TlsOptions["SNICallback"]> {
  return (serverName, done) => {
    void (async () => choose(serverName))()
      .then((chosen) => contexts.of(chosen))
      .then(
        (context) => {
          if (context === undefined && !hasDefault) done(new NoCertificate(`no certificate for ${serverName}`));
          else done(null, context);
        },
        (error: unknown) => done(new CertificateChoiceFailed("certificateFor failed", { cause: error })),
      );
  };
}

/** What OpenSSL makes of the certificates that were chosen, each once. */
class ChosenContexts {
  readonly #common: SecureContextOptions;
  #contexts = new WeakMap<object, SecureContext>();

  /** @param common What holds whichever is chosen. */
  constructor(common: SecureContextOptions) {
    this.#common = common;
  }

  of(chosen: CertificateSource | SecureContext | undefined): SecureContext | undefined {
    if (chosen === undefined) return undefined;
    if ("context" in chosen) return chosen;
    let context = this.#contexts.get(chosen);
    if (context === undefined) {
      context = createSecureContext({ ...this.#common, ...pemOf(readCertificate(chosen)) });
      this.#contexts.set(chosen, context);
    }
    return context;
  }

  forget(): void {
    this.#contexts = new WeakMap();
  }
}

/** Nobody has a certificate for the name. */
export class NoCertificate extends Error {}

/** The user's choice of a certificate threw. */
export class CertificateChoiceFailed extends Error {}

function assertProtocols(alpn: readonly string[]): void {
  const fits = (name: unknown): boolean => typeof name === "string" && name.length > 0 && Buffer.byteLength(name) < 256;
  if (Array.isArray(alpn) && alpn.every(fits)) return;
  throw invalid('tls.alpn has to be a list of protocols of 1 to 255 bytes, such as ["h2", "http/1.1"]');
}

function invalid(message: string): CirqueError {
  return new CirqueError("InvalidArgument", message);
}
