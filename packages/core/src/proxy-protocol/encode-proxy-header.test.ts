import { describe, expect, it } from "vitest";
import { crc32c } from "./crc32c.ts";
import { encodeProxyHeader, type ProxyHeaderToSend } from "./encode-proxy-header.ts";

const ssl = { tls: true, certificateOnConnection: true, certificateInSession: true, verified: true };

describe("encodeProxyHeader, version 1", () => {
  it.each<[string, ProxyHeaderToSend]>([
    ["PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n", { source: "192.0.2.1:56324", destination: "198.51.100.2:443" }],
    ["PROXY TCP6 2001:db8::1 ::1 1 2\r\n", { source: "[2001:0db8:0::1]:1", destination: "[::1]:2" }],
    ["PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n", { source: "192.0.2.1:1", destination: "[::1]:2" }],
    ["PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", { source: "[::ffff:192.0.2.1]:1", destination: "[::ffff:c000:202]:2" }],
    ["PROXY UNKNOWN\r\n", {}],
    ["PROXY UNKNOWN\r\n", { source: "unix:", destination: "unix:/run/x.sock" }],
    ["PROXY UNKNOWN\r\n", { command: "local", source: "192.0.2.1:1", destination: "192.0.2.2:2" }],
  ])("writes %j", (line, header) => {
    expect(encodeProxyHeader({ version: 1, ...header }).toString("latin1")).toBe(line);
  });

  it("has no room for more", () => {
    for (const more of [{ authority: "a" }, { checksum: true }, { transport: "datagram" as const }]) {
      expect(() => encodeProxyHeader({ version: 1, ...more })).toThrow("take version 2");
    }
  });
});

describe("encodeProxyHeader, version 2", () => {
  const signature = "0d0a0d0a000d0a515549540a";

  it.each<[string, string, ProxyHeaderToSend]>([
    ["IPv4", "2111000cc0000201c6336402dc0401bb", { source: "192.0.2.1:56324", destination: "198.51.100.2:443" }],
    [
      "IPv6",
      `21210024${"20010db8".padEnd(31, "0")}1${"1".padStart(32, "0")}00010002`,
      { source: "[2001:db8::1]:1", destination: "[::1]:2" },
    ],
    [
      "datagrams",
      "2112000cc0000201c00002020001ffff",
      { source: "192.0.2.1:1", destination: "192.0.2.2:65535", transport: "datagram" },
    ],
    [
      "Unix sockets",
      `213100d8${"2f61".padEnd(216, "0")}${"".padEnd(216, "0")}`,
      { source: "unix:/a", destination: "unix:" },
    ],
    ["connections of its own", "20000000", { command: "local", source: "192.0.2.1:1", destination: "192.0.2.2:2" }],
    ["unknown clients", "21000000", {}],
    ["a host name and a protocol", "2100000b0100026832020003612e62", { alpn: "h2", authority: "a.b" }],
    [
      "an identifier and records of applications",
      "2100000a050001ffea0003010203",
      { uniqueId: Buffer.of(255), tlvs: [{ type: 0xea, value: Buffer.of(1, 2, 3) }] },
    ],
    ["TLS", "2100001120000e0700000000210002763122000163", { ssl: { ...ssl, version: "v1", commonName: "c" } }],
  ])("writes %s", (_what, hexadecimal, header) => {
    expect(encodeProxyHeader(header).toString("hex")).toBe(signature + hexadecimal);
  });

  it("computes the checksum over all of it", () => {
    const bytes = encodeProxyHeader({
      source: "192.0.2.1:1",
      destination: "192.0.2.2:2",
      authority: "a",
      checksum: true,
    });
    const checksum = bytes.readUInt32BE(bytes.length - 4);
    bytes.fill(0, bytes.length - 4);
    expect(checksum).toBe(crc32c(bytes));
    // The check value that catalogues of such sums give.
    expect(crc32c(Buffer.from("123456789"))).toBe(0xe3069283);
  });

  it.each<[string, ProxyHeaderToSend]>([
    ["a.example is not an IP address", { source: "a.example:1", destination: "192.0.2.2:2" }],
    ["is not an address", { source: "192.0.2.1", destination: "192.0.2.2:2" }],
    ["are not of one kind", { source: "192.0.2.1:1", destination: "unix:/a" }],
    ["uniqueId has 129 bytes", { uniqueId: Buffer.alloc(129) }],
    ["a record of type 2 has 65536 bytes", { authority: "a".repeat(65_536) }],
    ["the fields have 70006 bytes", { authority: "a".repeat(35_000), alpn: "a".repeat(35_000) }],
    ["256 is not the type of a record", { tlvs: [{ type: 256, value: Buffer.alloc(0) }] }],
    ["the checksum is computed", { tlvs: [{ type: 3, value: Buffer.alloc(4) }] }],
  ])("refuses what does not fit: %s", (message, header) => {
    expect(() => encodeProxyHeader(header)).toThrow(expect.objectContaining({ code: "InvalidArgument" }));
    expect(() => encodeProxyHeader(header)).toThrow(message);
  });
});
