import { describe, expect, it } from "vitest";
import { bytesOf, refusal, transcript } from "../transcript.ts";
import { type Case, controls, hexadecimal, host, line, requests } from "./messages.ts";

describe("request targets", () => {
  it.each<Case>([
    ["a path", host("a", "/b/c?d=e&f"), undefined],
    ["bytes above 0x7f", host("a", "/\xc3\xa9\xff"), undefined],
    ["characters that browsers leave unescaped", host("a", '/|{}^`"<>\\?[]'), undefined],
    ["absolute", host("a.example", "http://a.example/b"), undefined],
    ["absolute without path", host("a.example", "http://a.example"), undefined],
    ["absolute without path, with query", host("a.example", "http://a.example?b"), undefined],
    ["absolute, in another case", host("A.example", "HTTP://a.EXAMPLE/b"), undefined],
    ["absolute, usual port said once", host("a.example", "http://a.example:80/b"), undefined],
    ["absolute https, usual port said once", host("a.example:443", "https://a.example/b"), undefined],
    ["absolute, empty port", host("a.example", "http://a.example:/b"), undefined],
    ["absolute in HTTP/1.0 without Host", "GET http://a.example/b HTTP/1.0\r\n\r\n", undefined],
    ["absolute, other host", host("a.example", "http://b.example/b"), "authority-mismatch"],
    ["absolute, other port", host("a.example", "http://a.example:81/b"), "authority-mismatch"],
    ["absolute, port of the other scheme", host("a.example:443", "http://a.example/b"), "authority-mismatch"],
    ["absolute with user information", host("a.example", "http://u@a.example/b"), "invalid-target"],
    ["absolute with an empty host", host("a.example", "http:///b"), "invalid-target"],
    ["absolute with a bad port", host("a.example", "http://a.example:99999/b"), "invalid-target"],
    ["absolute of another scheme", host("a.example", "ftp://a.example/b"), "invalid-target"],
    ["absolute, back-slashes", host("a.example", "http:\\\\a.example/b"), "invalid-target"],
    ["no slash first", host("a", "b/c"), "invalid-target"],
    ["only a query", host("a", "?b"), "invalid-target"],
    ["fragment", host("a", "/b#c"), "invalid-target"],
    ["space inside", host("a", "/b c"), "invalid-request-line"],
    ["tab inside", host("a", "/b\tc"), "invalid-target"],
    ["empty", "GET  HTTP/1.1\r\nHost: a\r\n\r\n", "invalid-target"],
    ["bare CR", host("a", "/b\rc"), "bare-cr"],
    ["asterisk for GET", host("a", "*"), "invalid-target"],
    ["asterisk for OPTIONS", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", undefined],
    ["asterisk and more", "OPTIONS ** HTTP/1.1\r\nHost: a\r\n\r\n", "invalid-target"],
    ["authority for GET", host("a.example", "a.example:80"), "invalid-target"],
    ["authority for CONNECT", "CONNECT a.example:80 HTTP/1.1\r\nHost: a.example:80\r\n\r\n", undefined],
    ["authority for CONNECT, Host without port", "CONNECT a.example:80 HTTP/1.1\r\nHost: a.example\r\n\r\n", undefined],
    ["an IPv6 address for CONNECT", "CONNECT [::1]:80 HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", undefined],
    ["CONNECT without port", "CONNECT a.example HTTP/1.1\r\nHost: a.example\r\n\r\n", "invalid-target"],
    ["CONNECT with an empty port", "CONNECT a.example: HTTP/1.1\r\nHost: a.example\r\n\r\n", "invalid-target"],
    ["CONNECT with a path", "CONNECT /b HTTP/1.1\r\nHost: a.example\r\n\r\n", "invalid-target"],
    ["CONNECT with an URL", "CONNECT http://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n", "invalid-target"],
    ["CONNECT with an asterisk", "CONNECT * HTTP/1.1\r\nHost: a.example\r\n\r\n", "invalid-target"],
    ["CONNECT, other Host", "CONNECT a.example:80 HTTP/1.1\r\nHost: b.example:80\r\n\r\n", "authority-mismatch"],
    [
      "CONNECT, other port in Host",
      "CONNECT a.example:80 HTTP/1.1\r\nHost: a.example:81\r\n\r\n",
      "authority-mismatch",
    ],
    ["16 KiB", host("a", `/${"b".repeat(16 * 1024 - 1)}`), undefined],
    ["more than 16 KiB", host("a", `/${"b".repeat(16 * 1024)}`), "target-too-long"],
    ["more than 16 KiB, not ended", `GET /${"b".repeat(17 * 1024)}`, "target-too-long"],
  ])("%s", (_, text, reason) => {
    expect(refusal(requests, text)).toBe(reason);
  });

  it("control characters are refused", () => {
    for (const code of controls) {
      expect(refusal(requests, host("a", `/b${String.fromCharCode(code)}`)), hexadecimal(code)).toBe("invalid-target");
    }
  });
});

describe("methods", () => {
  it.each<Case>([
    ["registered", line("VERSION-CONTROL / HTTP/1.1"), undefined],
    ["unknown", line("MAKE-TEA_2 / HTTP/1.1"), undefined],
    ["lower case", line("get / HTTP/1.1"), "invalid-method"],
    ["mixed case", line("Get / HTTP/1.1"), "invalid-method"],
    ["digit first", line("1GET / HTTP/1.1"), "invalid-method"],
    ["underscore first", line("_GET / HTTP/1.1"), "invalid-method"],
    ["odd token", line("GET! / HTTP/1.1"), "invalid-method"],
    ["quote", line("G'ET / HTTP/1.1"), "invalid-method"],
    ["colon", line("GET: / HTTP/1.1"), "invalid-method"],
    ["NUL", line("GE\x00T / HTTP/1.1"), "invalid-method"],
    ["byte above 0x7f", line("G\xcbT / HTTP/1.1"), "invalid-method"],
    ["empty", line(" / HTTP/1.1"), "invalid-method"],
    ["tab behind", line("GET\t/ HTTP/1.1"), "invalid-request-line"],
    ["32 letters", line(`${"A".repeat(32)} / HTTP/1.1`), undefined],
    ["33 letters", line(`${"A".repeat(33)} / HTTP/1.1`), "method-too-long"],
  ])("%s", (_, text, reason) => {
    expect(refusal(requests, text)).toBe(reason);
  });
});

describe("versions", () => {
  it.each<Case>([
    ["1.1", line("GET / HTTP/1.1"), undefined],
    ["1.0", line("GET / HTTP/1.0"), undefined],
    ["0.9 without a word", "GET /\r\n", "invalid-request-line"],
    ["0.9", line("GET / HTTP/0.9"), "unsupported-version"],
    ["1.2", line("GET / HTTP/1.2"), "unsupported-version"],
    ["2.0", line("GET / HTTP/2.0"), "unsupported-version"],
    ["the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "unsupported-version"],
    ["1.10", line("GET / HTTP/1.10"), "invalid-version"],
    ["01.1", line("GET / HTTP/01.1"), "invalid-version"],
    ["one digit", line("GET / HTTP/1"), "invalid-version"],
    ["lower case", line("GET / http/1.1"), "invalid-version"],
    ["another protocol", line("GET / RTSP/1.1"), "invalid-version"],
    ["letters", line("GET / HTTP/a.b"), "invalid-version"],
    ["space behind", line("GET / HTTP/1.1 "), "invalid-request-line"],
    ["text behind", line("GET / HTTP/1.1x"), "invalid-version"],
    ["two spaces before", line("GET /  HTTP/1.1"), "invalid-request-line"],
    ["CR behind", line("GET / HTTP/1.1\r"), "bare-cr"],
    ["LF before", "GET / \nHTTP/1.1\r\n", "bare-lf"],
  ])("%s", (_, text, reason) => {
    expect(refusal(requests, text)).toBe(reason);
  });
});

describe("blank lines before a request", () => {
  it.each<Case>([
    ["none", line("GET / HTTP/1.1"), undefined],
    ["one", `\r\n${line("GET / HTTP/1.1")}`, undefined],
    ["one before each of two requests", `\r\n${line("GET / HTTP/1.1")}`.repeat(2), undefined],
    ["two", `\r\n\r\n${line("GET / HTTP/1.1")}`, "blank-lines"],
    ["two behind another request", `${line("GET / HTTP/1.1")}\r\n\r\n${line("GET / HTTP/1.1")}`, "blank-lines"],
    ["one of LF", `\n${line("GET / HTTP/1.1")}`, "bare-lf"],
    ["one of CR", `\r${line("GET / HTTP/1.1")}`, "bare-cr"],
    ["a space", ` ${line("GET / HTTP/1.1")}`, "invalid-method"],
  ])("%s", (_, text, reason) => {
    expect(refusal(requests, text)).toBe(reason);
  });

  it("one alone is not yet a request", () => {
    expect(transcript({ ...requests, closes: false }, [bytesOf("\r\n")])).toEqual([{ waitsIn: "between messages" }]);
    expect(transcript(requests, [bytesOf("\r\n")])).toEqual([]);
  });
});
