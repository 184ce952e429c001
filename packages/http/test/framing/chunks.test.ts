import { describe, expect, it } from "vitest";
import { bytesOf, refusal, transcript } from "../transcript.ts";
import { type Case, chunked, requests } from "./messages.ts";

describe("chunk sizes", () => {
  it.each<Case>([
    ["lower case", chunked("a\r\n0123456789\r\n0\r\n\r\n"), undefined],
    ["upper case", chunked("A\r\n0123456789\r\n0\r\n\r\n"), undefined],
    ["16 digits", chunked("0000000000000005\r\nhello\r\n0\r\n\r\n"), undefined],
    ["17 digits", chunked("00000000000000005\r\nhello\r\n"), "invalid-chunk-size"],
    ["2^53 - 1", chunked("1fffffffffffff\r\n"), undefined],
    ["2^53", chunked("20000000000000\r\n"), "invalid-chunk-size"],
    ["2^64 + 5", chunked("10000000000000005\r\n"), "invalid-chunk-size"],
    ["empty", chunked("\r\nhello\r\n"), "invalid-chunk-size"],
    ["plus sign", chunked("+5\r\nhello\r\n"), "invalid-chunk-size"],
    ["minus sign", chunked("-5\r\nhello\r\n"), "invalid-chunk-size"],
    ["0x", chunked("0x5\r\nhello\r\n"), "invalid-chunk-size"],
    ["underscore", chunked("1_0\r\nhello\r\n"), "invalid-chunk-size"],
    ["space before", chunked(" 5\r\nhello\r\n"), "invalid-chunk-size"],
    ["space behind", chunked("5 \r\nhello\r\n"), "invalid-chunk-size"],
    ["tab behind", chunked("5\t\r\nhello\r\n"), "invalid-chunk-size"],
    ["space before an extension", chunked("5 ;a\r\nhello\r\n"), "invalid-chunk-size"],
    ["not hexadecimal", chunked("g\r\nhello\r\n"), "invalid-chunk-size"],
    ["byte above 0x7f", chunked("5\xa0\r\nhello\r\n"), "invalid-chunk-size"],
  ])("%s", (_, text, reason) => {
    expect(refusal(requests, text)).toBe(reason);
  });
});

describe("line ends of chunks", () => {
  it.each<Case>([
    ["size line ended by LF", chunked("5\nhello\r\n0\r\n\r\n"), "bare-lf"],
    ["size line ended by CR", chunked("5\rhello\r\n0\r\n\r\n"), "bare-cr"],
    ["size line ended by CR CR LF", chunked("5\r\r\nhello\r\n0\r\n\r\n"), "bare-cr"],
    ["data ended by LF", chunked("5\r\nhello\n0\r\n\r\n"), "invalid-chunk-end"],
    ["data ended by CR", chunked("5\r\nhello\r0\r\n\r\n"), "invalid-chunk-end"],
    ["data longer than said", chunked("5\r\nhello!\r\n0\r\n\r\n"), "invalid-chunk-end"],
    ["data shorter than said", chunked("5\r\nhell\r\n0\r\n\r\n"), "invalid-chunk-end"],
    ["last chunk ended by LF", chunked("5\r\nhello\r\n0\n\r\n"), "bare-lf"],
    ["last chunk ended by CR", chunked("5\r\nhello\r\n0\r\r\n"), "bare-cr"],
    ["body ended by LF", chunked("5\r\nhello\r\n0\r\n\n"), "bare-lf"],
    ["body ended by CR, another line end later", chunked("5\r\nhello\r\n0\r\n\rGET / HTTP/1.1\r\n"), "bare-cr"],
    ["a request line behind the last chunk", chunked("0\r\nGET / HTTP/1.1\r\n"), "missing-colon"],
    ["a further chunk behind the last", chunked("0\r\n5\r\nhello\r\n"), "missing-colon"],
  ])("%s", (_, text, reason) => {
    expect(refusal(requests, text)).toBe(reason);
  });
});

