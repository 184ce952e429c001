import { describe, expect, it } from "vitest";
import { MalformedMessage, ParseEvent, RequestParser, ResponseParser } from "../index.ts";

function bytes(text: string): Buffer {
  return Buffer.from(text, "latin1");
}

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const POST = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
const CHUNKED = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
const UNTIL_CLOSE = "HTTP/1.1 200 OK\r\n\r\n";

/** A parser of requests that was given the text and asked for its first event. */
function after(text: string): RequestParser {
  const parser = new RequestParser();
  parser.push(bytes(text));
  parser.next();
  return parser;
}

function responseAfter(text: string): ResponseParser {
  const parser = new ResponseParser();
  parser.push(bytes(text));
  parser.next();
  return parser;
}

describe("events", () => {
  it("come in order, one at a call", () => {
    const parser = new RequestParser();
    expect(parser.next()).toBe(ParseEvent.NeedMore);
    parser.push(bytes(`${CHUNKED}5\r\nhello\r\n0\r\nx: y\r\n\r\n`));
    expect([parser.next(), parser.next(), parser.next()]).toEqual([ParseEvent.Head, ParseEvent.Data, ParseEvent.End]);
    expect(parser.trailers?.get("x")).toBe("y");
    expect([parser.next(), parser.next()]).toEqual([ParseEvent.NeedMore, ParseEvent.NeedMore]);
  });

  it("give a body piece by piece, as it comes", () => {
    const parser = after(`${POST}he`);
    const pieces: string[] = [];
    for (const piece of ["l", "l", "oGET"]) {
      while (parser.next() === ParseEvent.Data) pieces.push(parser.data.toString());
      parser.push(bytes(piece));
    }
    expect(parser.next()).toBe(ParseEvent.Data);
    expect(parser.next()).toBe(ParseEvent.End);
    expect([...pieces, parser.data.toString()]).toEqual(["he", "l", "l", "o"]);
    expect(parser.takeRemainder().toString()).toBe("GET");
  });

  it("stop at the end of a message until the next one is asked for", () => {
    const parser = after(GET + POST);
    expect(parser.next()).toBe(ParseEvent.End);
    expect(parser.next()).toBe(ParseEvent.NeedMore);
    expect(parser.bufferedBytes).toBe(POST.length);
    parser.startNext();
    expect(parser.head).toBeUndefined();
    expect(parser.next()).toBe(ParseEvent.Head);
    expect(parser.head).toMatchObject({ method: "POST" });
  });

  it("do not carry trailers over to the next message", () => {
    const parser = after(`${CHUNKED}0\r\nx: y\r\n\r\n${CHUNKED}0\r\n\r\n`);
    expect(parser.next()).toBe(ParseEvent.End);
    expect(parser.trailers?.size).toBe(1);
    parser.startNext();
    expect([parser.next(), parser.next()]).toEqual([ParseEvent.Head, ParseEvent.End]);
    expect(parser.trailers).toBeUndefined();
  });
});

describe("what the parser says about itself", () => {
  it("started: a head is under way", () => {
    const parser = new RequestParser();
    expect(parser.started).toBe(false);
    const seen: boolean[] = [];
    for (const piece of ["\r\n", "GE", "T / HTTP/1.1\r\n", "Host: a\r\n", "\r\n"]) {
      parser.push(bytes(piece));
      parser.next();
      seen.push(parser.started);
    }
    // A blank line is not a request.
    expect(seen).toEqual([false, true, true, true, false]);
  });

  it("atEnd: no data is to come; ended: End was given", () => {
    const bodiless = after(GET);
    expect([bodiless.atEnd, bodiless.ended]).toEqual([true, false]);
    expect(bodiless.next()).toBe(ParseEvent.End);
    expect([bodiless.atEnd, bodiless.ended]).toEqual([true, true]);

    const sized = after(`${POST}hello`);
    expect(sized.atEnd).toBe(false);
    expect(sized.next()).toBe(ParseEvent.Data);
    expect([sized.atEnd, sized.ended]).toEqual([true, false]);
  });
});

