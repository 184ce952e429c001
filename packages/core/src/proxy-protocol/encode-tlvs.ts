import { CirqueError } from "../errors/cirque-error.ts";
import type { ProxyHeaderFields, ProxySsl } from "./proxy-header.ts";
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
  TYPE_SSL,
  TYPE_UNIQUE_ID,
  UNIQUE_ID_MAX_BYTES,
} from "./wire-format.ts";

/**
 * The records of a header of version 2.
 *
 * @throws CirqueError `InvalidArgument` when a value is too long for its record, or a type is not one.
 */
export function encodeFields({ authority, alpn, uniqueId, ssl, tlvs = [] }: ProxyHeaderFields): Buffer {
  if (uniqueId !== undefined && uniqueId.length > UNIQUE_ID_MAX_BYTES) {
    throw invalid(`uniqueId has ${uniqueId.length} bytes; at most ${UNIQUE_ID_MAX_BYTES} are allowed`);
  }
  const records = [textTlv(TYPE_ALPN, alpn), textTlv(TYPE_AUTHORITY, authority)];
  if (uniqueId !== undefined) records.push(encodeTlv(TYPE_UNIQUE_ID, uniqueId));
  if (ssl !== undefined) records.push(encodeTlv(TYPE_SSL, encodeSsl(ssl)));
  for (const { type, value } of tlvs) {
    if (type === TYPE_CRC32C) throw invalid("the checksum is computed; ask for it with `checksum: true`");
    records.push(encodeTlv(type, value));
  }
  return Buffer.concat(records);
}

/** One record: type, length, value. */
export function encodeTlv(type: number, value: Uint8Array): Buffer {
  if (!Number.isInteger(type) || type < 0 || type > 255) throw invalid(`${type} is not the type of a record, 0 to 255`);
  if (value.length > 0xffff) throw invalid(`a record of type ${type} has ${value.length} bytes; at most 65535 fit`);
  const record = Buffer.alloc(3 + value.length);
  record[0] = type;
  record.writeUInt16BE(value.length, 1);
  record.set(value, 3);
  return record;
}

function encodeSsl(ssl: ProxySsl): Buffer {
  const fixed = Buffer.alloc(5);
  if (ssl.tls) fixed[0] = CLIENT_SSL;
  if (ssl.certificateOnConnection) fixed[0] = Number(fixed[0]) | CLIENT_CERTIFICATE_CONNECTION;
  if (ssl.certificateInSession) fixed[0] = Number(fixed[0]) | CLIENT_CERTIFICATE_SESSION;
  // Zero says that it was verified.
  fixed.writeUInt32BE(ssl.verified ? 0 : 1, 1);
  return Buffer.concat([
    fixed,
    textTlv(SSL_VERSION, ssl.version),
    textTlv(SSL_COMMON_NAME, ssl.commonName),
    textTlv(SSL_CIPHER, ssl.cipher),
    textTlv(SSL_SIGNATURE_ALGORITHM, ssl.signatureAlgorithm),
    textTlv(SSL_KEY_ALGORITHM, ssl.keyAlgorithm),
  ]);
}

function textTlv(type: number, text: string | undefined): Buffer {
  return text === undefined ? Buffer.alloc(0) : encodeTlv(type, Buffer.from(text));
}

function invalid(message: string): CirqueError {
  return new CirqueError("InvalidArgument", message);
}
