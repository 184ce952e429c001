import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** The file descriptors that a process has open. */
export interface Descriptors {
  readonly all: number;
  /** Those that are TCP connections to the port. */
  readonly toPort: number;
}

/** Counts the open descriptors of a process, and those of them that are connections to a port. */
export function readDescriptors(pid: number, port: number): Descriptors {
  const inodes = inodesOfConnections(readFileSync(`/proc/${pid}/net/tcp`, "latin1"), port);
  let all = 0;
  let toPort = 0;
  for (const name of readdirSync(`/proc/${pid}/fd`)) {
    try {
      const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${name}`))?.[1];
      all += 1;
      if (inode !== undefined && inodes.has(inode)) toPort += 1;
    } catch {
      // Closed since the list was made.
    }
  }
  return { all, toPort };
}

/** The inodes of the sockets whose remote port it is, from the contents of /proc/net/tcp. */
export function inodesOfConnections(table: string, port: number): ReadonlySet<string> {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const inodes = new Set<string>();
  for (const line of table.split("\n").slice(1)) {
    // Number, local and remote address, state, queues, timer, retransmits, user, time-out, inode.
    const fields = line.trim().split(/\s+/);
    if (fields[2]?.endsWith(suffix) && fields[9] !== undefined) inodes.add(fields[9]);
  }
  return inodes;
}
