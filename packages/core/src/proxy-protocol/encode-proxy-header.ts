import { bytesOfIpAddress, mappedIpv4, textOfIpAddress } from "../address/ip-address.ts";
import { isUnixAddress, parseSocketAddress, type SocketAddress } from "../address/socket-address.ts";
import { CirqueError } from "../errors/cirque-error.ts";
import { crc32c } from "./crc32c.ts";
import { encodeFields, encodeTlv } from "./encode-tlvs.ts";
import type { ProxyHeaderFields } from "./proxy-header.ts";
import {
  ADDRESS_BYTES,
  COMMAND_LOCAL,
  COMMAND_PROXY,
  FAMILY_INET,
  FAMILY_INET6,
  FAMILY_UNIX,
  FAMILY_UNSPECIFIED,
  TRANSPORT_DATAGRAM,
  TRANSPORT_STREAM,
  TYPE_CRC32C,
  UNIX_PATH_BYTES,
  V1_MAX_BYTES,
  V2_FIXED_BYTES,
  V2_SIGNATURE,
  VERSION_2,
} from "./wire-format.ts";

/** What to say in a header. */
export interface ProxyHeaderToSend extends ProxyHeaderFields {
  /** Default: 2. Version 1 has room for addresses of TCP only. */
  readonly version?: 1 | 2 | undefined;
  /** Default: `"proxy"`. `"local"`: a connection of our own, such as a health check; addresses are left out. */
  readonly command?: "proxy" | "local" | undefined;
  /** What the client's connection is. Default: `"stream"`. */
  readonly transport?: "stream" | "datagram" | undefined;
  /** The client's address: `192.0.2.1:1234`, `[2001:db8::1]:1234`, `unix:/path`. Without it, it is said to be unknown. */
  readonly source?: string | undefined;
  /** The address that the client connected to. */
  readonly destination?: string | undefined;
  /** Whether version 2 gets a checksum. Default: `false`. */
  readonly checksum?: boolean | undefined;
}

/**
 * The bytes of a header of the PROXY protocol, to be sent in front of anything else, TLS included. Addresses of IPv4 and
 * IPv6 together go as IPv6.
 *
 * @throws CirqueError `InvalidArgument` when an address is malformed or a host name, when one is a path and the other
 * is not, or when the fields do not fit into a header (version 1: when there are any).
 *
 * @example
 * socket.write(encodeProxyHeader({ version: 2, source: session.clientAddress, destination: session.serverAddress }));
 */
export function encodeProxyHeader(header: ProxyHeaderToSend): Buffer {
  const { version = 2, command = "proxy", source, destination } = header;
  const known = command === "proxy" && source !== undefined && destination !== undefined;
  const addresses = known ? addressesOf(source, destination) : undefined;
  return version === 1 ? encodeVersion1(header, addresses) : encodeVersion2(header, command, addresses);
}

/** Both ends of the client's connection, in one family. */
type Addresses =
  | { readonly source: IpEnd; readonly destination: IpEnd }
  | { readonly sourcePath: Buffer; readonly destinationPath: Buffer };

interface IpEnd {
  readonly bytes: Uint8Array;
  readonly port: number;
}

function encodeVersion1(header: ProxyHeaderToSend, addresses: Addresses | undefined): Buffer {
  if (encodeFields(header).length > 0 || header.checksum || header.transport === "datagram") {
    throw invalid("version 1 of the PROXY protocol has room for addresses of TCP only; take version 2");
  }
  if (addresses === undefined || "sourcePath" in addresses) return Buffer.from("PROXY UNKNOWN\r\n", "latin1");
  const { source, destination } = addresses;
  const family = source.bytes.length === 4 ? "TCP4" : "TCP6";
  const [from, to] = [textOfIpAddress(source.bytes), textOfIpAddress(destination.bytes)];
  const line = Buffer.from(`PROXY ${family} ${from} ${to} ${source.port} ${destination.port}\r\n`, "latin1");
  if (line.length > V1_MAX_BYTES) throw invalid(`the line has ${line.length} bytes`); // cannot be: the longest has 104
  return line;
}

