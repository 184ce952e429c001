import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { CirqueError } from "../../errors/cirque-error.ts";
import type { CertificateSource } from "./tls-settings.ts";

/** A certificate with its key, read and found to fit together. */
export interface CertificateMaterial {
  readonly cert: string | Buffer;
  readonly key: string | Buffer;
  readonly passphrase: string | undefined;
  /** The first certificate. */
  readonly certificate: X509Certificate;
  /** Where it came from, for messages. */
  readonly origin: string;
}

/**
 * Reads a certificate and its key, and makes sure that they can be used.
 *
 * @throws CirqueError `FileReadError` when a file cannot be read, `InvalidCert` when one holds no certificate or no key,
 * when the passphrase is missing or wrong, or when the key is that of another certificate.
 */
export function readCertificate({ cert, key, passphrase }: CertificateSource): CertificateMaterial {
  const certText = readPem("cert", cert);
  const keyText = readPem("key", key);
  const origin = nameOf("cert", cert);
  const certificate = parse(origin, () => new X509Certificate(certText), "holds no certificate in PEM");
  const privateKey = parseKey(nameOf("key", key), keyText, passphrase);
  if (!certificate.checkPrivateKey(privateKey)) {
    throw new CirqueError("InvalidCert", `${nameOf("key", key)} is not the key of the certificate in ${origin}`);
  }
  return { cert: certText, key: keyText, passphrase, certificate, origin };
}

/**
 * PEM as it is, or the contents of the file that a path names.
 *
 * @throws CirqueError `FileReadError` when the file cannot be read, `InvalidArgument` for what is neither.
 */
export function readPem(option: string, value: unknown): string | Buffer {
  if (Buffer.isBuffer(value) || (typeof value === "string" && isPem(value))) return value;
  if (typeof value !== "string" || value === "") {
    throw new CirqueError("InvalidArgument", `tls.${option} is missing; expected PEM text, or the path of a file`);
  }
  try {
    return readFileSync(value);
  } catch (error) {
    throw CirqueError.because("FileReadError", `cannot read ${nameOf(option, value)}`, error);
  }
}

/** The certificates in PEM that `readPem` gives. @throws CirqueError `InvalidCert` when there is none. */
export function readAuthorities(option: string, value: string | Buffer): string | Buffer {
  const text = readPem(option, value);
  parse(nameOf(option, value), () => new X509Certificate(text), "holds no certificate in PEM");
  return text;
}

/** How messages call it: by its file where there is one. Never its contents. */
export function nameOf(option: string, value: string | Buffer): string {
  return typeof value === "string" && !isPem(value) ? `${value} (tls.${option})` : `tls.${option}`;
}

function isPem(text: string): boolean {
  return text.includes("-----BEGIN ");
}

function parseKey(name: string, text: string | Buffer, passphrase: string | undefined): KeyObject {
  const reason = passphrase === undefined ? "holds no key in PEM, or one that needs a passphrase" : PASSPHRASE_REASON;
  return parse(name, () => createPrivateKey({ key: text, passphrase }), reason);
}

const PASSPHRASE_REASON = "holds no key in PEM, or the passphrase is wrong";

function parse<T>(name: string, read: () => T, reason: string): T {
  try {
    return read();
  } catch (error) {
    throw CirqueError.because("InvalidCert", `${name} ${reason}`, error);
  }
}
