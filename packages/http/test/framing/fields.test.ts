import { describe, expect, it } from "vitest";
import { refusal } from "../transcript.ts";
import { type Case, controls, hexadecimal, post, requests } from "./messages.ts";

describe("field lines of a request", () => {
  it.each<Case>([
    ["no white space behind the colon", post("a:b\r\n"), undefined],
    ["empty value", post("a:\r\n"), undefined],
    ["value of white space", post("a: \t \r\n"), undefined],
    ["bytes above 0x7f in a value", post("a: \x80\xff\r\n"), undefined],
    ["every character of a token", post("!#$%&'*+-.^_`|~09azAZ: b\r\n"), undefined],
    ["folded by a space", post("a: b\r\n c\r\n"), "obsolete-line-folding"],
    ["folded by a tab", post("a: b\r\n\tc: d\r\n"), "obsolete-line-folding"],
    ["folded to nothing", post("a: b\r\n \r\n"), "obsolete-line-folding"],
    ["space before the first", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", "obsolete-line-folding"],
    ["tab before the first", "GET / HTTP/1.1\r\n\tHost: a\r\n\r\n", "obsolete-line-folding"],
    ["space before the colon", post("Content-Length : 5\r\n"), "invalid-field-name"],
    ["tab before the colon", post("Content-Length\t: 5\r\n"), "invalid-field-name"],
    ["space in the name", post("Content Length: 5\r\n"), "invalid-field-name"],
    ["vertical tab before the colon", post("Content-Length\x0b: 5\r\n"), "invalid-field-name"],
    ["NUL in the name", post("Content\x00Length: 5\r\n"), "invalid-field-name"],
    ["quoted name", post('"a": 5\r\n'), "invalid-field-name"],
    ["empty name", post(": 5\r\n"), "invalid-field-name"],
    ["no colon", post("Content-Length\r\n"), "missing-colon"],
    ["only white space", post("  \r\n"), "obsolete-line-folding"],
  ])("%s", (_, text, reason) => {
    expect(refusal(requests, text)).toBe(reason);
  });

  it("no byte from 0x80 to 0xff may stand before the colon", () => {
    for (let code = 0x80; code <= 0xff; code++) {
      const text = post(`Content-Length${String.fromCharCode(code)}: 5\r\n`);
      expect(refusal(requests, text), hexadecimal(code)).toBe("invalid-field-name");
    }
  });

  it("NUL and the other control characters are refused in values, at the start, inside and at the end", () => {
    for (const code of controls) {
      const control = String.fromCharCode(code);
      for (const value of [`${control}b`, `b${control}c`, `b${control}`]) {
        expect(refusal(requests, post(`a: ${value}\r\n`)), hexadecimal(code)).toBe("invalid-field-value");
      }
    }
  });
});
