import { closeSync, openSync, readlinkSync, readSync } from "node:fs";
import { SocketAddress } from "node:net";
import { endianness } from "node:os";
import type { SocketKind } from "../../threads/listening-sockets.ts";

/** What the system says about a socket that this process has open. */
export interface DescriptorAddress {
  readonly kind: SocketKind;
  /**
   * `1.2.3.4:80`, `[::1]:80`, `unix:/run/x.sock`; an abstract Unix socket is `unix:@name`, an unnamed one `unix:`. A Unix
   * socket keeps the path that it was bound to when its file is renamed.
   */
  readonly boundAddress: string;
  /**
   * Whether it accepts connections, or, for UDP, takes datagrams from everybody. False for an accepted or connected
   * socket, and for a Unix socket of datagrams.
   */
  readonly listening: boolean;
}

/**
 * The address that a descriptor is bound to. It is read from `/proc`, since asking Node would mean taking the descriptor
 * over.
 *
 * @returns Undefined when the descriptor is closed or no TCP, UDP or Unix socket, when a TCP socket is bound but does not
 * listen, when the socket belongs to another network namespace, and on systems without `/proc`.
 */
export function addressOfDescriptor(descriptor: number): DescriptorAddress | undefined {
  return addressesOfDescriptors([descriptor]).get(descriptor);
}

/** {@link addressOfDescriptor} for several, which reads the tables of the system once. */
export function addressesOfDescriptors(descriptors: Iterable<number>): ReadonlyMap<number, DescriptorAddress> {
  const wanted = new Map<string, number[]>();
  for (const descriptor of descriptors) {
    const inode = socketInode(descriptor);
    if (inode === undefined) continue;
    wanted.set(inode, [...(wanted.get(inode) ?? []), descriptor]);
  }
  const found = new Map<number, DescriptorAddress>();
  for (const [table, parse] of tables) {
    if (wanted.size === 0) break;
    for (const row of rowsOf(table)) {
      const entry = parse(row);
      const owners = entry && wanted.get(entry.inode);
      if (!owners) continue;
      for (const descriptor of owners) found.set(descriptor, Object.freeze(entry.address));
      wanted.delete(entry.inode);
      // Sockets that listen come first, so this spares the rows of all connections.
      if (wanted.size === 0) break;
    }
  }
  return found;
}

interface TableEntry {
  readonly inode: string;
  readonly address: DescriptorAddress;
}

/** States of `/proc/net/tcp` and `/proc/net/udp`, in hexadecimal. */
const tcpListens = "0A";
const udpIsUnconnected = "07";

const tables: readonly (readonly [string, (row: string) => TableEntry | undefined])[] = [
  ["unix", parseUnixRow],
  ["tcp", (row) => parseInternetRow(row, "tcp", tcpListens)],
  ["tcp6", (row) => parseInternetRow(row, "tcp", tcpListens)],
  ["udp", (row) => parseInternetRow(row, "udp", udpIsUnconnected)],
  ["udp6", (row) => parseInternetRow(row, "udp", udpIsUnconnected)],
];

function socketInode(descriptor: number): string | undefined {
  try {
    return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${descriptor}`))?.[1];
  } catch {
    return undefined;
  }
}

/** The rows of a table, read in pieces: a busy machine has hundreds of thousands of them. */
function* rowsOf(table: string): Generator<string> {
  let file: number;
  try {
    file = openSync(`/proc/self/net/${table}`, "r");
  } catch {
    // A kernel without IPv6, or no Linux at all.
    return;
  }
  try {
    const chunk = Buffer.allocUnsafe(64 * 1024);
    let rest = "";
    for (;;) {
      const length = readSync(file, chunk, 0, chunk.length, null);
      if (length === 0) return;
      // Bytes of a path that are no ASCII survive being cut in two this way.
      const rows = (rest + chunk.toString("latin1", 0, length)).split("\n");
      rest = rows.pop() ?? "";
      yield* rows;
    }
  } finally {
    closeSync(file);
  }
}

/** `sl local_address rem_address st tx_queue:rx_queue tr:when retransmits uid timeout inode ...` */
function parseInternetRow(row: string, kind: "tcp" | "udp", listeningState: string): TableEntry | undefined {
  const [, local = "", , state, , , , , , inode] = row.trim().split(/\s+/);
  const [address = "", port = ""] = local.split(":");
  if (inode === undefined || !/^(?:[0-9A-F]{8}|[0-9A-F]{32})$/.test(address)) return undefined;
  const boundAddress = `${formatHost(address)}:${Number.parseInt(port, 16)}`;
  return { inode, address: { kind, boundAddress, listening: state === listeningState } };
}

/** The kernel prints an address as 32-bit numbers in the byte order of the machine. */
function formatHost(hexadecimal: string): string {
  const bytes = Buffer.from(hexadecimal, "hex");
  if (endianness() === "LE") bytes.swap32();
  if (bytes.length === 4) return bytes.join(".");
  const groups = Array.from({ length: 8 }, (_, group) => bytes.readUInt16BE(group * 2).toString(16));
  return `[${new SocketAddress({ address: groups.join(":"), family: "ipv6" }).address}]`;
}

/** `Num: RefCount Protocol Flags Type St Inode Path`, where a path may hold spaces, or be missing. */
const unixRow =
  /^\s*[0-9a-f]+: [0-9A-F]+ [0-9A-F]+ (?<flags>[0-9A-F]+) [0-9A-F]+ [0-9A-F]+ +(?<inode>\d+)(?: (?<path>.*))?$/i;

/** `__SO_ACCEPTCON` of the kernel. */
const acceptsConnections = 0x1_00_00;

function parseUnixRow(row: string): TableEntry | undefined {
  const { flags, inode, path = "" } = unixRow.exec(row)?.groups ?? {};
  if (flags === undefined || inode === undefined) return undefined;
  const listening = (Number.parseInt(flags, 16) & acceptsConnections) !== 0;
  const boundAddress = `unix:${Buffer.from(path, "latin1").toString("utf8")}`;
  return { inode, address: { kind: "unix", boundAddress, listening } };
}
