import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeProxyHeader, type ProxyHeaderToSend } from "./encode-proxy-header.ts";
import { MalformedProxyHeader } from "./malformed-proxy-header.ts";
import type { ProxyHeader } from "./proxy-header.ts";
import { MAX_PROXY_HEADER_BYTES, ProxyHeaderParser } from "./proxy-header-parser.ts";

const signature = "\r\n\r\n\0\r\nQUIT\n";
const tcp4 = "\x21\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x02\0\x01\0\x02";

describe("ProxyHeaderParser", () => {
  it.each<[string, Partial<ProxyHeader>]>([
    [
      "PROXY TCP4 192.0.2.1 192.0.2.2 0 65535\r\n",
      { version: 1, transport: "stream", source: "192.0.2.1:0", destination: "192.0.2.2:65535" },
    ],
    [
      "PROXY TCP6 2001:DB8:0:0::1 ::ffff:1.2.3.4 1 2\r\n",
      { source: "[2001:db8::1]:1", destination: "[::ffff:1.2.3.4]:2" },
    ],
    ["PROXY UNKNOWN\r\n", { version: 1, command: "proxy", transport: "unspecified", source: undefined }],
    [`PROXY UNKNOWN ${"f".repeat(91)}\r\n`, { transport: "unspecified", destination: undefined }],
    [
      signature + tcp4,
      { version: 2, command: "proxy", transport: "stream", source: "192.0.2.1:1", destination: "192.0.2.2:2" },
    ],
    [`${signature}\x20\0\0\0`, { command: "local", transport: "unspecified", source: undefined }],
    [`${signature}\x20\xff\0\x02xx`, { command: "local", transport: "unspecified" }],
    [`${signature}\x21\0\0\x03\xff\xff\xff`, { command: "proxy", transport: "unspecified" }],
    // Padding, a namespace, and a record of an application.
    [
      `${signature}\x21\x11\0\x1c${tcp4.slice(4)}\x04\0\x02xx\x30\0\x01n\xea\0\x04vpce`,
      { tlvs: [{ type: 0xea, value: Buffer.from("vpce") }] },
    ],
  ])("reads %j", (bytes, expected) => {
    expect(parse(bytes).header).toMatchObject(expected);
  });

  it.each(["GET / HTTP/1.1\r\n", "PUT", "\x16\x03\x01", "PROXX", "proxy TCP4", "\r\n\r\nX", " PROXY", "\0"])(
    "finds no header in %j, and keeps what came",
    (bytes) => {
      const parser = parse(bytes);
      expect([parser.absent, parser.header, parser.surplus.toString("latin1")]).toEqual([true, undefined, bytes]);
    },
  );

  it.each([
    "",
    "P",
    "PROXY TCP4 192.0.2.1",
    "\r\n",
    signature,
    `${signature}\x21\x11\0`,
    (signature + tcp4).slice(0, -1),
  ])("waits for more after %j", (bytes) => {
    const parser = parse(bytes);
    expect([parser.absent, parser.header]).toEqual([false, undefined]);
  });

  it.each([
    ["bad-line", "PROXY TCP4\r\n"],
    ["bad-line", "PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n"],
    ["bad-line", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n"],
    ["bad-line", "PROXY TCP4\t192.0.2.1 192.0.2.2 1 2\r\n"],
    ["bad-line", "PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n"],
    ["bad-line", "PROXY UNKNOWNX\r\n"],
    ["bad-line", "PROXY tcp4 192.0.2.1 192.0.2.2 1 2\r\n"],
    ["bad-address", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n\r\n"],
    ["bad-address", "PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n"],
    ["bad-address", "PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n"],
    ["bad-address", "PROXY TCP4 192.0.2.1 192.0.2.2 -1 2\r\n"],
    ["bad-address", "PROXY TCP4 192.0.2.1 192.0.2.2 0x1 2\r\n"],
    ["bad-address", "PROXY TCP4 192.0.2.1 192.0.2.2  \r\n"],
    ["bad-address", "PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n"],
    ["bad-address", "PROXY TCP4 ::1 ::1 1 2\r\n"],
    ["bad-address", "PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n"],
    ["bad-address", "PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n"],
    ["bad-address", "PROXY TCP4 a.example 192.0.2.2 1 2\r\n"],
    ["too-long", `PROXY UNKNOWN ${"f".repeat(92)}\r\n`],
    ["too-long", `PROXY ${"f".repeat(200)}`],
    ["bad-version", `${signature}\x11\x11\0\0`],
    ["bad-version", `${signature}\x31\x11\0\0`],
    ["bad-command", `${signature}\x22\x11\0\0`],
    ["bad-family", `${signature}\x21\x10\0\0`],
    ["bad-family", `${signature}\x21\x13\0\x0c${tcp4.slice(4)}`],
    ["bad-family", `${signature}\x21\x41\0\x0c${tcp4.slice(4)}`],
    ["bad-family", `${signature}\x21\x01\0\0`],
    ["bad-address", `${signature}\x21\x11\0\x0b${tcp4.slice(4, -1)}`],
    ["bad-address", `${signature}\x21\x21\0\x0c${tcp4.slice(4)}`],
    ["bad-address", `${signature}\x21\x31\0\xd8${"\n".padEnd(216, "\0")}`],
    ["too-long", `${signature}\x21\x11\x0f\xf1`],
    ["bad-record", record("\x02")],
    ["bad-record", record("\x02\0")],
    ["bad-record", record("\x02\0\x02a")],
    ["bad-record", record("\x02\0\x01a\x02\0\x01a")],
    ["bad-record", record("\x02\0\x01\n")],
    ["bad-record", record("\x01\0\x01\xff")],
    ["bad-record", record(`\x05\0\x81${"i".repeat(129)}`)],
    ["bad-record", record("\x20\0\x04\0\0\0\0")],
    ["bad-record", record("\x20\0\x07\x01\0\0\0\0\x21\0")],
    ["bad-record", record("\x03\0\x03\0\0\0")],
    ["bad-checksum", record("\x03\0\x04\0\0\0\0")],
  ])("refuses, for %s, %j", (reason, bytes) => {
    expect(() => parse(bytes)).toThrow(expect.objectContaining({ reason }));
  });

  it("reads all that can be written", () => {
    fc.assert(
      fc.property(headers, surpluses, (sent, surplus) => {
        const bytes = Buffer.concat([encodeProxyHeader(sent), surplus]);
        const parser = new ProxyHeaderParser();
        parser.push(bytes);
        expect(parser.surplus).toEqual(surplus);
        const again = encodeProxyHeader({ ...sent, ...known(parser.header) });
        expect(Buffer.concat([again, surplus])).toEqual(bytes);
      }),
    );
  });

  it("reads the same however the bytes are split", () => {
    fc.assert(
      fc.property(headers, surpluses, fc.array(fc.nat(300), { maxLength: 8 }), (sent, surplus, cuts) => {
        const bytes = Buffer.concat([encodeProxyHeader(sent), surplus]);
        const whole = new ProxyHeaderParser();
        whole.push(bytes);
        for (const points of [[...bytes.keys()], ...[...bytes.keys()].map((point) => [point]), cuts]) {
          const { header, surplus: left } = pushPieces(bytes, points);
          expect(header).toEqual(whole.header);
          expect(left).toEqual(surplus);
        }
      }),
      { numRuns: 30 },
    );
  });

  it("notices any damaged bit where there is a checksum, but for those that say so", () => {
    const bytes = encodeProxyHeader({
      source: "192.0.2.1:1",
      destination: "192.0.2.2:2",
      authority: "a.example",
      checksum: true,
    });
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      if (bit >> 3 === bytes.length - 7) continue;
      const damaged = Buffer.from(bytes);
      damaged[bit >> 3] = Number(damaged[bit >> 3]) ^ (1 << (bit & 7));
      // Damage to signature or length makes of it no header, or one that goes on; to the command, one without addresses.
      const parser = new ProxyHeaderParser();
      try {
        parser.push(damaged);
        expect(parser.header?.source, `bit ${bit}`).toBeUndefined();
      } catch (error) {
        expect(error).toBeInstanceOf(MalformedProxyHeader);
      }
    }
  });

  it("throws nothing else, and never keeps more than it may, whatever comes", () => {
    const starts = fc.constantFrom(
      "",
      "PROXY ",
      "PROXY TCP4 ",
      signature,
      `${signature}\x21\x11\0\x20`,
      `${signature}\x21\x21`,
    );
    fc.assert(
      fc.property(starts, fc.uint8Array({ maxLength: 300 }), (start, rest) => {
        const bytes = Buffer.concat([Buffer.from(start, "latin1"), rest]);
        const parser = new ProxyHeaderParser();
        try {
          for (let offset = 0; offset < bytes.length && parser.header === undefined && !parser.absent; offset++) {
            parser.push(bytes.subarray(offset, offset + 1));
            expect(parser.surplus.length).toBeLessThanOrEqual(MAX_PROXY_HEADER_BYTES);
          }
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedProxyHeader);
        }
      }),
      { numRuns: 300 },
    );
  });
});

