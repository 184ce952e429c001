import { bytesOfIpAddress, mappedIpv4 } from "../address/ip-address.ts";

/** The host in an address with port; undefined for a Unix socket. */
export function hostOf(address: string): string | undefined {
  if (address.startsWith("unix:")) return undefined;
  if (address.startsWith("[")) return address.slice(1, address.indexOf("]"));
  return address.slice(0, address.lastIndexOf(":"));
}

/**
 * What stands for one client among the addresses: an IPv4 address, or the network of an IPv6 address. Undefined for
 * Unix sockets.
 */
export function clientKey(address: string, ipv6PrefixLength: number): string | undefined {
  const host = hostOf(address);
  if (host === undefined || !host.includes(":")) return host;
  const bytes = bytesOfIpAddress(host);
  if (bytes === undefined) return host;
  const ipv4 = mappedIpv4(bytes);
  if (ipv4 !== undefined) return ipv4.join(".");
  for (let index = 0; index < 16; index++) {
    const bits = Math.min(8, Math.max(0, ipv6PrefixLength - index * 8));
    bytes[index] = (bytes[index] as number) & (0xff00 >> bits); // there are 16
  }
  return bytes.toString("latin1");
}
