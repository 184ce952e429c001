import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ClientHelloParser, type ClientHelloProgress } from "../src/index.ts";
import {
  alpn,
  clientHelloOfNode,
  handshake,
  helloMessage,
  records,
  serverNames,
  supportedVersions,
  uint16,
} from "./harness/client-hellos.ts";

const ordinary = records(
  helloMessage({
    extensions: [
      serverNames("Shop.Example"),
      alpn(Buffer.from("h2"), Buffer.from("http/1.1")),
      supportedVersions(0x0304),
    ],
  }),
);

describe("what it reads", () => {
  it("the hello of a client of Node", async () => {
    const hello = await clientHelloOfNode({ servername: "backend.test", ALPNProtocols: ["h2", "http/1.1"] });
    expect(parse(hello)).toEqual({
      state: "complete",
      hello: {
        serverName: "backend.test",
        alpnProtocols: ["h2", "http/1.1"],
        versions: ["TLSv1.3", "TLSv1.2"],
        encryptedClientHello: false,
      },
    });
  });

  it("one that asks for no name, and for TLS 1.2 only", async () => {
    const hello = await clientHelloOfNode({ maxVersion: "TLSv1.2" });
    expect(parse(hello)).toMatchObject({
      hello: { serverName: undefined, alpnProtocols: [], versions: ["TLSv1.2"] },
    });
  });

  it("the name in lower case, without the dot of the root", () => {
    expect(parse(ordinary)).toMatchObject({ hello: { serverName: "shop.example" } });
    const rooted = records(helloMessage({ extensions: [serverNames("shop.example.")] }));
    expect(parse(rooted)).toMatchObject({ hello: { serverName: "shop.example" } });
  });

  it("one without extensions, of TLS 1.0", () => {
    expect(parse(records(helloMessage({ legacyVersion: 0x0301 })))).toMatchObject({
      state: "complete",
      hello: { serverName: undefined, versions: ["TLSv1"] },
    });
  });

  it("passes over GREASE (RFC 8701), wherever it stands", () => {
    const hello = helloMessage({
      extensions: [
        [0x2a2a, Buffer.from([0])],
        serverNames("a.example"),
        alpn(Buffer.from([0xaa, 0xaa]), Buffer.from("h2")),
        supportedVersions(0xdada, 0x0304, 0x7f1c),
        [0xfafa, Buffer.alloc(0)],
      ],
    });
    expect(parse(records(hello))).toMatchObject({
      hello: { serverName: "a.example", alpnProtocols: ["h2"], versions: ["TLSv1.3", "0x7f1c"] },
    });
  });

  it("the outer name, and says so, when the true one is encrypted", () => {
    const hello = helloMessage({ extensions: [[0xfe0d, Buffer.alloc(180, 3)], serverNames("front.example")] });
    expect(parse(records(hello))).toMatchObject({
      hello: { serverName: "front.example", encryptedClientHello: true },
    });
  });

  it("one that fills 16 KiB, over many records", () => {
    const padding = 16 * 1024 - helloMessage({ extensions: [[21, Buffer.alloc(0)]] }).length + 4;
    const hello = helloMessage({ extensions: [[21, Buffer.alloc(padding)]] });
    expect(parse(records(hello, 100)).state).toBe("complete");
    const longer = helloMessage({ extensions: [[21, Buffer.alloc(padding + 1)]] });
    expect(parse(records(longer, 100))).toEqual({ state: "malformed", fault: "too-long" });
  });

  it("nothing behind it", () => {
    expect(parse(Buffer.concat([ordinary, Buffer.alloc(100, 0xff)])).state).toBe("complete");
  });
});