describe("chunk extensions", () => {
  const extended = (extension: string): string => chunked(`5${extension}\r\nhello\r\n0\r\n\r\n`);

  it.each<Case>([
    ["a name", extended(";a"), undefined],
    ["a value", extended(";a=b"), undefined],
    ["a quoted value", extended(';a="b;\\"\xe9\t"'), undefined],
    ["several", extended(';a=b;c;d=""'), undefined],
    ["no name", extended(";"), "invalid-chunk-extension"],
    ["no name before the next", extended(";;a"), "invalid-chunk-extension"],
    ["no value", extended(";a="), "invalid-chunk-extension"],
    ["no name but a value", extended(";=b"), "invalid-chunk-extension"],
    ["space around", extended("; a = b"), "invalid-chunk-extension"],
    ["control character", extended(";a\x00"), "invalid-chunk-extension"],
    ["control character in quotes", extended(';a="\x01"'), "invalid-chunk-extension"],
    ["text behind the quotes", extended(';a="b"c'), "invalid-chunk-extension"],
    ["a quote within the quotes", extended(';a="b"c"'), "invalid-chunk-extension"],
    ["CR", extended(";a\rb"), "bare-cr"],
    ["LF", extended(";a\nb"), "bare-lf"],
    ["quoted CR", extended(';a="\r"'), "bare-cr"],
    ["quoted LF", extended(';a="\n"'), "bare-lf"],
    ["quoted CRLF", extended(';a="\r\n"'), "invalid-chunk-extension"],
    ["quoted CRLF behind a back-slash", extended(';a="\\\r\n"'), "invalid-chunk-extension"],
    ["4 KiB of size line", extended(`;${"a".repeat(4096 - 4)}`), undefined],
    ["more than 4 KiB of size line", extended(`;${"a".repeat(4096 - 3)}`), "chunk-extension-too-large"],
    ["one that never ends", chunked(`5;${"a".repeat(4095)}`), "chunk-extension-too-large"],
    ["16 KiB in a body", chunked(`1;${"a".repeat(1023)}\r\nx\r\n`.repeat(16)), undefined],
    ["more than 16 KiB in a body", chunked(`1;${"a".repeat(1023)}\r\nx\r\n`.repeat(17)), "chunk-extension-too-large"],
  ])("%s", (_, text, reason) => {
    expect(refusal(requests, text)).toBe(reason);
  });

  it("those of one body are not counted for the next", () => {
    const body = `${`1;${"a".repeat(1023)}\r\nx\r\n`.repeat(16)}0\r\n\r\n`;
    expect(refusal(requests, chunked(body) + chunked(body))).toBeUndefined();
  });
});

describe("trailers", () => {
  const trailed = (lines: string): string => chunked(`5\r\nhello\r\n0\r\n${lines}\r\n`);

  it("are handed on, in order and with their spelling", () => {
    const steps = transcript(requests, [bytesOf(trailed("Grpc-Status: 0\r\nx-checksum:  abc \r\nX-Checksum: d\r\n"))]);
    expect(steps.at(-1)).toEqual({
      end: [
        ["Grpc-Status", "0"],
        ["x-checksum", "abc"],
        ["X-Checksum", "d"],
      ],
    });
  });

  it("that frame, route or authenticate are dropped, also when nothing is left", () => {
    const lines = [
      "Transfer-Encoding: chunked",
      "content-length: 5",
      "HOST: other.example",
      "Connection: close",
      "Trailer: x",
      "TE: trailers",
      "Upgrade: h2c",
      "Expect: 100-continue",
      "Authorization: Basic eA==",
      "Cookie: a=b",
      "Set-Cookie: a=b",
      "Content-Type: text/html",
      "If-None-Match: *",
    ];
    const text = trailed(lines.map((each) => `${each}\r\n`).join(""));
    expect(transcript(requests, [bytesOf(text)]).at(-1)).toEqual({ end: [] });
    const kept = trailed(`${lines.join("\r\n")}\r\nETag: "x"\r\n`);
    expect(transcript(requests, [bytesOf(kept)]).at(-1)).toEqual({ end: [["ETag", '"x"']] });
  });

  it.each<Case>([
    ["bad name", trailed("a b: c\r\n"), "invalid-field-name"],
    ["space before the colon", trailed("a : c\r\n"), "invalid-field-name"],
    ["empty name", trailed(": c\r\n"), "invalid-field-name"],
    ["no colon", trailed("abc\r\n"), "missing-colon"],
    ["control character", trailed("a: b\x00\r\n"), "invalid-field-value"],
    ["folded", trailed("a: b\r\n c\r\n"), "obsolete-line-folding"],
    ["space before the first", trailed(" a: b\r\n"), "obsolete-line-folding"],
    ["bare CR", trailed("a: b\rc\r\n"), "bare-cr"],
    ["bare LF", trailed("a: b\nc: d\r\n"), "bare-lf"],
    ["16 KiB", trailed(`a: ${"x".repeat(16 * 1024 - 7)}\r\n`), undefined],
    ["more than 16 KiB", trailed(`a: ${"x".repeat(16 * 1024 - 6)}\r\n`), "trailers-too-large"],
    ["more than 16 KiB in small ones", trailed(`a: ${"x".repeat(250)}\r\n`.repeat(65)), "trailers-too-large"],
    ["128 fields", trailed("a: b\r\n".repeat(128)), undefined],
    ["129 fields", trailed("a: b\r\n".repeat(129)), "too-many-fields"],
  ])("%s", (_, text, reason) => {
    expect(refusal(requests, text)).toBe(reason);
  });
});
