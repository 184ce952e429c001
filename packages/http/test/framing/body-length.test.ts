import { describe, expect, it } from "vitest";
import { bytesOf, refusal, transcript } from "../transcript.ts";
import { type Case, hexadecimal, line, post, requests } from "./messages.ts";

describe("Content-Length of a request", () => {
  it.each<Case>([
    ["a number", post("Content-Length: 5\r\n", "hello"), undefined],
    ["zero", post("Content-Length: 0\r\n"), undefined],
    ["white space around", post("Content-Length: \t 5 \t\r\n", "hello"), undefined],
    ["leading zeros within 16 digits", post("Content-Length: 0000000000000005\r\n", "hello"), undefined],
    ["2^53 - 1", post("Content-Length: 9007199254740991\r\n"), undefined],
    ["2^53", post("Content-Length: 9007199254740992\r\n"), "invalid-content-length"],
    ["2^64 + 5", post("Content-Length: 18446744073709551621\r\n"), "invalid-content-length"],
    ["leading zeros beyond 16 digits", post("Content-Length: 00000000000000005\r\n"), "invalid-content-length"],
    ["empty", post("Content-Length:\r\n"), "invalid-content-length"],
    ["plus sign", post("Content-Length: +5\r\n"), "invalid-content-length"],
    ["minus sign", post("Content-Length: -5\r\n"), "invalid-content-length"],
    ["space inside", post("Content-Length: 1 2\r\n"), "invalid-content-length"],
    ["hexadecimal", post("Content-Length: 0x5\r\n"), "invalid-content-length"],
    ["hexadecimal digits", post("Content-Length: a\r\n"), "invalid-content-length"],
    ["underscore", post("Content-Length: 1_0\r\n"), "invalid-content-length"],
    ["fraction", post("Content-Length: 5.0\r\n"), "invalid-content-length"],
    ["exponent", post("Content-Length: 1e1\r\n"), "invalid-content-length"],
    ["digits of another script", post("Content-Length: \xd9\xa5\r\n"), "invalid-content-length"],
    ["list of equal ones", post("Content-Length: 5, 5\r\n"), "invalid-content-length"],
    ["list of different ones", post("Content-Length: 5,6\r\n"), "invalid-content-length"],
    ["repeated, equal", post("Content-Length: 5\r\nContent-Length: 5\r\n"), "repeated-content-length"],
    ["repeated, different", post("Content-Length: 5\r\nContent-Length: 6\r\n"), "repeated-content-length"],
    ["repeated in another case", post("Content-Length: 5\r\ncontent-length: 5\r\n"), "repeated-content-length"],
    ["repeated with an empty one", post("Content-Length: 5\r\nContent-Length:\r\n"), "repeated-content-length"],
  ])("%s", (_, text, reason) => {
    expect(refusal(requests, text)).toBe(reason);
  });
});

describe("Transfer-Encoding of a request", () => {
  const coding = (value: string): string => post(`Transfer-Encoding: ${value}\r\n`, "0\r\n\r\n");

  it.each<Case>([
    ["chunked", coding("chunked"), undefined],
    ["chunked in another case", coding("ChunKeD"), undefined],
    ["white space around", coding("\t chunked "), undefined],
    ["tab behind", coding("chunked \t"), "invalid-transfer-encoding"],
    ["empty", coding(""), "invalid-transfer-encoding"],
    ["identity", coding("identity"), "invalid-transfer-encoding"],
    ["a list", coding("chunked, chunked"), "invalid-transfer-encoding"],
    ["a list with identity", coding("identity, chunked"), "invalid-transfer-encoding"],
    ["comma before", coding(",chunked"), "invalid-transfer-encoding"],
    ["comma behind", coding("chunked,"), "invalid-transfer-encoding"],
    ["not last", coding("chunked, gzip"), "invalid-transfer-encoding"],
    ["only another coding", coding("gzip"), "invalid-transfer-encoding"],
    ["an unknown coding before it", coding("cow, chunked"), "invalid-transfer-encoding"],
    ["a known coding before it", coding("gzip, chunked"), "unsupported-transfer-coding"],
    ["two known codings before it", coding("x-gzip ,deflate,\tchunked"), "unsupported-transfer-coding"],
    ["parameter", coding("chunked;q=1"), "invalid-transfer-encoding"],
    ["quoted", coding('"chunked"'), "invalid-transfer-encoding"],
    ["prefix", coding("xchunked"), "invalid-transfer-encoding"],
    ["cut", coding("chunke"), "invalid-transfer-encoding"],
    ["repeated", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), "invalid-transfer-encoding"],
    [
      "repeated as identity",
      post("Transfer-Encoding: chunked\r\nTE: x\r\ntransfer-encoding: identity\r\n"),
      "invalid-transfer-encoding",
    ],
    ["vertical tab before", coding("\x0bchunked"), "invalid-field-value"],
    ["vertical tab behind", coding("chunked\x0b"), "invalid-field-value"],
    ["form feed behind", coding("chunked\x0c"), "invalid-field-value"],
    ["HTTP/1.0", coding("chunked").replace("HTTP/1.1", "HTTP/1.0"), "transfer-encoding-in-http-1.0"],
  ])("%s", (_, text, reason) => {
    expect(refusal(requests, text)).toBe(reason);
  });

  it("no byte from 0x80 to 0xff passes for white space around chunked", () => {
    for (let code = 0x80; code <= 0xff; code++) {
      const byte = String.fromCharCode(code);
      expect(refusal(requests, coding(`${byte}chunked`)), hexadecimal(code)).toBe("invalid-transfer-encoding");
      expect(refusal(requests, coding(`chunked${byte}`)), hexadecimal(code)).toBe("invalid-transfer-encoding");
    }
  });
});

describe("Content-Length and Transfer-Encoding together", () => {
  it.each<Case>([
    [
      "length first",
      post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
      "content-length-and-transfer-encoding",
    ],
    [
      "coding first",
      post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
      "content-length-and-transfer-encoding",
    ],
    [
      "length of zero",
      post("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"),
      "content-length-and-transfer-encoding",
    ],
    ["coding unknown", post("Transfer-Encoding: x\r\nContent-Length: 5\r\n"), "content-length-and-transfer-encoding"],
    [
      "length invalid",
      post("Transfer-Encoding: chunked\r\nContent-Length: x\r\n"),
      "content-length-and-transfer-encoding",
    ],
  ])("%s", (_, text, reason) => {
    expect(refusal(requests, text)).toBe(reason);
  });

  it("neither: there is no body, and what follows is the next request (H1S-13)", () => {
    const steps = transcript(requests, [bytesOf(post("") + line("GET /next HTTP/1.1"))]);
    expect(steps.map((step) => ("head" in step ? step.head[1] : step))).toEqual([
      "/path",
      { end: [] },
      "/next",
      { end: [] },
    ]);
  });
});

describe("bytes behind a request", () => {
  it("stay unread until the caller asks for the next message, so that a close can ignore them", () => {
    const closing = post("Connection: close\r\n");
    const steps = transcript(requests, [bytesOf(closing + line("GET /smuggled HTTP/1.1"))]);
    expect(steps.filter((step) => "head" in step)).toHaveLength(2);
  });
});
