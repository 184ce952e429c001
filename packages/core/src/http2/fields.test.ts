import { DEFAULT_LIMITS, HeaderMap, RequestHead, ResponseHead } from "@cirque/http";
import { describe, expect, it } from "vitest";
import {
  interimFields,
  requestFields,
  requestHeadOf,
  responseFields,
  responseHeadOf,
  trailerFields,
  trailersOf,
} from "./fields.ts";

const pseudo = [":method", "GET", ":scheme", "https", ":authority", "a.example", ":path", "/tea?milk=1"];

describe("requestHeadOf", () => {
  it("makes a head of HTTP/1.1 out of pseudo-fields and fields, in order", () => {
    const { head, scheme, contentLength } = requestHeadOf([
      ...pseudo,
      "x-b",
      "1",
      "content-length",
      "3",
      "x-a",
      "\xe9",
    ]);
    expect(head.method).toBe("GET");
    expect(head.target).toBe("/tea?milk=1");
    expect(head.version).toBe("2");
    expect(head.authority).toBe("a.example");
    expect(head.headers.toWire()).toBe("host: a.example\r\nx-b: 1\r\ncontent-length: 3\r\nx-a: \xe9\r\n");
    expect([scheme, contentLength]).toEqual(["https", 3]);
  });

  it("joins the crumbs of cookies, behind the other fields (RFC 9113, 8.2.3)", () => {
    const { head } = requestHeadOf([...pseudo, "cookie", "a=1", "x-a", "1", "cookie", "b=2", "cookie", "c=3"]);
    expect(head.headers.toWire()).toBe("host: a.example\r\nx-a: 1\r\ncookie: a=1; b=2; c=3\r\n");
  });

  it("takes Host in place of :authority, and one that says the same (V9-08)", () => {
    const withoutAuthority = pseudo.filter((_, i) => i !== 4 && i !== 5);
    expect(requestHeadOf([...withoutAuthority, "host", "b"]).head.headers.toWire()).toBe("host: b\r\n");
    const both = requestHeadOf([...pseudo, "x-a", "1", "host", "A.example:443"]);
    expect(both.head.headers.toWire()).toBe("host: a.example\r\nx-a: 1\r\n");
  });

  it("takes * with OPTIONS, host:port with CONNECT, and says what an extended CONNECT asks for", () => {
    const options = requestHeadOf([":method", "OPTIONS", ":scheme", "http", ":authority", "a", ":path", "*"]);
    expect(options.head.target).toBe("*");
    expect(requestHeadOf([":method", "CONNECT", ":authority", "a:443"]).head.target).toBe("a:443");
    const extended = requestHeadOf([
      ...[":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":authority", "a", ":path", "/chat"],
    ]);
    expect([extended.protocol, extended.head.target]).toEqual(["websocket", "/chat"]);
  });

  it.each<[string, string[], string]>([
    ["invalid-pseudo-field", [":method", "GET", ":method", "GET"], "repeated"],
    ["invalid-pseudo-field", [":status", "200"], "of a response"],
    ["invalid-pseudo-field", [":scheme", "https", ":authority", "a", ":path", "/"], "no method"],
    ["invalid-pseudo-field", [...pseudo, "x-a", "1", ":path", "/"], "behind others"],
    ["invalid-pseudo-field", [":method", "GET", ":authority", "a", ":path", "/"], "no scheme"],
    ["invalid-pseudo-field", [":method", "GET", ":scheme", "ftp", ":authority", "a", ":path", "/"], "odd scheme"],
    ["invalid-pseudo-field", [":method", "GET", ":scheme", "http", ":authority", "a"], "no path"],
    ["invalid-pseudo-field", [":method", "CONNECT", ":authority", "a:1", ":path", "/"], "CONNECT with a path"],
    ["invalid-pseudo-field", [...pseudo.slice(0, 6), ":path", "/", ":protocol", "websocket"], "not CONNECT"],
    ["invalid-target", [":method", "CONNECT", ":authority", "a"], "CONNECT without port"],
    ["invalid-target", [...pseudo.slice(0, 6), ":path", ""], "empty"],
    ["invalid-target", [...pseudo.slice(0, 6), ":path", "tea"], "no slash"],
    ["invalid-target", [...pseudo.slice(0, 6), ":path", "*"], "GET *"],
    ["invalid-target", [...pseudo.slice(0, 6), ":path", "/a b"], "space"],
    ["invalid-target", [...pseudo.slice(0, 6), ":path", "/a HTTP/1.1\r\nx: y"], "a second line"],
    ["invalid-target", [...pseudo.slice(0, 6), ":path", "/a#b"], "fragment"],
    ["target-too-long", [...pseudo.slice(0, 6), ":path", `/${"a".repeat(16 * 1024)}`], "long"],
    ["invalid-method", [":method", "get", ...pseudo.slice(2)], "lower case"],
    ["invalid-method", [":method", "GET / HTTP/1.1", ...pseudo.slice(2)], "a line"],
    ["method-too-long", [":method", "G".repeat(33), ...pseudo.slice(2)], "long"],
    ["missing-host", [":method", "GET", ":scheme", "http", ":path", "/"], "no host"],
    ["invalid-host", [":method", "GET", ":scheme", "http", ":authority", "u@a", ":path", "/"], "user"],
    ["invalid-host", [":method", "GET", ":scheme", "http", ":authority", "a\\b", ":path", "/"], "backslash"],
    ["authority-mismatch", [...pseudo, "host", "b.example"], "two sites"],
    ["repeated-host", [...pseudo, "host", "a.example", "host", "a.example"], "two fields"],
    ["invalid-field-name", [...pseudo, "X-A", "1"], "upper case"],
    ["invalid-field-name", [...pseudo, "x a", "1"], "space"],
    ["invalid-field-name", [...pseudo, "x:a", "1"], "colon"],
    ["invalid-field-name", [...pseudo, "", "1"], "empty"],
    ["invalid-field-value", [...pseudo, "x-a", "1\r\nx-b: 2"], "a second line"],
    ["invalid-field-value", [...pseudo, "x-a", "\0"], "NUL"],
    ["invalid-field-value", [...pseudo, "x-a", " 1"], "leading space"],
    ["invalid-field-value", [...pseudo, "x-a", "1\t"], "trailing tab"],
    ["invalid-field-value", [...pseudo, "x-a", "\u0100"], "no byte"],
    ["connection-specific-field", [...pseudo, "connection", "close"], "connection"],
    ["connection-specific-field", [...pseudo, "transfer-encoding", "chunked"], "transfer-encoding"],
    ["connection-specific-field", [...pseudo, "upgrade", "websocket"], "upgrade"],
    ["connection-specific-field", [...pseudo, "keep-alive", "1"], "keep-alive"],
    ["connection-specific-field", [...pseudo, "proxy-connection", "1"], "proxy-connection"],
    ["connection-specific-field", [...pseudo, "te", "gzip"], "te"],
    ["repeated-content-length", [...pseudo, "content-length", "1", "content-length", "1"], "twice"],
    ["invalid-content-length", [...pseudo, "content-length", "+1"], "sign"],
    ["field-too-large", [...pseudo, "x-a", "a".repeat(32 * 1024)], "one field"],
    [
      "field-too-large",
      [
        ...pseudo,
        ...Array<string[]>(4)
          .fill(["cookie", "a".repeat(9_000)])
          .flat(),
      ],
      "crumbs",
    ],
    [
      "head-too-large",
      [
        ...pseudo,
        ...Array<string[]>(9)
          .fill(["x-a", "a".repeat(8_000)])
          .flat(),
      ],
      "all",
    ],
    ["too-many-fields", [...pseudo, ...Array<string[]>(128).fill(["x-a", "1"]).flat()], "many"],
  ])("refuses %s: %#, %s", (reason, raw) => {
    expect(() => requestHeadOf(raw)).toThrow(expect.objectContaining({ reason }));
  });

  it("keeps `te: trailers`, which gRPC clients send", () => {
    expect(requestHeadOf([...pseudo, "te", "trailers"]).head.headers.get("te")).toBe("trailers");
  });

  it("goes by the limits it is given", () => {
    expect(() => requestHeadOf([...pseudo, "x-a", "1"], { ...DEFAULT_LIMITS, fields: 1 })).toThrow("too-many-fields");
  });
});

describe("responseHeadOf and trailersOf", () => {
  it("keeps order and duplicates", () => {
    const head = responseHeadOf([":status", "404", "set-cookie", "a", "x-b", "1", "set-cookie", "b"]);
    expect([head.status, head.version]).toEqual([404, "2"]);
    expect(head.headers.toWire()).toBe("Set-Cookie: a\r\nx-b: 1\r\nSet-Cookie: b\r\n");
  });

  it.each([[[]], [["x-a", "1"]], [[":status", "99"]], [[":status", "2000"]], [[":status", "200", ":status", "200"]]])(
    "refuses %j",
    (raw) => {
      expect(() => responseHeadOf(raw)).toThrow("invalid-pseudo-field");
    },
  );

  it("drops trailers that frame or route, and refuses pseudo-fields in them", () => {
    expect(trailersOf(["grpc-status", "0", "content-length", "3", "host", "b"]).toWire()).toBe("grpc-status: 0\r\n");
    expect(() => trailersOf([":path", "/"])).toThrow("invalid-pseudo-field");
  });
});

describe("heads for node:http2", () => {
  it("names are in lower case, and fields of one connection stay behind", () => {
    const head = new ResponseHead(200, [
      ["Set-Cookie", "a"],
      ["Connection", "close"],
      ["Transfer-Encoding", "chunked"],
      ["Keep-Alive", "timeout=5"],
      ["X-Own", "1"],
      ["set-cookie", "b"],
    ]);
    expect(responseFields(head)).toEqual([":status", "200", "set-cookie", "a", "x-own", "1", "set-cookie", "b"]);
    expect(interimFields(head)).toEqual({ ":status": "200", "set-cookie": ["a", "b"], "x-own": "1" });
  });

  it("a request's Host becomes :authority, an absolute target its path", () => {
    const head = new RequestHead("GET", "/a?b", [
      ["Host", "x"],
      ["Accept", "*/*"],
      ["TE", "trailers"],
    ]);
    expect(requestFields(head, "https")).toEqual([
      ...[":method", "GET", ":scheme", "https", ":authority", "x", ":path", "/a?b"],
      ...["accept", "*/*", "te", "trailers"],
    ]);
    const absolute = new RequestHead("GET", "http://y/c?d", [["Host", "y"]]);
    expect(requestFields(absolute, "http").slice(4)).toEqual([":authority", "y", ":path", "/c?d"]);
    expect(requestFields(new RequestHead("GET", "http://y", [["Host", "y"]]), "http").at(-1)).toBe("/");
  });

  it("CONNECT has neither scheme nor path; an extended one has both, and a protocol", () => {
    const connect = new RequestHead("CONNECT", "a:443", [["Host", "a:443"]]);
    expect(requestFields(connect, "https")).toEqual([":method", "CONNECT", ":authority", "a:443"]);
    const socket = new RequestHead("GET", "/chat", [
      ["Host", "a"],
      ["Upgrade", "websocket"],
    ]);
    expect(requestFields(socket, "https", "websocket")).toEqual([
      ...[":method", "CONNECT", ":scheme", "https", ":authority", "a", ":path", "/chat", ":protocol", "websocket"],
    ]);
  });

  it("trailers keep their duplicates, and nothing that frames", () => {
    const trailers = new HeaderMap([
      ["X-T", "1"],
      ["Content-Length", "1"],
      ["x-t", "2"],
    ]);
    expect(trailerFields(trailers)).toEqual({ "x-t": ["1", "2"] });
  });
});
