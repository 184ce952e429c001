import { CHUNKED, type RefusalReason, UNTIL_CLOSE } from "@cirque/http";
import { describe, expect, it } from "vitest";
import { bytesOf, refusal, transcript } from "../transcript.ts";
import { type Case, controls, hexadecimal, responses } from "./messages.ts";

/** A response with the field lines given and whatever comes behind the head. */
function ok(lines: string, rest = "", statusLine = "HTTP/1.1 200 OK"): string {
  return `${statusLine}\r\n${lines}\r\n${rest}`;
}

function status(statusLine: string): string {
  return `${statusLine}\r\nContent-Length: 0\r\n\r\n`;
}

function bodyLength(text: string, answers = "GET"): number | undefined {
  const first = transcript({ ...responses, answers, closes: false }, [bytesOf(text)])[0];
  return first !== undefined && "head" in first ? first.bodyLength : undefined;
}

describe("the body of a response (H1C-07)", () => {
  it.each<readonly [name: string, text: string, answers: string, length: number]>([
    ["Content-Length", ok("Content-Length: 5\r\n"), "GET", 5],
    ["Content-Length of zero", ok("Content-Length: 0\r\n"), "GET", 0],
    ["chunked", ok("Transfer-Encoding: chunked\r\n"), "GET", CHUNKED],
    ["neither: until the origin closes", ok(""), "GET", UNTIL_CLOSE],
    ["neither in HTTP/1.0", ok("", "", "HTTP/1.0 200 OK"), "GET", UNTIL_CLOSE],
    ["to HEAD, with Content-Length", ok("Content-Length: 5\r\n"), "HEAD", 0],
    ["to HEAD, chunked", ok("Transfer-Encoding: chunked\r\n"), "HEAD", 0],
    ["to HEAD, neither", ok(""), "HEAD", 0],
    ["204", ok("", "", "HTTP/1.1 204 No Content"), "GET", 0],
    ["204 with Content-Length", ok("Content-Length: 5\r\n", "", "HTTP/1.1 204 No Content"), "GET", 0],
    ["204, chunked", ok("Transfer-Encoding: chunked\r\n", "", "HTTP/1.1 204 No Content"), "GET", 0],
    ["304 with Content-Length", ok("Content-Length: 5\r\n", "", "HTTP/1.1 304 Not Modified"), "GET", 0],
    ["304, chunked", ok("Transfer-Encoding: chunked\r\n", "", "HTTP/1.1 304 Not Modified"), "GET", 0],
    ["304, neither", ok("", "", "HTTP/1.1 304 Not Modified"), "GET", 0],
    ["100", ok("", "", "HTTP/1.1 100 Continue"), "POST", 0],
    ["103", ok("Link: </a>\r\n", "", "HTTP/1.1 103 Early Hints"), "GET", 0],
    ["101", ok("Upgrade: x\r\nConnection: upgrade\r\n", "", "HTTP/1.1 101 Switching Protocols"), "GET", 0],
    [
      "200 to CONNECT, with a length that is to be ignored",
      ok("Content-Length: x\r\nContent-Length: 5\r\n"),
      "CONNECT",
      0,
    ],
    ["204 to CONNECT, chunked", ok("Transfer-Encoding: chunked\r\n", "", "HTTP/1.1 204 No Content"), "CONNECT", 0],
    ["403 to CONNECT has a body", ok("Content-Length: 5\r\n", "", "HTTP/1.1 403 Forbidden"), "CONNECT", 5],
    ["205 is not special", ok("Content-Length: 5\r\n", "", "HTTP/1.1 205 Reset Content"), "GET", 5],
    ["a status nobody knows", ok("Content-Length: 5\r\n", "", "HTTP/1.1 888 Odd"), "GET", 5],
  ])("%s", (_, text, answers, length) => {
    expect(bodyLength(text, answers)).toBe(length);
  });
});

