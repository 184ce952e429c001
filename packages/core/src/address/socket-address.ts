import { isIPv4, isIPv6 } from "node:net";
import { CirqueError } from "../errors/cirque-error.ts";

/** A host (an IPv4 address, an IPv6 address without brackets, or a name) and a port. */
export interface TcpAddress {
  readonly host: string;
  readonly port: number;
}

/** A Unix domain socket. */
export interface UnixAddress {
  readonly path: string;
}

export type SocketAddress = TcpAddress | UnixAddress;

export interface ParseSocketAddressOptions {
  /** Whether port 0 (the system picks a free one) is accepted: for listeners. Default: `false`. */
  readonly allowPortZero?: boolean;
}

/**
 * Reads `1.2.3.4:80`, `[::1]:80`, `localhost:80`, `unix:/run/x.sock` or `/run/x.sock`.
 *
 * @throws CirqueError `InvalidArgument` when the text is none of these.
 */
export function parseSocketAddress(text: string, options: ParseSocketAddressOptions = {}): SocketAddress {
  if (typeof text !== "string") throw invalid(String(text), "it is not a text");
  if (text.startsWith("unix:")) return parsePath(text, text.slice("unix:".length));
  if (text.startsWith("/")) return parsePath(text, text);
  return parseTcpAddress(text, options.allowPortZero ?? false);
}

/** The text that {@link parseSocketAddress} reads: `1.2.3.4:80`, `[::1]:80`, `unix:/run/x.sock`. */
export function formatSocketAddress(address: SocketAddress): string {
  if ("path" in address) return `unix:${address.path}`;
  return address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/** The text for one end of a socket, as Node gives it: `1.2.3.4:80`, `[::1]:80`; `unix:` when it has no address. */
export function formatSocketEnd(address: string | undefined, port: number | undefined): string {
  if (address === undefined) return "unix:";
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/** Whether the address is a Unix domain socket. */
export function isUnixAddress(address: SocketAddress): address is UnixAddress {
  return "path" in address;
}

/** `sun_path` has room for 108 bytes, the closing NUL included; a longer path would be cut or refused. */
const longestPathBytes = 107;

function parsePath(text: string, path: string): UnixAddress {
  if (path === "") throw invalid(text, "the path is empty");
  if (path.includes("\0")) throw invalid(text, "the path contains a NUL character");
  const bytes = Buffer.byteLength(path);
  if (bytes > longestPathBytes) {
    throw invalid(text, `the path has ${bytes} bytes, a Unix socket takes at most ${longestPathBytes}`);
  }
  return Object.freeze({ path });
}

function parseTcpAddress(text: string, allowPortZero: boolean): TcpAddress {
  const colon = text.lastIndexOf(":");
  if (colon === -1) throw invalid(text, "the port is missing");
  const port = parsePort(text, text.slice(colon + 1), allowPortZero);
  const host = text.slice(0, colon);
  if (host.startsWith("[") && host.endsWith("]")) {
    const inner = host.slice(1, -1);
    if (!isIPv6(inner)) throw invalid(text, `"${inner}" is not an IPv6 address`);
    return Object.freeze({ host: inner, port });
  }
  if (host.includes(":")) throw invalid(text, "an IPv6 address has to stand in brackets");
  if (host === "" || host === "*") {
    throw invalid(text, "the host is missing; for all addresses of this machine write 0.0.0.0 or [::]");
  }
  if (!isIPv4(host) && !isHostName(host)) throw invalid(text, `"${host}" is neither an IPv4 address nor a host name`);
  return Object.freeze({ host, port });
}

function parsePort(text: string, digits: string, allowPortZero: boolean): number {
  const port = /^[0-9]{1,5}$/.test(digits) ? Number(digits) : Number.NaN;
  const lowest = allowPortZero ? 0 : 1;
  if (!(port >= lowest && port <= 65_535)) {
    throw invalid(text, `the port has to be a number from ${lowest} to 65535, and is "${digits}"`);
  }
  return port;
}

function isHostName(host: string): boolean {
  if (host.length > 253) return false;
  const labels = (host.endsWith(".") ? host.slice(0, -1) : host).split(".");
  if (!labels.every((label) => /^(?!-)[A-Za-z0-9_-]{1,63}(?<!-)$/.test(label))) return false;
  // What ends in a number would be an IPv4 address; resolvers read "1.2.3" and "0x7f.1" as one, silently.
  return !/^(?:[0-9]+|0[xX][0-9A-Fa-f]*)$/.test(labels.at(-1) ?? "");
}

function invalid(text: string, reason: string): CirqueError {
  const shown = text.length > 120 ? `${text.slice(0, 120)}...` : text;
  return new CirqueError(
    "InvalidArgument",
    `${JSON.stringify(shown)} is not an address: ${reason}. ` +
      "Expected 127.0.0.1:8080, [::1]:8080, name:8080 or unix:/path/to/socket",
    { context: { address: shown } },
  );
}
