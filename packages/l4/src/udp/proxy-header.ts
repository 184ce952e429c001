import { isIP } from "node:net";
import { parseSocketAddress, type TcpAddress } from "@cirque/core";

/**
 * The header of the PROXY protocol, version 2, for datagrams from one address to another (section 2.2 of its
 * specification: transport `DGRAM`). Each datagram gets it in front, since each may be the only one to arrive.
 */
export function datagramProxyHeader(clientAddress: string, localAddress: string): Buffer {
  const [source, destination] = [hostAndPort(clientAddress), hostAndPort(localAddress)];
  const six = isIP(source.host) === 6 || isIP(destination.host) === 6;
  const addressBytes = six ? 16 : 4;
  const header = Buffer.alloc(SIGNATURE.length + 4 + 2 * addressBytes + 4);
  SIGNATURE.copy(header);
  let offset = SIGNATURE.length;
  offset = header.writeUInt8(VERSION_2_PROXY, offset);
  offset = header.writeUInt8((six ? FAMILY_INET6 : FAMILY_INET) | TRANSPORT_DGRAM, offset);
  offset = header.writeUInt16BE(2 * addressBytes + 4, offset);
  offset += bytesOf(source.host, six).copy(header, offset);
  offset += bytesOf(destination.host, six).copy(header, offset);
  offset = header.writeUInt16BE(source.port, offset);
  header.writeUInt16BE(destination.port, offset);
  return header;
}

const SIGNATURE = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");
const VERSION_2_PROXY = 0x21;
const FAMILY_INET = 0x10;
const FAMILY_INET6 = 0x20;
const TRANSPORT_DGRAM = 0x02;

function hostAndPort(address: string): TcpAddress {
  return parseSocketAddress(address) as TcpAddress; // addresses of UDP sockets have a host and a port
}

function bytesOf(host: string, six: boolean): Buffer {
  if (isIP(host) === 4) {
    const four = Buffer.from(host.split(".").map(Number));
    return six ? Buffer.concat([Buffer.alloc(10), Buffer.from([0xff, 0xff]), four]) : four;
  }
  return ipv6Bytes(host);
}

function ipv6Bytes(text: string): Buffer {
  const [withoutZone = ""] = text.split("%");
  // The URL parser writes an IPv6 address in hexadecimal groups only, also where it ends like an IPv4 address.
  const canonical = new URL(`http://[${withoutZone}]`).hostname.slice(1, -1);
  const [head = "", tail] = canonical.split("::");
  const groups = (part: string | undefined): number[] =>
    part === undefined || part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16));
  const [left, right] = [groups(head), groups(tail)];
  const all = [...left, ...Array<number>(8 - left.length - right.length).fill(0), ...right];
  const bytes = Buffer.alloc(16);
  for (const [index, group] of all.entries()) bytes.writeUInt16BE(group, index * 2);
  return bytes;
}