function parse(bytes: string): ProxyHeaderParser {
  const parser = new ProxyHeaderParser();
  parser.push(Buffer.from(bytes, "latin1"));
  return parser;
}

/** A header for TCP over IPv4 with these records. */
function record(records: string): string {
  const length = String.fromCharCode(12 + records.length);
  return `${signature}\x21\x11\0${length}${tcp4.slice(4)}${records}`;
}

/** Cuts the bytes at the points, and pushes pieces until there is a header; the rest comes behind its surplus. */
function pushPieces(bytes: Buffer, points: readonly number[]): { header: ProxyHeader | undefined; surplus: Buffer } {
  const parser = new ProxyHeaderParser();
  const ends = [...points.filter((point) => point < bytes.length).sort((a, b) => a - b), bytes.length];
  let offset = 0;
  for (const end of ends) {
    if (parser.header !== undefined) break;
    parser.push(bytes.subarray(offset, end));
    offset = end;
  }
  return { header: parser.header, surplus: Buffer.concat([parser.surplus, bytes.subarray(offset)]) };
}

/** What the header says, without what is not said because it is not known. */
function known(header: ProxyHeader | undefined): Partial<ProxyHeaderToSend> {
  if (header === undefined) throw new Error("there is no header");
  const { transport, ...rest } = header;
  return transport === "unspecified" ? rest : { ...rest, transport };
}

