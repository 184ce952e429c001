/** Numbers of the specification, for those who write headers and those who read them. */

export const V1_PREFIX: Buffer = Buffer.from("PROXY ", "latin1");
/** The longest line of version 1, its end included. */
export const V1_MAX_BYTES = 107;

export const V2_SIGNATURE: Buffer = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");
/** Signature, version and command, family and transport, length. */
export const V2_FIXED_BYTES = 16;
export const VERSION_2 = 0x20;
export const COMMAND_LOCAL = 0x0;
export const COMMAND_PROXY = 0x1;

export const FAMILY_UNSPECIFIED = 0x00;
export const FAMILY_INET = 0x10;
export const FAMILY_INET6 = 0x20;
export const FAMILY_UNIX = 0x30;
export const TRANSPORT_STREAM = 0x1;
export const TRANSPORT_DATAGRAM = 0x2;

/** Two addresses with two ports, or two paths. */
export const ADDRESS_BYTES: Readonly<Record<number, number>> = {
  [FAMILY_INET]: 12,
  [FAMILY_INET6]: 36,
  [FAMILY_UNIX]: 216,
};
export const UNIX_PATH_BYTES = 108;

export const TYPE_ALPN = 0x01;
export const TYPE_AUTHORITY = 0x02;
export const TYPE_CRC32C = 0x03;
export const TYPE_NOOP = 0x04;
export const TYPE_UNIQUE_ID = 0x05;
export const TYPE_SSL = 0x20;
export const TYPE_NETNS = 0x30;

export const UNIQUE_ID_MAX_BYTES = 128;

/** Records inside that of the TLS connection, and the bits of its first byte. */
export const SSL_VERSION = 0x21;
export const SSL_COMMON_NAME = 0x22;
export const SSL_CIPHER = 0x23;
export const SSL_SIGNATURE_ALGORITHM = 0x24;
export const SSL_KEY_ALGORITHM = 0x25;
export const CLIENT_SSL = 0x01;
export const CLIENT_CERTIFICATE_CONNECTION = 0x02;
export const CLIENT_CERTIFICATE_SESSION = 0x04;
