import { BlockList, isIP } from "node:net";
import { CirqueError } from "@cirque/core";

/** Addresses and networks of IP, to look others up in: `["10.0.0.0/8", "2001:db8::1"]`. */
export class AddressList {
  readonly #list = new BlockList();

  /** @throws CirqueError `InvalidArgument` for what is neither an address nor a network. */
  constructor(entries: readonly string[]) {
    for (const entry of entries) {
      const [address = "", prefix, ...rest] = entry.split("/");
      const family = isIP(address) === 6 ? "ipv6" : "ipv4";
      const longest = family === "ipv6" ? 128 : 32;
      const isPrefix = prefix === undefined || (/^[0-9]{1,3}$/.test(prefix) && Number(prefix) <= longest);
      if (isIP(address) === 0 || !isPrefix || rest.length > 0) {
        throw CirqueError.internal(
          "InvalidArgument",
          `${JSON.stringify(entry)} is neither an IP address nor a network such as 10.0.0.0/8`,
        );
      }
      this.#list.addSubnet(address, prefix === undefined ? longest : Number(prefix), family);
    }
  }

  /** Whether an address is in the list; an IPv4 address in the clothes of IPv6 (`::ffff:10.0.0.1`) is that address. */
  has(address: string): boolean {
    const family = isIP(address);
    return family !== 0 && this.#list.check(address, family === 6 ? "ipv6" : "ipv4");
  }
}

/**
 * The IP address in an address with port: `::1` of `[::1]:80`; undefined where there is none, as of a Unix socket. One of
 * IPv4 that a socket for both kinds shows as `::ffff:192.0.2.1` is that of IPv4; the zone of a local one is left out.
 */
export function ipAddressOf(address: string): string | undefined {
  const bracketed = address.startsWith("[") ? address.slice(1, address.indexOf("]")) : address.replace(/:\d*$/, "");
  const bare = bracketed.replace(/^::ffff:(?=\d+\.)/i, "").replace(/%.*$/, "");
  return isIP(bare) === 0 ? undefined : bare;
}
