import { isIPv4, isIPv6 } from "node:net";

/** The 4 or 16 bytes of an IP address; undefined when the text is none. The zone of an IPv6 address is left out. */
export function bytesOfIpAddress(text: string): Buffer | undefined {
  if (isIPv4(text)) return Buffer.from(text.split(".").map(Number));
  if (!isIPv6(text)) return undefined;
  const [head = "", tail] = (text.split("%")[0] as string).split("::"); // split always gives one part at least
  const left = groupsOf(head);
  const right = tail === undefined ? [] : groupsOf(tail);
  const bytes = Buffer.alloc(16);
  left.forEach((group, index) => {
    bytes.writeUInt16BE(group, index * 2);
  });
  right.forEach((group, index) => {
    bytes.writeUInt16BE(group, 16 - (right.length - index) * 2);
  });
  return bytes;
}

/** The text of an IP address of 4 or 16 bytes, in the form of RFC 5952. */
export function textOfIpAddress(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  const ipv4 = mappedIpv4(bytes);
  if (ipv4 !== undefined) return `::ffff:${ipv4.join(".")}`;
  const groups = Array.from({ length: 8 }, (_, index) => groupAt(bytes, index).toString(16));
  const { start, length } = longestZeros(groups);
  if (length < 2) return groups.join(":");
  return `${groups.slice(0, start).join(":")}::${groups.slice(start + length).join(":")}`;
}

/** The 4 bytes inside an IPv6 address that stands for one of IPv4, `::ffff:192.0.2.1`; undefined for any other. */
export function mappedIpv4(bytes: Uint8Array): Uint8Array | undefined {
  if (bytes.length !== 16) return undefined;
  for (let index = 0; index < 12; index++) if (bytes[index] !== (index < 10 ? 0 : 0xff)) return undefined;
  return bytes.subarray(12);
}

function groupsOf(part: string): number[] {
  if (part === "") return [];
  const texts = part.split(":");
  const last = texts.at(-1) as string; // likewise
  if (!last.includes(".")) return texts.map((text) => Number.parseInt(text, 16));
  const [a, b, c, d] = last.split(".").map(Number) as [number, number, number, number]; // isIPv6 has seen to it
  return [...texts.slice(0, -1).map((text) => Number.parseInt(text, 16)), a * 256 + b, c * 256 + d];
}

function groupAt(bytes: Uint8Array, index: number): number {
  return (bytes[index * 2] as number) * 256 + (bytes[index * 2 + 1] as number); // there are 16
}

function longestZeros(groups: readonly string[]): { start: number; length: number } {
  let longest = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start++) {
    let length = 0;
    while (groups[start + length] === "0") length++;
    if (length > longest.length) longest = { start, length };
  }
  return longest;
}