const ports = fc.integer({ min: 0, max: 65_535 });
const addressPairs = fc.oneof(
  fc.record({
    source: fc.tuple(fc.ipV4(), ports).map(([host, port]) => `${host}:${port}`),
    destination: fc.tuple(fc.oneof(fc.ipV4(), fc.ipV6()), ports).map(joined),
  }),
  fc.record({
    source: fc.tuple(fc.ipV6(), ports).map(joined),
    destination: fc.tuple(fc.ipV6(), ports).map(joined),
  }),
  fc.constant({ source: undefined, destination: undefined }),
);
const texts = fc
  .string({ unit: "grapheme", maxLength: 10 })
  .map((text) => text.normalize())
  .filter((text) => text.isWellFormed() && !/\p{Cc}|\ufffd/u.test(text));
const bytes = (maxLength: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ maxLength }).map((array) => Buffer.from(array));
const surpluses = bytes(40);
const headers: fc.Arbitrary<ProxyHeaderToSend> = fc.oneof(
  addressPairs.map((pair) => ({ version: 1 as const, ...pair })),
  fc
    .tuple(
      addressPairs.filter(({ source }) => source !== undefined),
      fc.record(
        {
          transport: fc.constantFrom("stream" as const, "datagram" as const),
          authority: texts,
          alpn: texts,
          uniqueId: bytes(128),
          checksum: fc.boolean(),
          ssl: fc.record(
            {
              tls: fc.boolean(),
              certificateOnConnection: fc.boolean(),
              certificateInSession: fc.boolean(),
              verified: fc.boolean(),
              version: texts,
              commonName: texts,
              cipher: texts,
              signatureAlgorithm: texts,
              keyAlgorithm: texts,
            },
            { requiredKeys: ["tls", "certificateOnConnection", "certificateInSession", "verified"] },
          ),
          tlvs: fc.array(fc.record({ type: fc.integer({ min: 0xe0, max: 0xff }), value: bytes(20) }), {
            minLength: 1,
            maxLength: 3,
          }),
        },
        { requiredKeys: [] },
      ),
    )
    .map(([pair, fields]) => ({ ...pair, ...fields })),
);

function joined([host, port]: [string, number]): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
