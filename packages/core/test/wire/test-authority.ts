import "reflect-metadata"; // has to be there before the library
import { randomBytes, webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";

/** Certificate and key in PEM. */
export interface PemPair {
  readonly cert: string;
  readonly key: string;
}

/** What a certificate is for. */
export interface CertificateOptions {
  readonly names?: readonly string[];
  readonly addresses?: readonly string[];
  /** The common name of the subject. */
  readonly subject?: string;
  readonly expired?: boolean;
}

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const day = 86_400_000;

/** Issues certificates for tests. */
export class TestAuthority {
  /** Its own certificate: a trust root. */
  readonly cert: string;
  readonly #certificate: x509.X509Certificate;
  readonly #keys: webcrypto.CryptoKeyPair;

  private constructor(certificate: x509.X509Certificate, keys: webcrypto.CryptoKeyPair) {
    this.#certificate = certificate;
    this.#keys = keys;
    this.cert = certificate.toString("pem");
  }

  static async create(name = "Test authority"): Promise<TestAuthority> {
    const keys = await newKeys();
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      serialNumber: serialNumber(),
      name: `CN=${name}`,
      ...validity(false),
      signingAlgorithm: algorithm,
      keys,
      extensions: [
        new x509.BasicConstraintsExtension(true, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      ],
    });
    return new TestAuthority(certificate, keys);
  }

  /** A certificate that leads to this authority. */
  async issue(options: CertificateOptions): Promise<PemPair> {
    const keys = await newKeys();
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: serialNumber(),
      subject: `CN=${options.subject ?? "test"}`,
      issuer: this.#certificate.subject,
      ...validity(options.expired ?? false),
      signingAlgorithm: algorithm,
      publicKey: keys.publicKey,
      signingKey: this.#keys.privateKey,
      extensions: [alternativeNames(options)],
    });
    return { cert: certificate.toString("pem"), key: await privatePem(keys) };
  }
}

/** A certificate that leads nowhere but to itself. */
export async function selfSigned(options: CertificateOptions): Promise<PemPair> {
  const keys = await newKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: `CN=${options.subject ?? "test"}`,
    ...validity(false),
    signingAlgorithm: algorithm,
    keys,
    extensions: [alternativeNames(options)],
  });
  return { cert: certificate.toString("pem"), key: await privatePem(keys) };
}

function alternativeNames({ names = [], addresses = [] }: CertificateOptions): x509.SubjectAlternativeNameExtension {
  return new x509.SubjectAlternativeNameExtension([
    ...names.map((value) => ({ type: "dns" as const, value })),
    ...addresses.map((value) => ({ type: "ip" as const, value })),
  ]);
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
}

async function privatePem(keys: webcrypto.CryptoKeyPair): Promise<string> {
  return x509.PemConverter.encode(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey), "PRIVATE KEY");
}

function serialNumber(): string {
  return randomBytes(8).toString("hex");
}

function validity(expired: boolean): { notBefore: Date; notAfter: Date } {
  const now = Date.now();
  return { notBefore: new Date(now - 2 * day), notAfter: new Date(now + (expired ? -day : day)) };
}
