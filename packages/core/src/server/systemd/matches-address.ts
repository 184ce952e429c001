import { isIPv4, isIPv6, SocketAddress as NodeSocketAddress } from "node:net";
import { posix } from "node:path";
import { isUnixAddress, parseSocketAddress, type SocketAddress } from "../../address/socket-address.ts";
import type { SocketKind } from "../../threads/listening-sockets.ts";

/**
 * Whether a socket that is bound to `bound` is one for the configured address, however the two are spelled:
 * `[0:0:0:0:0:0:0:0]:80` is `[::]:80`, `[::ffff:1.2.3.4]:80` is `1.2.3.4:80`, and `localhost` both `127.0.0.1` and `::1`.
 * Other names match nothing, as they would have to be looked up; nor does port 0, which asks for a new port.
 */
export function matchesAddress(configured: string, bound: string): boolean {
  const wanted = tryParse(configured);
  const given = tryParse(bound);
  if (!wanted || !given) return false;
  if (isUnixAddress(wanted) || isUnixAddress(given)) {
    return isUnixAddress(wanted) && isUnixAddress(given) && samePath(wanted.path, given.path);
  }
  if (wanted.port === 0 || wanted.port !== given.port) return false;
  const hosts = wanted.host.toLowerCase() === "localhost" ? ["127.0.0.1", "::1"] : [canonicalHost(wanted.host)];
  return hosts.includes(canonicalHost(given.host));
}

/**
 * The sockets for a configured address: several when they share it (`ReusePort=yes`), none when it has to be bound.
 *
 * When there is none for `0.0.0.0`, one for `[::]` with the same port is taken: `ListenStream=80` of systemd makes such a
 * socket, and it receives IPv4 as well.
 */
export function socketsForAddress<T extends { readonly kind: SocketKind; readonly boundAddress: string }>(
  sockets: readonly T[],
  kind: SocketKind,
  configured: string,
): T[] {
  const matching = (address: string): T[] =>
    sockets.filter((socket) => socket.kind === kind && matchesAddress(address, socket.boundAddress));
  const exact = matching(configured);
  const wanted = tryParse(configured);
  if (exact.length > 0 || !wanted || isUnixAddress(wanted) || canonicalHost(wanted.host) !== "0.0.0.0") return exact;
  return matching(`[::]:${wanted.port}`);
}

function tryParse(address: string): SocketAddress | undefined {
  try {
    return parseSocketAddress(address, { allowPortZero: true });
  } catch {
    return undefined;
  }
}

function samePath(one: string, other: string): boolean {
  return posix.normalize(one) === posix.normalize(other);
}

/** A name stays as it is. The zone of a link-local address goes: the tables of the system do not show it. */
function canonicalHost(host: string): string {
  if (!isIPv6(host)) return host;
  const { address } = new NodeSocketAddress({ address: host.replace(/%.*$/, ""), family: "ipv6" });
  const mapped = address.replace(/^::ffff:/, "");
  return isIPv4(mapped) ? mapped : address;
}
