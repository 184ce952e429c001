/** A request that is refused: its name, its bytes, the status and the reason that it is refused with. */
export type MalformedRequest = readonly [name: string, bytes: string, status: number, reason: string];

const request = (lines: string, rest = "", line = "POST /path HTTP/1.1"): string =>
  `${line}\r\nHost: a.example\r\n${lines}\r\n${rest}`;
const chunked = (body: string): string => request("Transfer-Encoding: chunked\r\n", body);
const coding = (value: string): string => request(`Transfer-Encoding: ${value}\r\n`, "0\r\n\r\n");
const length = (value: string): string => request(`Content-Length: ${value}\r\n`, "hello");
const line = (text: string): string => `${text}\r\nHost: a.example\r\n\r\n`;
const host = (value: string, target = "/"): string => `GET ${target} HTTP/1.1\r\nHost: ${value}\r\n\r\n`;
const filler = (bytes: number): string => "x".repeat(bytes);

const LENGTHS: readonly MalformedRequest[] = [
  [
    "Content-Length and Transfer-Encoding",
    request("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
    400,
    "content-length-and-transfer-encoding",
  ],
  [
    "Transfer-Encoding and Content-Length",
    request("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", "0\r\n\r\n"),
    400,
    "content-length-and-transfer-encoding",
  ],
  [
    "Content-Length repeated, equal",
    request("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"),
    400,
    "repeated-content-length",
  ],
  [
    "Content-Length repeated, different",
    request("Content-Length: 5\r\ncontent-length: 0\r\n", "hello"),
    400,
    "repeated-content-length",
  ],
  ["Content-Length listed, equal", length("5, 5"), 400, "invalid-content-length"],
  ["Content-Length with plus", length("+5"), 400, "invalid-content-length"],
  ["Content-Length with minus", length("-5"), 400, "invalid-content-length"],
  ["Content-Length with a space inside", length("0 5"), 400, "invalid-content-length"],
  ["Content-Length in hexadecimal", length("0x5"), 400, "invalid-content-length"],
  ["Content-Length empty", length(""), 400, "invalid-content-length"],
  ["Content-Length with zeros beyond its digits", length("00000000000000005"), 400, "invalid-content-length"],
  ["Content-Length of 2^53", length("9007199254740992"), 400, "invalid-content-length"],
  ["Content-Length of 2^64 + 5", length("18446744073709551621"), 400, "invalid-content-length"],
];

const CODINGS: readonly MalformedRequest[] = [
  ["a list of chunked", coding("chunked, chunked"), 400, "invalid-transfer-encoding"],
  [
    "chunked repeated",
    request("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
    400,
    "invalid-transfer-encoding",
  ],
  ["identity", coding("identity"), 400, "invalid-transfer-encoding"],
  ["empty", coding(""), 400, "invalid-transfer-encoding"],
  ["a comma before", coding(",chunked"), 400, "invalid-transfer-encoding"],
  ["a comma behind", coding("chunked,"), 400, "invalid-transfer-encoding"],
  ["a vertical tab before", coding("\x0bchunked"), 400, "invalid-field-value"],
  ["a vertical tab behind", coding("chunked\x0b"), 400, "invalid-field-value"],
  ["0x85 before", coding("\x85chunked"), 400, "invalid-transfer-encoding"],
  ["0xa0 behind", coding("chunked\xa0"), 400, "invalid-transfer-encoding"],
  ["chunked that is not last", coding("chunked, gzip"), 400, "invalid-transfer-encoding"],
  ["another coding below chunked", coding("gzip, chunked"), 501, "unsupported-transfer-coding"],
  ["a cut name", coding("chunke"), 400, "invalid-transfer-encoding"],
  ["a parameter", coding("chunked;q=1"), 400, "invalid-transfer-encoding"],
  ["HTTP/1.0", coding("chunked").replace("HTTP/1.1", "HTTP/1.0"), 400, "transfer-encoding-in-http-1.0"],
];

const CHUNKS: readonly MalformedRequest[] = [
  ["a size with plus", chunked("+5\r\nhello\r\n0\r\n\r\n"), 400, "invalid-chunk-size"],
  ["a size with minus", chunked("-5\r\nhello\r\n0\r\n\r\n"), 400, "invalid-chunk-size"],
  ["a size with 0x", chunked("0x5\r\nhello\r\n0\r\n\r\n"), 400, "invalid-chunk-size"],
  ["a size with an underscore", chunked("0_5\r\nhello\r\n0\r\n\r\n"), 400, "invalid-chunk-size"],
  ["a size with a space before", chunked(" 5\r\nhello\r\n0\r\n\r\n"), 400, "invalid-chunk-size"],
  ["a size with a space behind", chunked("5 \r\nhello\r\n0\r\n\r\n"), 400, "invalid-chunk-size"],
  ["a size of 2^53", chunked("20000000000000\r\nhello"), 400, "invalid-chunk-size"],
  ["a size of 2^64 + 5", chunked("10000000000000005\r\nhello\r\n0\r\n\r\n"), 400, "invalid-chunk-size"],
  ["no size", chunked("\r\nhello\r\n0\r\n\r\n"), 400, "invalid-chunk-size"],
  ["a size line ended by LF", chunked("5\nhello\r\n0\r\n\r\n"), 400, "bare-lf"],
  ["a size line ended by CR", chunked("5\rhello\r\n0\r\n\r\n"), 400, "bare-cr"],
  ["data ended by LF", chunked("5\r\nhello\n0\r\n\r\n"), 400, "invalid-chunk-end"],
  ["data ended by CR", chunked("5\r\nhello\r0\r\n\r\n"), 400, "invalid-chunk-end"],
  ["data longer than said", chunked("5\r\nhello!\r\n0\r\n\r\n"), 400, "invalid-chunk-end"],
  ["an extension with CR", chunked("5;a\rb\r\nhello\r\n0\r\n\r\n"), 400, "bare-cr"],
  ["an extension with LF", chunked("5;a\nb\r\nhello\r\n0\r\n\r\n"), 400, "bare-lf"],
  ["an extension with a quoted CRLF", chunked('5;a="\r\n"\r\nhello\r\n0\r\n\r\n'), 400, "invalid-chunk-extension"],
  ["an extension without end", chunked(`5;${filler(5000)}\r\nhello\r\n0\r\n\r\n`), 413, "chunk-extension-too-large"],
  [
    "extensions of 20 KiB in a body",
    chunked(`${`1;${filler(1023)}\r\nx\r\n`.repeat(20)}0\r\n\r\n`),
    413,
    "chunk-extension-too-large",
  ],
  ["a request line behind the last chunk", chunked("5\r\nhello\r\n0\r\nGET /b HTTP/1.1\r\n"), 400, "missing-colon"],
  ["LF behind the last chunk", chunked("5\r\nhello\r\n0\r\n\n"), 400, "bare-lf"],
  ["a trailer with a bad name", chunked("5\r\nhello\r\n0\r\na b: c\r\n\r\n"), 400, "invalid-field-name"],
  ["a trailer that is folded", chunked("5\r\nhello\r\n0\r\na: b\r\n c\r\n\r\n"), 400, "obsolete-line-folding"],
  ["trailers of 17 KiB", chunked(`5\r\nhello\r\n0\r\na: ${filler(17 * 1024)}\r\n\r\n`), 431, "trailers-too-large"],
];

const LINES: readonly MalformedRequest[] = [
  ["LF for the line end of a field", request("a: b\nc: d\r\n"), 400, "bare-lf"],
  ["LF for the end of the head", "GET / HTTP/1.1\r\nHost: a\r\n\n", 400, "bare-lf"],
  ["LF for the end of the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", 400, "bare-lf"],
  ["CR inside a value", request("a: b\rc: d\r\n"), 400, "bare-cr"],
  ["CR CR LF", request("a: b\r\r\n"), 400, "bare-cr"],
  ["a folded field", request("a: b\r\n c\r\n"), 400, "obsolete-line-folding"],
  ["a space before the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400, "obsolete-line-folding"],
  ["a space before the colon", request("Content-Length : 5\r\n", "hello"), 400, "invalid-field-name"],
  ["a tab before the colon", request("Content-Length\t: 5\r\n", "hello"), 400, "invalid-field-name"],
  ["0xa0 before the colon", request("Content-Length\xa0: 5\r\n", "hello"), 400, "invalid-field-name"],
  ["an empty name", request(": b\r\n"), 400, "invalid-field-name"],
  ["a field without colon", request("abc\r\n"), 400, "missing-colon"],
  ["NUL in a value", request("a: b\0c\r\n"), 400, "invalid-field-value"],
  ["a control character in a value", request("a: b\x01c\r\n"), 400, "invalid-field-value"],
  ["DEL in a value", request("a: b\x7f\r\n"), 400, "invalid-field-value"],
  ["two blank lines before a request", `\r\n\r\n${host("a")}`, 400, "blank-lines"],
  ["a field of 33 KiB", request(`a: ${filler(33 * 1024)}\r\n`), 431, "field-too-large"],
  ["fields of 66 KiB", request(`a: ${filler(1000)}\r\n`.repeat(66)), 431, "head-too-large"],
  ["129 fields", request("a: b\r\n".repeat(128)), 431, "too-many-fields"],
];

const HOSTS: readonly MalformedRequest[] = [
  ["missing", "GET / HTTP/1.1\r\nAccept: */*\r\n\r\n", 400, "missing-host"],
  ["repeated, equal", host("a\r\nHost: a"), 400, "repeated-host"],
  ["repeated, different", host("a\r\nhost: b"), 400, "repeated-host"],
  ["empty", host(""), 400, "invalid-host"],
  ["a list", host("a, b"), 400, "invalid-host"],
  ["user information", host("u@a"), 400, "invalid-host"],
  ["a path", host("a/b"), 400, "invalid-host"],
  ["a port out of range", host("a:65536"), 400, "invalid-host"],
  ["other than that of the target", host("a", "http://b/"), 400, "authority-mismatch"],
];

const START_LINES: readonly MalformedRequest[] = [
  ["a target with a space", line("GET /a b HTTP/1.1"), 400, "invalid-request-line"],
  ["a target with a control character", line("GET /a\x01 HTTP/1.1"), 400, "invalid-target"],
  ["a target with a fragment", line("GET /a#b HTTP/1.1"), 400, "invalid-target"],
  ["an asterisk for GET", line("GET * HTTP/1.1"), 400, "invalid-target"],
  ["authority form for GET", line("GET a.example:80 HTTP/1.1"), 400, "invalid-target"],
  ["a target of 17 KiB", line(`GET /${filler(17 * 1024)} HTTP/1.1`), 414, "target-too-long"],
  ["a method in lower case", line("get / HTTP/1.1"), 400, "invalid-method"],
  ["a method that is no token", line("G@T / HTTP/1.1"), 400, "invalid-method"],
  ["a method of 40 letters", line(`${"X".repeat(40)} / HTTP/1.1`), 501, "method-too-long"],
  ["CONNECT", "CONNECT a.example:80 HTTP/1.1\r\nHost: a.example:80\r\n\r\n", 405, "connect-not-allowed"],
  ["CONNECT with a path", "CONNECT /a HTTP/1.1\r\nHost: a.example\r\n\r\n", 400, "invalid-target"],
  ["HTTP/0.9", line("GET /"), 400, "invalid-request-line"],
  ["HTTP/1.2", line("GET / HTTP/1.2"), 505, "unsupported-version"],
  ["HTTP/2.0", line("GET / HTTP/2.0"), 505, "unsupported-version"],
  ["HTTP/1.10", line("GET / HTTP/1.10"), 400, "invalid-version"],
  ["a tab for a space", line("GET\t/ HTTP/1.1"), 400, "invalid-request-line"],
];

/** Each class of malformed requests, by what is wrong with them. */
export const MALFORMED_REQUESTS: Readonly<Record<string, readonly MalformedRequest[]>> = {
  "the length of the body": LENGTHS,
  "the coding of the body": CODINGS,
  "the chunks of the body": CHUNKS,
  "its lines": LINES,
  "its Host": HOSTS,
  "its first line": START_LINES,
};
