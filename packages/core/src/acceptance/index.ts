export type { AcceptanceOptions, ConnectionLimits } from "./acceptance-options.ts";
export type { ConnectionFilter } from "./connection-filter.ts";
export type { PreTlsConnection, PreTlsHook } from "./pre-tls.ts";
export type { ProxyProtocolOptions } from "./receive-proxy-header.ts";
export { type CertificateMaterial, readCertificate } from "./tls/certificate-material.ts";
export type { TlsAcceptor } from "./tls/tls-acceptor.ts";
export type { ClientCertificate, TlsDigest } from "./tls/tls-digest.ts";
export type {
  CertificateChooser,
  CertificateSource,
  ClientCertificateSettings,
  TlsSettings,
} from "./tls/tls-settings.ts";
