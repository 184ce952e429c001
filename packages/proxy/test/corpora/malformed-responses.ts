/** A response that cannot be passed on: its name, its bytes, and the reason that is counted. */
export type MalformedResponse = readonly [name: string, bytes: string, reason: string];

const response = (lines: string, rest = "", line = "HTTP/1.1 200 OK"): string => `${line}\r\n${lines}\r\n${rest}`;
const coding = (value: string): string => response(`Transfer-Encoding: ${value}\r\n`, "5\r\nhello\r\n0\r\n\r\n");
const length = (value: string): string => response(`Content-Length: ${value}\r\n`, "hello");
const line = (text: string): string => `${text}\r\nContent-Length: 0\r\n\r\n`;
const chunked = (body: string): string => response("Transfer-Encoding: chunked\r\n", body);
const filler = (bytes: number): string => "x".repeat(bytes);

const HEADS: readonly MalformedResponse[] = [
  [
    "Content-Length and Transfer-Encoding",
    response("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
    "content-length-and-transfer-encoding",
  ],
  [
    "Content-Length repeated, equal",
    response("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"),
    "repeated-content-length",
  ],
  [
    "Content-Length repeated, different",
    response("Content-Length: 5\r\nContent-Length: 6\r\n", "hello"),
    "repeated-content-length",
  ],
  ["Content-Length listed", length("5, 5"), "invalid-content-length"],
  ["Content-Length with a sign", length("+5"), "invalid-content-length"],
  ["Content-Length negative", length("-1"), "invalid-content-length"],
  ["Content-Length in hexadecimal", length("0x5"), "invalid-content-length"],
  ["Content-Length empty", length(""), "invalid-content-length"],
  ["Content-Length of 2^53", length("9007199254740992"), "invalid-content-length"],
  ["a coding that does not end in chunked", coding("chunked, gzip"), "invalid-transfer-encoding"],
  ["identity", coding("identity"), "invalid-transfer-encoding"],
  ["a coding below chunked", coding("gzip, chunked"), "unsupported-transfer-coding"],
  ["chunked, with a vertical tab", coding("\x0bchunked"), "invalid-field-value"],
  ["chunked in HTTP/1.0", coding("chunked").replace("HTTP/1.1", "HTTP/1.0"), "transfer-encoding-in-http-1.0"],
  ["a space before the colon", response("Content-Length : 5\r\n", "hello"), "invalid-field-name"],
  ["a folded field", response("a: b\r\n c\r\nContent-Length: 0\r\n"), "obsolete-line-folding"],
  ["a field without colon", response("abc\r\nContent-Length: 0\r\n"), "missing-colon"],
  ["an empty name", response(": b\r\nContent-Length: 0\r\n"), "invalid-field-name"],
  ["NUL in a value", response("a: b\0\r\nContent-Length: 0\r\n"), "invalid-field-value"],
  ["CR in a value", response("a: b\rSet-Cookie: c\r\nContent-Length: 0\r\n"), "bare-cr"],
  ["LF in a value", response("a: b\nSet-Cookie: c\r\nContent-Length: 0\r\n"), "bare-lf"],
  ["lines ended by LF", "HTTP/1.1 200 OK\nContent-Length: 0\n\n", "bare-lf"],
  ["129 fields", response("a: b\r\n".repeat(129)), "too-many-fields"],
  ["a field of 33 KiB", response(`a: ${filler(33 * 1024)}\r\n`), "field-too-large"],
  ["fields of 66 KiB", response(`a: ${filler(1000)}\r\n`.repeat(66)), "head-too-large"],
  ["status 99", line("HTTP/1.1 99 Odd"), "invalid-status-line"],
  ["status 1000", line("HTTP/1.1 1000 Odd"), "invalid-status-line"],
  ["status 0", line("HTTP/1.1 000 Odd"), "invalid-status-line"],
  ["HTTP/0.9", "<html>hello</html>\r\n", "invalid-status-line"],
  ["HTTP/2.0", line("HTTP/2.0 200 OK"), "unsupported-version"],
  ["another protocol", line("ICY 200 OK"), "invalid-status-line"],
  ["a control character in the reason", line("HTTP/1.1 200 O\x01K"), "invalid-status-line"],
  [
    "a body length on an interim response",
    response("Content-Length: x\r\n", "", "HTTP/1.1 103 X"),
    "invalid-content-length",
  ],
];

const BODIES: readonly MalformedResponse[] = [
  ["a size with a sign", chunked("5\r\nhello\r\n+5\r\nhello\r\n0\r\n\r\n"), "invalid-chunk-size"],
  ["a size with 0x", chunked("5\r\nhello\r\n0x5\r\nhello\r\n0\r\n\r\n"), "invalid-chunk-size"],
  ["a size of 2^53", chunked("5\r\nhello\r\n20000000000000\r\n"), "invalid-chunk-size"],
  ["a size line ended by LF", chunked("5\r\nhello\r\n5\nhello\r\n0\r\n\r\n"), "bare-lf"],
  ["data ended by LF", chunked("5\r\nhello\n0\r\n\r\n"), "invalid-chunk-end"],
  ["data longer than said", chunked("5\r\nhello, world\r\n0\r\n\r\n"), "invalid-chunk-end"],
  ["an extension without end", chunked(`5\r\nhello\r\n5;${filler(5000)}`), "chunk-extension-too-large"],
  [
    "a response behind the last chunk without its end",
    chunked("5\r\nhello\r\n0\r\nHTTP/1.1 200 OK\r\n"),
    "missing-colon",
  ],
  ["a trailer with a bad name", chunked("5\r\nhello\r\n0\r\na b: c\r\n\r\n"), "invalid-field-name"],
  ["trailers of 17 KiB", chunked(`5\r\nhello\r\n0\r\na: ${filler(17 * 1024)}\r\n\r\n`), "trailers-too-large"],
];

/** Responses with a malformed head: nothing of them has been passed on when that is seen. */
export const MALFORMED_HEADS: readonly MalformedResponse[] = HEADS;

/** Responses whose body goes wrong when it has begun. */
export const MALFORMED_BODIES: readonly MalformedResponse[] = BODIES;
