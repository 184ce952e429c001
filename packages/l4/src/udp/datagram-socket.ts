import { createSocket, type Socket, type SocketOptions } from "node:dgram";
import dns from "node:dns";
import { isIP } from "node:net";

/** Settings of a {@link datagramSocket}. */
export type DatagramSocketOptions = Pick<SocketOptions, "ipv6Only" | "reusePort" | "recvBufferSize" | "sendBufferSize">;

/** A UDP socket that spends no turn of the event loop on "resolving" an address that is one. */
export function datagramSocket(family: 4 | 6, options: DatagramSocketOptions = {}): Socket {
  return createSocket({ ...options, type: family === 6 ? "udp6" : "udp4", lookup: lookUpNamesOnly });
}

/**
 * Makes a socket receive nothing more, while it still sends. What arrives from here on stays in the system's queue, for
 * whoever else has the socket: the next process, in an upgrade. Node documents no way to do this; where the way taken here
 * is closed, it returns false.
 */
export function stopReceiving(socket: Socket): boolean {
  const handle = handleOf(socket);
  if (handle?.recvStop === undefined) return false;
  handle.recvStop();
  return true;
}

/** The descriptor of a bound socket: what the next process inherits. Not documented by Node either. */
export function descriptorOf(socket: Socket): number | undefined {
  const descriptor = handleOf(socket)?.fd;
  return descriptor !== undefined && descriptor >= 0 ? descriptor : undefined;
}

interface Handle {
  readonly fd?: number;
  recvStop?(): void;
}

function handleOf(socket: Socket): Handle | undefined {
  const symbol = Object.getOwnPropertySymbols(socket).find(({ description }) => description === "state symbol");
  if (symbol === undefined) return undefined;
  const { handle } = (socket as unknown as Record<symbol, { readonly handle?: Handle | null }>)[symbol] ?? {};
  return handle ?? undefined;
}

/** Node would take the detour of a look-up, and of a tick, for each datagram. */
const lookUpNamesOnly = ((
  name: string,
  family: number,
  callback: (error: Error | null, address: string, family: number) => void,
) => {
  if (isIP(name) !== 0) callback(null, name, family);
  else dns.lookup(name, family, callback);
}) as NonNullable<SocketOptions["lookup"]>;
