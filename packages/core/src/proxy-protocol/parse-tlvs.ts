import { crc32c } from "./crc32c.ts";
import { MalformedProxyHeader } from "./malformed-proxy-header.ts";
import type { ProxyHeaderFields, ProxySsl, ProxyTlv } from "./proxy-header.ts";
import {
  CLIENT_CERTIFICATE_CONNECTION,
  CLIENT_CERTIFICATE_SESSION,
  CLIENT_SSL,
  SSL_CIPHER,
  SSL_COMMON_NAME,
  SSL_KEY_ALGORITHM,
  SSL_SIGNATURE_ALGORITHM,
  SSL_VERSION,
  TYPE_ALPN,
  TYPE_AUTHORITY,
  TYPE_CRC32C,
  TYPE_NETNS,
  TYPE_NOOP,
  TYPE_SSL,
  TYPE_UNIQUE_ID,
  UNIQUE_ID_MAX_BYTES,
} from "./wire-format.ts";

/**
 * Reads the records of a header from an offset to its end, and verifies its checksum if it has one. The name of a
 * network namespace is read over: it means something on the machine of the proxy only.
 * @throws MalformedProxyHeader when a record is cut, occurs twice, or holds what its type does not allow.
 */
export function parseFields(header: Buffer, offset: number): ProxyHeaderFields {
  const fields: Writable<ProxyHeaderFields> = {};
  const others: ProxyTlv[] = [];
  let checksum: Buffer | undefined;
  for (const { type, value } of records(header, offset)) {
    if (type === TYPE_ALPN) fields.alpn = once(fields.alpn, textOf(value));
    else if (type === TYPE_AUTHORITY) fields.authority = once(fields.authority, textOf(value));
    else if (type === TYPE_UNIQUE_ID) fields.uniqueId = once(fields.uniqueId, uniqueIdOf(value));
    else if (type === TYPE_SSL) fields.ssl = once(fields.ssl, parseSsl(value));
    else if (type === TYPE_CRC32C) checksum = once(checksum, value);
    else if (type !== TYPE_NOOP && type !== TYPE_NETNS) others.push({ type, value });
  }
  if (checksum !== undefined) verify(header, checksum);
  if (others.length > 0) fields.tlvs = others;
  return fields;
}

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

function* records(bytes: Buffer, start: number): Generator<ProxyTlv> {
  let offset = start;
  while (offset < bytes.length) {
    const valueStart = offset + 3;
    const end = valueStart <= bytes.length ? valueStart + bytes.readUInt16BE(offset + 1) : valueStart;
    if (end > bytes.length)
      throw new MalformedProxyHeader("bad-record", "a record is longer than what is left of the header");
    yield { type: bytes.readUInt8(offset), value: bytes.subarray(valueStart, end) };
    offset = end;
  }
}

function verify(header: Buffer, checksum: Buffer): void {
  if (checksum.length !== 4) throw new MalformedProxyHeader("bad-record", "the checksum has not four bytes");
  const expected = checksum.readUInt32BE();
  // It was computed as if it were zero. The bytes are a part of the header.
  checksum.writeUInt32BE(0);
  const actual = crc32c(header);
  checksum.writeUInt32BE(expected);
  if (actual !== expected) throw new MalformedProxyHeader("bad-checksum", "the checksum is not that of the header");
}

function parseSsl(value: Buffer): ProxySsl {
  if (value.length < 5) throw new MalformedProxyHeader("bad-record", "the record of the TLS connection is cut");
  const client = value.readUInt8();
  const texts: Writable<Partial<ProxySsl>> = {};
  for (const { type, value: part } of records(value, 5)) {
    const name = sslTexts[type];
    if (name !== undefined) texts[name] = once(texts[name], textOf(part));
  }
  return {
    tls: (client & CLIENT_SSL) !== 0,
    certificateOnConnection: (client & CLIENT_CERTIFICATE_CONNECTION) !== 0,
    certificateInSession: (client & CLIENT_CERTIFICATE_SESSION) !== 0,
    verified: value.readUInt32BE(1) === 0,
    ...texts,
  };
}

const sslTexts: Readonly<
  Record<number, "version" | "commonName" | "cipher" | "signatureAlgorithm" | "keyAlgorithm" | undefined>
> = {
  [SSL_VERSION]: "version",
  [SSL_COMMON_NAME]: "commonName",
  [SSL_CIPHER]: "cipher",
  [SSL_SIGNATURE_ALGORITHM]: "signatureAlgorithm",
  [SSL_KEY_ALGORITHM]: "keyAlgorithm",
};

function uniqueIdOf(value: Buffer): Buffer {
  if (value.length <= UNIQUE_ID_MAX_BYTES) return value;
  throw new MalformedProxyHeader(
    "bad-record",
    `an identifier has ${value.length} bytes, more than ${UNIQUE_ID_MAX_BYTES}`,
  );
}

/** Texts come into logs and headers, so they have to be texts. */
function textOf(value: Buffer): string {
  const text = value.toString("utf8");
  if (/\p{Cc}|\ufffd/u.test(text)) throw new MalformedProxyHeader("bad-record", "a record is not a text");
  return text;
}

function once<T>(former: T | undefined, value: T): T {
  if (former !== undefined) throw new MalformedProxyHeader("bad-record", "a record occurs twice");
  return value;
}
