import type { Socket } from "node:net";

/** Something that is held as long as a connection is open. */
export interface Lease {
  release(): void;
}

const LEASE = Symbol("lease");

interface Leasing extends Socket {
  [LEASE]?: Lease | undefined;
}

/** Releases the lease when the socket's connection is closed, also when another socket takes it over. One for each socket. */
export function leaseUntilClosed(socket: Socket, lease: Lease): void {
  (socket as Leasing)[LEASE] = lease;
  socket.once("close", release);
}

/** What is held for the connection of one socket is held for that of the other from here on. */
export function passLease(from: Socket, to: Socket): void {
  const lease = (from as Leasing)[LEASE];
  if (lease === undefined) return;
  (from as Leasing)[LEASE] = undefined;
  from.off("close", release);
  leaseUntilClosed(to, lease);
}

function release(this: Socket): void {
  (this as Leasing)[LEASE]?.release();
}