function encodeVersion2(
  header: ProxyHeaderToSend,
  command: "proxy" | "local",
  addresses: Addresses | undefined,
): Buffer {
  const block = addresses === undefined ? Buffer.alloc(0) : addressBlock(addresses);
  const fields = encodeFields(header);
  const checksum = header.checksum ? encodeTlv(TYPE_CRC32C, Buffer.alloc(4)) : Buffer.alloc(0);
  const length = block.length + fields.length + checksum.length;
  if (length > 0xffff) throw invalid(`the fields have ${length} bytes; a header of version 2 has room for 65535`);
  const bytes = Buffer.concat([Buffer.alloc(V2_FIXED_BYTES), block, fields, checksum]);
  V2_SIGNATURE.copy(bytes);
  bytes[12] = VERSION_2 | (command === "local" ? COMMAND_LOCAL : COMMAND_PROXY);
  bytes[13] = addresses === undefined ? FAMILY_UNSPECIFIED : familyOf(addresses) | transportOf(header);
  bytes.writeUInt16BE(length, 14);
  // The checksum is computed as if it were zero, and stands at the end.
  if (header.checksum) bytes.writeUInt32BE(crc32c(bytes), bytes.length - 4);
  return bytes;
}

function familyOf(addresses: Addresses): number {
  if ("sourcePath" in addresses) return FAMILY_UNIX;
  return addresses.source.bytes.length === 4 ? FAMILY_INET : FAMILY_INET6;
}

function transportOf({ transport }: ProxyHeaderToSend): number {
  return transport === "datagram" ? TRANSPORT_DATAGRAM : TRANSPORT_STREAM;
}

function addressBlock(addresses: Addresses): Buffer {
  const block = Buffer.alloc(ADDRESS_BYTES[familyOf(addresses)] as number); // the table has all families
  if ("sourcePath" in addresses) {
    addresses.sourcePath.copy(block);
    addresses.destinationPath.copy(block, UNIX_PATH_BYTES);
    return block;
  }
  const { source, destination } = addresses;
  const size = source.bytes.length;
  block.set(source.bytes);
  block.set(destination.bytes, size);
  block.writeUInt16BE(source.port, 2 * size);
  block.writeUInt16BE(destination.port, 2 * size + 2);
  return block;
}

function addressesOf(source: string, destination: string): Addresses {
  const from = addressOf(source);
  const to = addressOf(destination);
  if (isUnixAddress(from) && isUnixAddress(to)) {
    return { sourcePath: Buffer.from(from.path), destinationPath: Buffer.from(to.path) };
  }
  if (isUnixAddress(from) || isUnixAddress(to)) {
    throw invalid(`${source} and ${destination} are not of one kind: both have to be IP addresses, or both paths`);
  }
  const [fromBytes, toBytes] = [ipBytes(from.host), ipBytes(to.host)];
  const six = fromBytes.length === 16 || toBytes.length === 16;
  return {
    source: { bytes: six ? asIpv6(fromBytes) : fromBytes, port: from.port },
    destination: { bytes: six ? asIpv6(toBytes) : toBytes, port: to.port },
  };
}

/** The end of a Unix socket that was not bound has no path. */
function addressOf(text: string): SocketAddress {
  return text === "unix:" ? { path: "" } : parseSocketAddress(text, { allowPortZero: true });
}

function ipBytes(host: string): Uint8Array {
  const bytes = bytesOfIpAddress(host);
  if (bytes === undefined) throw invalid(`${host} is not an IP address; a header of the PROXY protocol takes no names`);
  return mappedIpv4(bytes) ?? bytes;
}

function asIpv6(bytes: Uint8Array): Uint8Array {
  if (bytes.length === 16) return bytes;
  return Buffer.concat([Buffer.alloc(10), Buffer.from([0xff, 0xff]), bytes]);
}

function invalid(message: string): CirqueError {
  return new CirqueError("InvalidArgument", message);
}
