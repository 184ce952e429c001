import {
  HeaderMap,
  ParseEvent,
  RequestParser,
  ResponseHead,
  ResponseParser,
  serializeResponseHead,
  stripHopByHop,
} from "@cirque/http";
import { describe, expect, it } from "vitest";
import { relayRequests, relayResponses } from "./fuzzing/relay.ts";
import { bytesOf, refusal, transcript } from "./transcript.ts";

// What other Node proxies fell over, by the source that tells of it, as far as it is a matter of messages.

const requests = { role: "requests" } as const;
const responses = { role: "responses" } as const;

describe("CVE-2026-29057: a chunked DELETE or OPTIONS is sent on as if it had no body", () => {
  it.each(["DELETE", "OPTIONS", "GET", "TRACE", "PROPFIND"])("%s keeps its framing and its body", (method) => {
    const smuggled = "GET /admin HTTP/1.1\r\nHost: a\r\n\r\n";
    const size = smuggled.length.toString(16);
    const text = `${method} / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${size}\r\n${smuggled}\r\n0\r\n\r\n`;
    expect(relayRequests(bytesOf(text))).toEqual([text]);
    expect(transcript(requests, [bytesOf(text)]).filter((step) => "head" in step)).toHaveLength(1);
  });
});

describe("httpxy #158: a chunked request leaves an origin connection out of step", () => {
  it("one coding, written by us, is all that is sent", () => {
    const text =
      "POST / HTTP/1.1\r\ntransfer-encoding: CHUNKED\r\nHost: a\r\nConnection: keep-alive\r\n\r\n1;x=y\r\nz\r\n0\r\n\r\n";
    expect(relayRequests(bytesOf(text))).toEqual([
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nz\r\n0\r\n\r\n",
    ]);
  });
});

describe("a client names in Connection what a proxy adds, and has it removed", () => {
  it("fields added behind the stripping stay", () => {
    const headers = new HeaderMap({ Host: "a", Connection: "close, x-forwarded-for, x-added-by-proxy" });
    stripHopByHop(headers);
    headers.set("X-Forwarded-For", "192.0.2.1").set("X-Added-By-Proxy", "1");
    expect(headers.toWire()).toBe("Host: a\r\nX-Forwarded-For: 192.0.2.1\r\nX-Added-By-Proxy: 1\r\n");
  });
});

describe("fastify-reply-from #374, httpxy #106: an odd status or field of an origin takes the process down", () => {
  it("status 888 is passed on", () => {
    const text = "HTTP/1.1 888 Odd\r\nContent-Length: 0\r\n\r\n";
    expect(relayResponses(bytesOf(text), "GET")).toEqual([text]);
  });

  it.each(["99", "099", "1000", "-20", "2e2", ""])("status %j is refused by name", (status) => {
    expect(refusal(responses, `HTTP/1.1 ${status} Odd\r\n\r\n`)).toBe("invalid-status-line");
  });

  it("bytes above 0x7f are passed on, control characters are refused by name", () => {
    const text = "HTTP/1.1 200 OK\r\nServer: \x80\xe9\xff\r\nContent-Length: 0\r\n\r\n";
    expect(relayResponses(bytesOf(text), "GET")).toEqual([text]);
    expect(refusal(responses, text.replace("\x80", "\x01"))).toBe("invalid-field-value");
  });
});

describe("httpxy #122: Transfer-Encoding is left on 204 and 304", () => {
  it.each(["204 No Content", "304 Not Modified"])("%s goes without, and has no body", (status) => {
    const text = `HTTP/1.1 ${status}\r\nETag: "a"\r\nTransfer-Encoding: chunked\r\n\r\n`;
    expect(relayResponses(bytesOf(text), "GET")).toEqual([`HTTP/1.1 ${status}\r\nETag: "a"\r\n\r\n`]);
  });
});

describe("httpxy #114, #116: a refused WebSocket upgrade loses one of two cookies", () => {
  it("each Set-Cookie is a field of its own", () => {
    const head = new ResponseHead(403, { "Set-Cookie": ["a=1", "b=2"] });
    expect(serializeResponseHead(head)).toContain("Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n");
    expect(head.headers.getAll("set-cookie")).toEqual(["a=1", "b=2"]);
  });
});

describe("Pingora 0.6, 0.8: bytes behind a body are taken for part of the connection", () => {
  it("behind Content-Length they are neither body nor lost: they are there to be seen", () => {
    const parser = new ResponseParser();
    parser.push(bytesOf("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello!!"));
    expect([parser.next(), parser.next(), parser.next()]).toEqual([ParseEvent.Head, ParseEvent.Data, ParseEvent.End]);
    expect(parser.data.toString()).toBe("hello");
    expect(parser.bufferedBytes).toBe(2);
  });

  it("behind a response to HEAD too", () => {
    const parser = new ResponseParser();
    parser.expect("HEAD");
    parser.push(bytesOf("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"));
    expect([parser.next(), parser.next()]).toEqual([ParseEvent.Head, ParseEvent.End]);
    expect(parser.bufferedBytes).toBe(5);
  });

  it("behind 101 they are not parsed", () => {
    const parser = new ResponseParser();
    parser.push(bytesOf("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"));
    expect([parser.next(), parser.next(), parser.next()]).toEqual([
      ParseEvent.Head,
      ParseEvent.End,
      ParseEvent.NeedMore,
    ]);
    expect(parser.takeRemainder().toString()).toBe("HTTP/1.1 200 OK\r\n\r\n");
  });
});

describe("Pingora 0.8: Content-Length is read too kindly", () => {
  it.each([
    ["Content-Length: +5\r\n", "invalid-content-length"],
    ["Content-Length: 5\r\nContent-Length: 5\r\n", "repeated-content-length"],
    ["Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "content-length-and-transfer-encoding"],
  ])("%j is refused, from clients and origins", (lines, reason) => {
    expect(refusal(requests, `POST / HTTP/1.1\r\nHost: a\r\n${lines}\r\n`)).toBe(reason);
    expect(refusal(responses, `HTTP/1.1 200 OK\r\n${lines}\r\n`)).toBe(reason);
  });
});

describe("Pingora 0.8: a request of HTTP/1.0 lasts until the client closes", () => {
  it("without a length it has no body, and what follows is not hidden in it", () => {
    const steps = transcript(requests, [bytesOf("POST / HTTP/1.0\r\n\r\nGET /next HTTP/1.0\r\n\r\n")]);
    expect(steps.filter((step) => "head" in step)).toHaveLength(2);
    expect(steps.filter((step) => "data" in step)).toHaveLength(0);
  });
});

describe("nginx, Pingora (CVE-2026-2833): bytes behind a request with Upgrade are sent before the origin has agreed", () => {
  it("they wait until somebody asks for them", () => {
    const parser = new RequestParser();
    parser.push(
      bytesOf("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nGET /admin HTTP/1.1\r\n\r\n"),
    );
    expect([parser.next(), parser.next(), parser.next()]).toEqual([
      ParseEvent.Head,
      ParseEvent.End,
      ParseEvent.NeedMore,
    ]);
    expect(parser.bufferedBytes).toBe("GET /admin HTTP/1.1\r\n\r\n".length);
  });
});
