import { describe, expect, it } from "vitest";
import {
  chunkSizeLine,
  HeaderMap,
  lastChunk,
  RequestHead,
  ResponseHead,
  serializeRequestHead,
  serializeResponseHead,
} from "../index.ts";

describe("serializeRequestHead", () => {
  it("writes the line, the fields as they are spelt, and what the connection adds", () => {
    const head = new RequestHead("GET", "/a?b", [
      ["hOst", "c"],
      ["x", ""],
    ]);
    expect(serializeRequestHead(head)).toBe("GET /a?b HTTP/1.1\r\nhOst: c\r\nx: \r\n\r\n");
    expect(serializeRequestHead(head, "Connection: close\r\n")).toBe(
      "GET /a?b HTTP/1.1\r\nhOst: c\r\nx: \r\nConnection: close\r\n\r\n",
    );
  });

  it("speaks HTTP/1.1, whatever version the head came in", () => {
    expect(serializeRequestHead(new RequestHead("GET", "/", [], "1.0"))).toBe("GET / HTTP/1.1\r\n\r\n");
    expect(serializeRequestHead(new RequestHead("GET", "/", [], "2"))).toBe("GET / HTTP/1.1\r\n\r\n");
  });

  it("writes one byte for each character", () => {
    const bytes = Buffer.from(serializeRequestHead(new RequestHead("GET", "/\xe9", { a: "\xff" })), "latin1");
    expect(bytes.indexOf(Buffer.from([0x2f, 0xe9]))).toBe(4);
    expect(bytes.includes(0xff)).toBe(true);
  });
});

describe("serializeResponseHead", () => {
  it("writes the usual reason phrase, or the sender's own (HDR-07)", () => {
    const head = new ResponseHead(200, { A: "1" });
    expect(serializeResponseHead(head)).toBe("HTTP/1.1 200 OK\r\nA: 1\r\n\r\n");
    head.reason = "Fine";
    expect(serializeResponseHead(head, "B: 2\r\n")).toBe("HTTP/1.1 200 Fine\r\nA: 1\r\nB: 2\r\n\r\n");
    expect(serializeResponseHead(new ResponseHead(200))).toBe("HTTP/1.1 200 OK\r\n\r\n");
  });

  it("keeps the space before an empty reason phrase (RFC 9112, 4)", () => {
    expect(serializeResponseHead(new ResponseHead(888))).toBe("HTTP/1.1 888 \r\n\r\n");
    const head = new ResponseHead(200);
    head.reason = "";
    expect(serializeResponseHead(head)).toBe("HTTP/1.1 200 \r\n\r\n");
  });

  it("speaks HTTP/1.1 for an origin of HTTP/1.0", () => {
    expect(serializeResponseHead(new ResponseHead(200, [], "1.0"))).toBe("HTTP/1.1 200 OK\r\n\r\n");
  });
});

describe("chunks", () => {
  it("are announced in hexadecimal", () => {
    expect([1, 10, 255, 65536].map(chunkSizeLine)).toEqual(["1\r\n", "a\r\n", "ff\r\n", "10000\r\n"]);
  });

  it.each([0, -1, Number.NaN])("a chunk of %s bytes is not written: it would end the body", (bytes) => {
    expect(() => chunkSizeLine(bytes)).toThrow(RangeError);
  });

  it("end with the last chunk, and trailers if there are any", () => {
    expect(lastChunk()).toBe("0\r\n\r\n");
    expect(lastChunk(new HeaderMap())).toBe("0\r\n\r\n");
    expect(lastChunk(new HeaderMap({ "Grpc-Status": "0" }))).toBe("0\r\nGrpc-Status: 0\r\n\r\n");
  });

  it("carry no trailer that frames the message, wherever it came from", () => {
    const trailers = new HeaderMap({
      "Content-Length": "5",
      "grpc-status": "0",
      "transfer-encoding": "chunked",
      host: "a",
    });
    expect(lastChunk(trailers)).toBe("0\r\ngrpc-status: 0\r\n\r\n");
    expect(trailers.size).toBe(4);
    expect(lastChunk(new HeaderMap({ "Content-Length": "5" }))).toBe("0\r\n\r\n");
  });
});
