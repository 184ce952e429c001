import { isIPv4, isIPv6 } from "node:net";
import { bytesOfIpAddress, textOfIpAddress } from "../address/ip-address.ts";
import { formatSocketAddress } from "../address/socket-address.ts";
import { MalformedProxyHeader } from "./malformed-proxy-header.ts";
import type { ProxyHeader } from "./proxy-header.ts";

/**
 * Reads a header of version 1, its end included (section 2.1 of the specification).
 * @throws MalformedProxyHeader
 */
export function parseLine(bytes: Buffer): ProxyHeader {
  const line = bytes.toString("latin1", 0, bytes.length - 2);
  // Whatever follows is to be ignored.
  if (line === "PROXY UNKNOWN" || line.startsWith("PROXY UNKNOWN ")) return header("unspecified", undefined, undefined);
  const parts = line.split(" ");
  const [, family, source = "", destination = "", sourcePort = "", destinationPort = ""] = parts;
  if (parts.length !== 6 || (family !== "TCP4" && family !== "TCP6")) {
    throw new MalformedProxyHeader("bad-line", "the line is not `PROXY TCP4|TCP6 source destination port port`");
  }
  const isAddress = family === "TCP4" ? isIPv4 : isIPv6;
  return header("stream", addressOf(source, sourcePort, isAddress), addressOf(destination, destinationPort, isAddress));
}

function header(
  transport: ProxyHeader["transport"],
  source: string | undefined,
  destination: string | undefined,
): ProxyHeader {
  return { version: 1, command: "proxy", transport, source, destination };
}

function addressOf(host: string, port: string, isAddress: (text: string) => boolean): string {
  // The zone that isIPv6 lets through means nothing on another machine.
  const bytes = isAddress(host) && !host.includes("%") ? bytesOfIpAddress(host) : undefined;
  if (bytes === undefined || !/^(?:0|[1-9][0-9]{0,4})$/.test(port) || Number(port) > 65_535) {
    throw new MalformedProxyHeader(
      "bad-address",
      "an address or a port is none, or not of the family that the line says",
    );
  }
  return formatSocketAddress({ host: textOfIpAddress(bytes), port: Number(port) });
}