describe("framing of a response that is read in two ways", () => {
  it.each<Case>([
    [
      "both Content-Length and chunked (H1C-02)",
      ok("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
      "content-length-and-transfer-encoding",
    ],
    [
      "repeated Content-Length, equal (H1C-03)",
      ok("Content-Length: 5\r\nContent-Length: 5\r\n"),
      "repeated-content-length",
    ],
    [
      "repeated Content-Length, different (H1C-03)",
      ok("Content-Length: 5\r\nContent-Length: 6\r\n"),
      "repeated-content-length",
    ],
    ["listed Content-Length", ok("Content-Length: 5, 5\r\n"), "invalid-content-length"],
    ["signed Content-Length", ok("Content-Length: +5\r\n"), "invalid-content-length"],
    ["negative Content-Length", ok("Content-Length: -1\r\n"), "invalid-content-length"],
    ["hexadecimal Content-Length", ok("Content-Length: 0x5\r\n"), "invalid-content-length"],
    ["empty Content-Length", ok("Content-Length: \r\n"), "invalid-content-length"],
    ["Content-Length of 2^53", ok("Content-Length: 9007199254740992\r\n"), "invalid-content-length"],
    ["coding that does not end in chunked", ok("Transfer-Encoding: chunked, gzip\r\n"), "invalid-transfer-encoding"],
    ["only another coding", ok("Transfer-Encoding: gzip\r\n"), "invalid-transfer-encoding"],
    ["identity", ok("Transfer-Encoding: identity\r\n"), "invalid-transfer-encoding"],
    ["a coding we would have to undo", ok("Transfer-Encoding: gzip, chunked\r\n"), "unsupported-transfer-coding"],
    [
      "repeated Transfer-Encoding",
      ok("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
      "invalid-transfer-encoding",
    ],
    [
      "Transfer-Encoding in HTTP/1.0",
      ok("Transfer-Encoding: chunked\r\n", "", "HTTP/1.0 200 OK"),
      "transfer-encoding-in-http-1.0",
    ],
    [
      "both on 204",
      ok("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "", "HTTP/1.1 204 No Content"),
      "content-length-and-transfer-encoding",
    ],
    [
      "repeated on 304",
      ok("Content-Length: 5\r\nContent-Length: 5\r\n", "", "HTTP/1.1 304 Not Modified"),
      "repeated-content-length",
    ],
    ["bad one on 100", ok("Content-Length: x\r\n", "", "HTTP/1.1 100 Continue"), "invalid-content-length"],
  ])("%s", (_, text, reason) => {
    expect(refusal(responses, text)).toBe(reason);
  });

  it("is refused for HEAD as well, where the fields are all there is", () => {
    const text = ok("Content-Length: 5\r\nContent-Length: 6\r\n");
    expect(refusal({ ...responses, answers: "HEAD" }, text)).toBe("repeated-content-length");
  });
});

describe("chunked responses", () => {
  const chunked = (body: string): string => ok("Transfer-Encoding: chunked\r\n", body);

  it.each<Case>([
    ["good", chunked("5\r\nhello\r\n0\r\n\r\n"), undefined],
    ["size with a sign", chunked("+5\r\nhello\r\n0\r\n\r\n"), "invalid-chunk-size"],
    ["size with 0x", chunked("0x5\r\nhello\r\n0\r\n\r\n"), "invalid-chunk-size"],
    ["size with an underscore", chunked("0_5\r\nhello\r\n0\r\n\r\n"), "invalid-chunk-size"],
    ["size with a space", chunked("5 \r\nhello\r\n0\r\n\r\n"), "invalid-chunk-size"],
    ["size of 2^53", chunked("20000000000000\r\n"), "invalid-chunk-size"],
    ["size empty", chunked("\r\n"), "invalid-chunk-size"],
    ["size line ended by LF", chunked("5\nhello\r\n0\r\n\r\n"), "bare-lf"],
    ["data ended by LF", chunked("5\r\nhello\n0\r\n\r\n"), "invalid-chunk-end"],
    ["extension without end", chunked(`5;${"a".repeat(4096)}`), "chunk-extension-too-large"],
    ["extension with a quoted CRLF", chunked('5;a="\r\n"\r\nhello\r\n0\r\n\r\n'), "invalid-chunk-extension"],
    ["bad trailer", chunked("0\r\nGrpc Status: 0\r\n\r\n"), "invalid-field-name"],
    ["no end behind the last chunk", chunked("0\r\nHTTP/1.1 200 OK\r\n"), "missing-colon"],
  ])("%s", (_, text, reason) => {
    expect(refusal(responses, text)).toBe(reason);
  });

  it("hand on trailers but those that frame the message", () => {
    const text = chunked("5\r\nhello\r\n0\r\nGrpc-Status: 0\r\nContent-Length: 7\r\nTransfer-Encoding: x\r\n\r\n");
    expect(transcript(responses, [bytesOf(text)]).slice(1)).toEqual([
      { data: "hello" },
      { end: [["Grpc-Status", "0"]] },
    ]);
  });
});

describe("status lines", () => {
  it.each<Case>([
    ["usual", status("HTTP/1.1 200 OK"), undefined],
    ["HTTP/1.0", status("HTTP/1.0 200 OK"), undefined],
    ["empty reason", status("HTTP/1.1 200 "), undefined],
    ["no reason and no space", status("HTTP/1.1 200"), undefined],
    ["reason with tab and bytes above 0x7f", status("HTTP/1.1 200 \xc3\x89t\xe9\tx"), undefined],
    ["status 999", status("HTTP/1.1 999 Odd"), undefined],
    ["status 099", status("HTTP/1.1 099 Odd"), "invalid-status-line"],
    ["two digits", status("HTTP/1.1 99 Odd"), "invalid-status-line"],
    ["four digits", status("HTTP/1.1 2000 OK"), "invalid-status-line"],
    ["letters", status("HTTP/1.1 2x0 OK"), "invalid-status-line"],
    ["sign", status("HTTP/1.1 +20 OK"), "invalid-status-line"],
    ["two spaces before the status", status("HTTP/1.1  200 OK"), "invalid-status-line"],
    ["tab before the status", status("HTTP/1.1\t200 OK"), "invalid-status-line"],
    ["tab behind the status", status("HTTP/1.1 200\tOK"), "invalid-status-line"],
    ["space first", status(" HTTP/1.1 200 OK"), "invalid-status-line"],
    ["nothing but the version", status("HTTP/1.1"), "invalid-status-line"],
    ["HTTP/0.9: no status line at all", "hello, world\r\n", "invalid-status-line"],
    ["an empty line", `\r\n${status("HTTP/1.1 200 OK")}`, "invalid-status-line"],
    ["another protocol", status("ICY 200 OK"), "invalid-status-line"],
    ["lower case", status("http/1.1 200 OK"), "invalid-status-line"],
    ["HTTP/1.2", status("HTTP/1.2 200 OK"), "unsupported-version"],
    ["HTTP/2.0", status("HTTP/2.0 200 OK"), "unsupported-version"],
    ["HTTP/1.10", status("HTTP/1.10 200 OK"), "invalid-status-line"],
    ["CR in the reason", status("HTTP/1.1 200 O\rK"), "bare-cr"],
    ["CR behind the status", status("HTTP/1.1 200\r"), "bare-cr"],
    ["LF alone at the end", "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n", "bare-lf"],
    ["16 KiB of reason", status(`HTTP/1.1 200 ${"x".repeat(16 * 1024)}`), undefined],
    ["17 KiB of reason", status(`HTTP/1.1 200 ${"x".repeat(17 * 1024)}`), "head-too-large"],
    ["a line that never ends", `HTTP/1.1 200 ${"x".repeat(17 * 1024)}`, "head-too-large"],
  ])("%s", (_, text, reason) => {
    expect(refusal(responses, text)).toBe(reason);
  });

  it("control characters in the reason are refused", () => {
    for (const code of controls) {
      const text = status(`HTTP/1.1 200 O${String.fromCharCode(code)}K`);
      expect(refusal(responses, text), hexadecimal(code)).toBe("invalid-status-line");
    }
  });
});

describe("field lines of a response (stricter than H1C-01)", () => {
  it.each<Case>([
    ["space before the colon", ok("Content-Length : 5\r\n"), "invalid-field-name"],
    ["folded", ok("a: b\r\n c\r\n"), "obsolete-line-folding"],
    ["space before the first", ok(" a: b\r\n"), "obsolete-line-folding"],
    ["NUL in a value", ok("a: b\x00\r\n"), "invalid-field-value"],
    ["bare CR", ok("a: b\rSet-Cookie: c\r\n"), "bare-cr"],
    ["bare LF", ok("a: b\nSet-Cookie: c\r\n"), "bare-lf"],
    ["no colon", ok("abc\r\n"), "missing-colon"],
    ["empty name", ok(": b\r\n"), "invalid-field-name"],
    ["129 fields", ok("a: b\r\n".repeat(129)), "too-many-fields"],
    ["a field line without end", ok(`a: ${"b".repeat(33 * 1024)}`), "field-too-large"],
    ["64 KiB and more", ok(`a: ${"b".repeat(1000)}\r\n`.repeat(66)), "head-too-large"],
  ])("%s", (_, text, reason: RefusalReason | undefined) => {
    expect(refusal(responses, text)).toBe(reason);
  });
});

describe("interim responses (H1C-04)", () => {
  it("come before the final one, in any number, from the same bytes", () => {
    const interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(20);
    const steps = transcript({ ...responses, answers: "POST" }, [
      bytesOf(`${interim}${ok("Content-Length: 2\r\n", "ok")}`),
    ]);
    const statuses = steps.flatMap((step) => ("head" in step ? [step.head[1]] : []));
    expect(statuses).toEqual([...Array.from({ length: 20 }, () => ["100", "103"]).flat(), "200"]);
    expect(steps.slice(-2)).toEqual([{ data: "ok" }, { end: [] }]);
  });
});

describe("an origin that closes", () => {
  it("ends a body that lasts until then", () => {
    expect(transcript(responses, [bytesOf(ok("", "hello"))]).slice(1)).toEqual([{ data: "hello" }, { end: [] }]);
  });

  it.each([
    ["a sized body", ok("Content-Length: 5\r\n", "hello")],
    ["a chunked body with trailers", ok("Transfer-Encoding: chunked\r\n", "5;a\r\nhello\r\n0\r\nx: y\r\n\r\n")],
  ])("cuts %s wherever it closes before the end", (_, text) => {
    for (let length = 1; length < text.length; length++) {
      const last = transcript(responses, [bytesOf(text.slice(0, length))]).at(-1);
      expect(last, `after ${length} bytes`).toEqual({ refused: "premature-end" });
    }
    expect(transcript(responses, [bytesOf(text)]).at(-1)).toHaveProperty("end");
    expect(transcript(responses, [])).toEqual([]);
  });
});
