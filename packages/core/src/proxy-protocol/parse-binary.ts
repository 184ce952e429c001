import { textOfIpAddress } from "../address/ip-address.ts";
import { formatSocketAddress } from "../address/socket-address.ts";
import { MalformedProxyHeader } from "./malformed-proxy-header.ts";
import { parseFields } from "./parse-tlvs.ts";
import type { ProxyHeader } from "./proxy-header.ts";
import {
  ADDRESS_BYTES,
  COMMAND_LOCAL,
  COMMAND_PROXY,
  FAMILY_INET,
  FAMILY_UNIX,
  FAMILY_UNSPECIFIED,
  TRANSPORT_DATAGRAM,
  TRANSPORT_STREAM,
  UNIX_PATH_BYTES,
  V2_FIXED_BYTES,
  VERSION_2,
} from "./wire-format.ts";

/**
 * Reads a whole header of version 2, from its signature to its last record (section 2.2 of the specification).
 * @throws MalformedProxyHeader
 */
export function parseBinary(bytes: Buffer): ProxyHeader {
  const [versionAndCommand = 0, familyAndTransport = 0] = bytes.subarray(12);
  const command = versionAndCommand & 0x0f;
  if ((versionAndCommand & 0xf0) !== VERSION_2) {
    throw new MalformedProxyHeader("bad-version", `the version is ${versionAndCommand >> 4}, and not 2`);
  }
  // The rest of what a proxy says of its own connections, or does not say, is to be skipped.
  if (command === COMMAND_LOCAL) return unspecified("local");
  if (command !== COMMAND_PROXY) throw new MalformedProxyHeader("bad-command", `there is no command ${command}`);
  const family = familyAndTransport & 0xf0;
  const transport = familyAndTransport & 0x0f;
  if (familyAndTransport === FAMILY_UNSPECIFIED) return unspecified("proxy");
  const addressBytes = ADDRESS_BYTES[family];
  if (addressBytes === undefined || (transport !== TRANSPORT_STREAM && transport !== TRANSPORT_DATAGRAM)) {
    throw new MalformedProxyHeader("bad-family", `there is no family and transport ${familyAndTransport}`);
  }
  const addressEnd = V2_FIXED_BYTES + addressBytes;
  if (bytes.length < addressEnd) {
    throw new MalformedProxyHeader("bad-address", "the header is too short for the addresses it says to have");
  }
  const addresses = bytes.subarray(V2_FIXED_BYTES, addressEnd);
  return {
    version: 2,
    command: "proxy",
    transport: transport === TRANSPORT_STREAM ? "stream" : "datagram",
    ...(family === FAMILY_UNIX ? paths(addresses) : ipAddresses(addresses, family === FAMILY_INET ? 4 : 16)),
    ...parseFields(bytes, addressEnd),
  };
}

function unspecified(command: ProxyHeader["command"]): ProxyHeader {
  return { version: 2, command, transport: "unspecified", source: undefined, destination: undefined };
}

function ipAddresses(block: Buffer, size: number): Pick<ProxyHeader, "source" | "destination"> {
  const addressAt = (offset: number, portOffset: number): string => {
    const host = textOfIpAddress(block.subarray(offset, offset + size));
    return formatSocketAddress({ host, port: block.readUInt16BE(portOffset) });
  };
  return { source: addressAt(0, 2 * size), destination: addressAt(size, 2 * size + 2) };
}

function paths(block: Buffer): Pick<ProxyHeader, "source" | "destination"> {
  return { source: pathIn(block.subarray(0, UNIX_PATH_BYTES)), destination: pathIn(block.subarray(UNIX_PATH_BYTES)) };
}

/** Up to the first NUL; the address of a socket without a name is empty. */
function pathIn(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  const path = bytes.toString("utf8", 0, end === -1 ? bytes.length : end);
  if (/\p{Cc}|\ufffd/u.test(path)) throw new MalformedProxyHeader("bad-address", "a path is no text");
  return `unix:${path}`;
}