describe("buffers", () => {
  it("data is part of what was pushed, not a copy", () => {
    const chunk = bytes(`${POST}hello`);
    const parser = new RequestParser();
    parser.push(chunk);
    parser.next();
    parser.next();
    expect(parser.data.buffer).toBe(chunk.buffer);
    const whole = bytes("world");
    const second = after(POST);
    second.push(whole);
    second.next();
    expect(second.data).toBe(whole);
  });

  it("data that was handed out is never written over by what comes later", () => {
    const text = `${CHUNKED}${Array.from({ length: 60 }, (_, i) => `1;x\r\n${String.fromCharCode(0x21 + i)}\r\n`).join("")}0\r\n\r\n`;
    for (const size of [1, 2, 3, 5, 7, 64]) {
      const parser = new RequestParser();
      const pieces: Buffer[] = [];
      for (let at = 0; at < text.length; at += size) {
        parser.push(bytes(text.slice(at, at + size)));
        for (let event = parser.next(); event !== ParseEvent.NeedMore; event = parser.next()) {
          if (event === ParseEvent.Data) pieces.push(parser.data);
        }
      }
      const expected = Array.from({ length: 60 }, (_, i) => String.fromCharCode(0x21 + i)).join("");
      expect(Buffer.concat(pieces).toString("latin1"), `in pieces of ${size}`).toBe(expected);
    }
  });

  it("after retain, pushed buffers may be written to again", () => {
    const parser = new RequestParser();
    for (const piece of [GET.slice(0, 20), GET.slice(20), ""]) {
      const chunk = bytes(piece);
      parser.push(chunk);
      parser.next();
      parser.retain();
      chunk.fill(0);
    }
    expect(parser.head?.headers.get("host")).toBe("a");
  });

  it("what follows an upgrade is handed over whole, and only once", () => {
    const parser = responseAfter("HTTP/1.1 101 Switching Protocols\r\n\r\n\x00\x01frames");
    expect(parser.next()).toBe(ParseEvent.End);
    expect(parser.takeRemainder().toString("latin1")).toBe("\x00\x01frames");
    expect(parser.takeRemainder()).toHaveLength(0);
    expect(parser.bufferedBytes).toBe(0);
    parser.push(bytes("more"));
    expect(parser.next()).toBe(ParseEvent.NeedMore);
    expect(parser.takeRemainder().toString()).toBe("more");
  });

  it("what follows an upgrade may come in pieces", () => {
    const parser = after(`${GET}ab`);
    parser.next();
    parser.push(bytes("cd"));
    parser.push(bytes("ef"));
    expect(parser.takeRemainder().toString()).toBe("abcdef");
  });
});

