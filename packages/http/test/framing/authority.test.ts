import { describe, expect, it } from "vitest";
import { refusal } from "../transcript.ts";
import { type Case, host, requests } from "./messages.ts";

describe("Host", () => {
  it.each<Case>([
    ["a name", host("example.com"), undefined],
    ["a name and port", host("example.com:8080"), undefined],
    ["an empty port", host("example.com:"), undefined],
    ["port 65535", host("example.com:65535"), undefined],
    ["an IPv4 address", host("192.0.2.1:80"), undefined],
    ["an IPv6 address", host("[2001:db8::1]:80"), undefined],
    ["an IPv6 address with an IPv4 tail", host("[::ffff:192.0.2.1]"), undefined],
    ["percent-encoded", host("ex%61mple.com"), undefined],
    ["missing", "GET / HTTP/1.1\r\nAccept: */*\r\n\r\n", "missing-host"],
    ["missing in HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", undefined],
    ["repeated, equal", host("example.com\r\nHost: example.com"), "repeated-host"],
    ["repeated, different", host("example.com\r\nhost: other.example"), "repeated-host"],
    ["repeated in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", "repeated-host"],
    ["empty", host(""), "invalid-host"],
    ["only a port", host(":80"), "invalid-host"],
    ["a list", host("example.com,other.example"), "invalid-host"],
    ["a list with space", host("example.com, other.example"), "invalid-host"],
    ["space inside", host("example.com other.example"), "invalid-host"],
    ["user information", host("user@example.com"), "invalid-host"],
    ["user and password", host("user:1@example.com"), "invalid-host"],
    ["a path", host("example.com/path"), "invalid-host"],
    ["a query", host("example.com?query"), "invalid-host"],
    ["a fragment", host("example.com#part"), "invalid-host"],
    ["a scheme", host("http://example.com"), "invalid-host"],
    ["a back-slash", host("example.com\\other"), "invalid-host"],
    ["port 65536", host("example.com:65536"), "invalid-host"],
    ["port of six digits", host("example.com:000080"), "invalid-host"],
    ["port with a sign", host("example.com:+80"), "invalid-host"],
    ["port of letters", host("example.com:http"), "invalid-host"],
    ["two ports", host("example.com:80:80"), "invalid-host"],
    ["IPv6 without brackets", host("2001:db8::1"), "invalid-host"],
    ["bracket not closed", host("[2001:db8::1"), "invalid-host"],
    ["no address in brackets", host("[]"), "invalid-host"],
    ["no IPv6 address in brackets", host("[1.2.3.4]"), "invalid-host"],
    ["too many groups in brackets", host("[1:2:3:4:5:6:7:8:9]"), "invalid-host"],
    ["text behind the brackets", host("[::1]x"), "invalid-host"],
    ["percent-encoding cut", host("example.com%2"), "invalid-host"],
    ["bytes above 0x7f", host("ex\xe4mple.com"), "invalid-host"],
    ["null byte", host("example.com\x00"), "invalid-field-value"],
  ])("%s", (_, text, reason) => {
    expect(refusal(requests, text)).toBe(reason);
  });
});
