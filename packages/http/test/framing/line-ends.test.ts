import { describe, expect, it } from "vitest";
import { refusal } from "../transcript.ts";
import { line, post, requests } from "./messages.ts";

describe("bare CR and bare LF", () => {
  const message = `${post("Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n")}5;a=b\r\nhello\r\n0\r\nx: y\r\n\r\n`;
  const lineEnds = Array.from(message.matchAll(/\r\n/g), (match) => match.index);

  it("the message they are put into is good, and has line ends of every kind", () => {
    expect(refusal(requests, message)).toBeUndefined();
    expect(lineEnds).toHaveLength(10);
  });

  it("LF in the place of any CRLF is refused", () => {
    for (const at of lineEnds) {
      const text = `${message.slice(0, at)}\n${message.slice(at + 2)}${line("GET / HTTP/1.1")}`;
      expect(["bare-lf", "invalid-chunk-end"], `at ${at}`).toContain(refusal(requests, text));
    }
  });

  it("CR in the place of any CRLF is refused", () => {
    for (const at of lineEnds) {
      const text = `${message.slice(0, at)}\r${message.slice(at + 2)}${line("GET / HTTP/1.1")}`;
      expect(["bare-cr", "invalid-chunk-end"], `at ${at}`).toContain(refusal(requests, text));
    }
  });

  it("CR or LF anywhere in the head, the chunk lines or the trailers is refused", () => {
    const data = message.indexOf("hello");
    for (let at = 1; at < message.length; at++) {
      if (at > data && at < data + 5) continue;
      for (const extra of ["\r", "\n"]) {
        // CR before LF of a CRLF, and LF behind it, make a blank line or a doubled CR: bad as well.
        const text = `${message.slice(0, at)}${extra}${message.slice(at)}${line("GET / HTTP/1.1")}`;
        expect(refusal(requests, text), `${JSON.stringify(extra)} at ${at}`).toBeDefined();
      }
    }
  });
});