describe("finish", () => {
  it.each([
    ["nothing at all", ""],
    ["a blank line", "\r\n"],
    ["a whole request", GET],
    ["a whole request with a body", `${POST}hello`],
    ["a whole chunked request", `${CHUNKED}5\r\nhello\r\n0\r\n\r\n`],
  ])("behind %s cuts nothing, and ends nothing", (_, text) => {
    const parser = after(text);
    while (parser.next() !== ParseEvent.NeedMore);
    expect(parser.finish()).toBe(false);
    expect(parser.next()).toBe(ParseEvent.NeedMore);
  });

  it.each([
    ["a request line", "GET / HT"],
    ["a lone CR", "\r"],
    ["a head", GET.slice(0, -2)],
    ["a sized body", `${POST}hell`],
    ["a size line", `${CHUNKED}5`],
    ["a chunk", `${CHUNKED}5\r\nhell`],
    ["the end of a chunk", `${CHUNKED}5\r\nhello\r`],
    ["the place of the next chunk", `${CHUNKED}5\r\nhello\r\n`],
    ["a trailer section", `${CHUNKED}0\r\nx: y\r\n`],
  ])("in %s cuts the message", (_, text) => {
    const parser = after(text);
    while (parser.next() !== ParseEvent.NeedMore);
    expect(() => parser.finish()).toThrow(expect.objectContaining({ reason: "premature-end" }) as Error);
    expect(() => parser.next()).toThrow(MalformedMessage);
  });

  it("ends a body that lasts until then", () => {
    const parser = responseAfter(`${UNTIL_CLOSE}hello`);
    parser.next();
    expect(parser.next()).toBe(ParseEvent.NeedMore);
    expect(parser.finish()).toBe(true);
    expect(parser.ended).toBe(true);
    expect(parser.next()).toBe(ParseEvent.NeedMore);
  });

  it("ends one without a byte", () => {
    const parser = responseAfter(UNTIL_CLOSE);
    expect(parser.finish()).toBe(true);
  });

  describe("before the events were fetched", () => {
    it("leaves the data and the end of a body to be fetched", () => {
      const parser = responseAfter(`${UNTIL_CLOSE}hello`);
      expect(parser.finish()).toBe(false);
      expect(parser.next()).toBe(ParseEvent.Data);
      expect(parser.data.toString()).toBe("hello");
      expect(parser.next()).toBe(ParseEvent.End);
    });

    it("leaves a whole message to be fetched", () => {
      const parser = new RequestParser();
      parser.push(bytes(`${POST}hello${GET}`));
      expect(parser.finish()).toBe(false);
      expect([parser.next(), parser.next(), parser.next()]).toEqual([ParseEvent.Head, ParseEvent.Data, ParseEvent.End]);
      parser.startNext();
      expect([parser.next(), parser.next()]).toEqual([ParseEvent.Head, ParseEvent.End]);
      parser.startNext();
      expect(parser.next()).toBe(ParseEvent.NeedMore);
    });

    it("leaves the End of a message whose body is here", () => {
      const parser = after(GET);
      expect(parser.finish()).toBe(false);
      expect(parser.next()).toBe(ParseEvent.End);
    });

    it("leaves what came after the parser had asked for more", () => {
      const parser = after(POST);
      expect(parser.next()).toBe(ParseEvent.NeedMore);
      parser.push(bytes("hello"));
      expect(parser.finish()).toBe(false);
      expect([parser.next(), parser.next()]).toEqual([ParseEvent.Data, ParseEvent.End]);
    });

    it("leaves a cut message to be refused when its last event has been fetched", () => {
      const parser = after(`${POST}hell`);
      expect(parser.finish()).toBe(false);
      expect(parser.next()).toBe(ParseEvent.Data);
      expect(() => parser.next()).toThrow(expect.objectContaining({ reason: "premature-end" }) as Error);
    });
  });
});

describe("startNext", () => {
  it.each([
    ["a head", GET.slice(0, 20)],
    ["a sized body", `${POST}he`],
    ["a chunked body", `${CHUNKED}5\r\nhe`],
    ["trailers", `${CHUNKED}0\r\nx`],
  ])("within %s would take the rest of a message for another one, and throws", (_, text) => {
    const parser = after(text);
    expect(() => parser.startNext()).toThrow(/not complete/);
  });

  it("may skip an End that nobody is interested in", () => {
    const parser = responseAfter("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n");
    parser.startNext();
    expect(parser.next()).toBe(ParseEvent.Head);
    expect(parser.head?.status).toBe(204);
  });

  it("does nothing before the first message", () => {
    const parser = new RequestParser();
    parser.startNext();
    parser.push(bytes(GET));
    expect(parser.next()).toBe(ParseEvent.Head);
  });
});

describe("after a refusal", () => {
  it("every call answers with the same error, whatever is pushed", () => {
    const parser = new RequestParser();
    parser.push(bytes(`GET / HTTP/1.1\r\nHost : a\r\n\r\n${GET}`));
    let refused: unknown;
    try {
      parser.next();
    } catch (error) {
      refused = error;
    }
    expect(refused).toMatchObject({ reason: "invalid-field-name", status: 400 });
    parser.push(bytes(GET));
    expect(() => parser.next()).toThrow(refused as Error);
    expect(() => parser.finish()).toThrow(refused as Error);
  });

  it("keeps no bytes", () => {
    const parser = new RequestParser();
    parser.push(bytes(`get / HTTP/1.1\r\n${"x".repeat(1000)}`));
    expect(() => parser.next()).toThrow(MalformedMessage);
    expect(parser.bufferedBytes).toBe(0);
  });
});