describe("what it refuses", () => {
  const message = helloMessage({ extensions: [serverNames("a.example")] });
  const twice = serverNames("a.example");
  it.each([
    ["plain HTTP", Buffer.from("GET / HTTP/1.1\r\n\r\n"), "not-tls"],
    ["an old SSL", Buffer.from([0x80, 0x2e, 1, 3, 1]), "not-tls"],
    ["an alert", Buffer.from([21, 3, 1, 0, 2, 2, 40]), "not-tls"],
    ["a version that is none", Buffer.from([22, 5, 1]), "bad-record"],
    ["an empty record", Buffer.from([22, 3, 1, 0, 0]), "bad-record"],
    ["a record that is too long", Buffer.from([22, 3, 1, 0x40, 1]), "bad-record"],
    [
      "another record in the middle",
      Buffer.concat([records(message.subarray(0, 50)), Buffer.from([23])]),
      "bad-record",
    ],
    ["a ServerHello", records(handshake(2, Buffer.alloc(40))), "not-client-hello"],
    ["an empty message", records(handshake(1, Buffer.alloc(0))), "bad-message"],
    ["a message that is cut", records(handshake(1, message.subarray(4, 60))), "bad-message"],
    [
      "bytes behind the extensions",
      records(handshake(1, Buffer.concat([message.subarray(4), Buffer.alloc(1)]))),
      "bad-message",
    ],
    ["an extension twice", records(helloMessage({ extensions: [twice, twice] })), "bad-message"],
    ["two names", records(helloMessage({ extensions: [serverNames("a.example", "b.example")] })), "bad-message"],
    ["no name in the list", records(helloMessage({ extensions: [serverNames()] })), "bad-message"],
    ["an empty name", records(helloMessage({ extensions: [serverNames("")] })), "bad-message"],
    ["an ALPN list that is empty", records(helloMessage({ extensions: [alpn()] })), "bad-message"],
    [
      "an odd list of versions",
      records(helloMessage({ extensions: [[43, Buffer.from([3, 3, 4, 3])]] })),
      "bad-message",
    ],
    ["a list longer than its extension", records(helloMessage({ extensions: [[0, uint16(9)]] })), "bad-message"],
    ["a name with a NUL", records(helloMessage({ extensions: [serverNames("a.example\0.b")] })), "bad-server-name"],
    ["a name with a space", records(helloMessage({ extensions: [serverNames("a b")] })), "bad-server-name"],
    ["a name with an empty label", records(helloMessage({ extensions: [serverNames("a..b")] })), "bad-server-name"],
  ])("%s", (_what, bytes, fault) => {
    expect(parse(bytes)).toEqual({ state: "malformed", fault });
  });
});

describe("in pieces", () => {
  it("gives the same, wherever it is split", () => {
    const whole = parse(ordinary);
    for (let at = 0; at < ordinary.length; at++) {
      const parser = new ClientHelloParser();
      expect(parser.push(ordinary.subarray(0, at)).state).toBe("more");
      expect(parser.push(ordinary.subarray(at))).toEqual(whole);
    }
  });

  it("gives the same byte by byte, over records of any length", () => {
    const message = helloMessage({ extensions: [serverNames("a.example"), supportedVersions(0x0304)] });
    const whole = parse(records(message));
    for (let fragmentBytes = 1; fragmentBytes < 40; fragmentBytes++) {
      const bytes = records(message, fragmentBytes);
      expect(parse(bytes)).toEqual(whole);
      expect(parseInPieces(bytes, [])).toEqual(whole);
    }
  });

  it("never throws, and gives the same in pieces, whatever is changed", () => {
    const changes = fc.array(fc.tuple(fc.nat(ordinary.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(changes, fc.array(fc.nat(60)), fc.nat(ordinary.length), (list, cuts, length) => {
        const bytes = Buffer.from(ordinary.subarray(0, length));
        for (const [at, value] of list) if (at < length) bytes[at] = value;
        expect(parseInPieces(bytes, cuts)).toEqual(parse(bytes));
      }),
      { numRuns: 3_000 },
    );
  });

  it("never throws on bytes at random inside a valid frame", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (body) => {
        const result = parse(records(handshake(1, Buffer.from(body))));
        expect(["complete", "malformed"]).toContain(result.state);
      }),
      { numRuns: 3_000 },
    );
  });
});

function parse(bytes: Buffer): ClientHelloProgress {
  return new ClientHelloParser().push(bytes);
}

/** Pieces of these lengths, and a byte each when they are used up. */
function parseInPieces(bytes: Buffer, lengths: readonly number[]): ClientHelloProgress {
  const parser = new ClientHelloParser();
  let progress: ClientHelloProgress = { state: "more" };
  for (let offset = 0, index = 0; offset < bytes.length; index++) {
    const length = lengths[index] ?? 1;
    progress = parser.push(bytes.subarray(offset, offset + length));
    offset += length;
  }
  return progress;
}
