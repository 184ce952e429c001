import type { Reading } from "./transcript.ts";

/** Limits that short messages reach. */
const small = {
  headBytes: 120,
  fieldBytes: 40,
  fields: 4,
  targetBytes: 12,
  chunkExtensionBytes: 12,
  bodyExtensionBytes: 16,
  trailerBytes: 24,
};

const requests: Reading = { role: "requests" };
const open: Reading = { role: "requests", closes: false };
const limited: Reading = { role: "requests", limits: small };
const responses: Reading = { role: "responses" };
const toHead: Reading = { role: "responses", answers: "HEAD" };
const toConnect: Reading = { role: "responses", answers: "CONNECT" };

const get = (lines = ""): string => `GET /a HTTP/1.1\r\nHost: a\r\n${lines}\r\n`;
const chunked = (body: string): string => `POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${body}`;
const sized = (length: number, body: string): string =>
  `POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n${body}`;
const filler = (bytes: number): string => "x".repeat(bytes);

/** Messages good and bad, short enough to be split at every byte. */
export const CORPUS: readonly (readonly [name: string, reading: Reading, text: string])[] = [
  ["nothing", requests, ""],
  ["a request", requests, get()],
  ["a request, the connection stays", open, get()],
  ["a blank line before it", requests, `\r\n${get()}`],
  ["a blank line alone", open, "\r\n"],
  ["half a blank line", open, "\r"],
  ["two blank lines", requests, `\r\n\r\n${get()}`],
  ["a blank line of LF", requests, `\n${get()}`],
  ["CR and no LF before a request", requests, `\r${get()}`],
  ["HTTP/1.0 without Host", requests, "GET /a HTTP/1.0\r\n\r\n"],
  ["many fields", requests, get("a: 1\r\nB:2\r\nc: \t3 \t\r\nd:\r\ne: \xe9\xff\r\n")],
  ["three requests in a row", requests, `${get()}${sized(5, "hello")}\r\n${chunked("1\r\nx\r\n0\r\n\r\n")}`],
  ["requests behind a close", requests, `${get("Connection: close\r\n")}${get()}`],
  ["a body like a request", requests, sized(get().length, get()) + get()],
  ["a body of zero bytes", requests, sized(0, get())],
  ["a body that is cut", requests, sized(6, "hello")],
  ["a body that is unfinished", open, sized(6, "hello")],
  ["a surplus byte behind a body", requests, sized(5, "hello!")],
  ["chunks", requests, chunked("5\r\nhello\r\n00A\r\n0123456789\r\n0\r\n\r\n")],
  ["chunks with line ends and NUL inside", requests, chunked("7\r\n\r\n0\r\n\r\n\r\n1\r\n\0\r\n0\r\n\r\n")],
  ["chunks with extensions", requests, chunked('1;a\r\nx\r\n1;b=c;d="e;f"\r\ny\r\n0;g\r\n\r\n')],
  ["chunks with trailers", requests, chunked("1\r\nx\r\n0\r\nA: 1\r\nhost: b\r\nb:\r\n\r\n")],
  ["only dropped trailers", requests, chunked(`0\r\nContent-Length: 5\r\n\r\n${get()}`)],
  ["chunks, then a request", requests, chunked(`2\r\nxy\r\n0\r\n\r\n${get()}`)],
  ["chunks that are unfinished", open, chunked("5\r\nhel")],
  ["a size line that is unfinished", open, chunked("5;a")],
  ["the end of a chunk that is unfinished", open, chunked("5\r\nhello\r")],
  ["trailers that are unfinished", open, chunked("0\r\na: b\r\n")],
  ["no trailers, unfinished", open, chunked("0\r\n\r")],
  ["a chunk without size", requests, chunked("\r\nhello\r\n")],
  ["a chunk with a bad size", requests, chunked("5 \r\nhello\r\n0\r\n\r\n")],
  ["a chunk too long", requests, chunked("5\r\nhello!\r\n0\r\n\r\n")],
  ["a chunk ended by LF", requests, chunked("5\r\nhello\n0\r\n\r\n")],
  ["a size line ended by LF", requests, chunked("5\nhello\r\n0\r\n\r\n")],
  ["a quote left open over CRLF", requests, chunked('5;a="\r\nhello\r\n0\r\n\r\n')],
  ["no end behind the last chunk", requests, chunked("0\r\nGET / HTTP/1.1\r\n\r\n")],
  ["a bad trailer", requests, chunked("0\r\na : b\r\n\r\n")],
  ["a bad trailer that is unfinished", open, chunked("0\r\na : b")],
  ["space before the colon", requests, get("a : b\r\n")],
  ["a folded line", requests, get("a: b\r\n c\r\n")],
  ["a bare LF", requests, get("a: b\nc: d\r\n")],
  ["a bare CR", requests, get("a: b\rc: d\r\n")],
  ["CR CR LF", requests, get("a: b\r\r\n")],
  ["NUL in a value", requests, get("a: \0\r\n")],
  ["a bad line that is unfinished", open, "GET /a HTTP/1.1\r\na b: \0"],
  ["Host missing", requests, "GET /a HTTP/1.1\r\n\r\n"],
  ["Host twice", requests, get("Host: a\r\n")],
  ["two lengths", requests, get("Content-Length: 1\r\nContent-Length: 1\r\n")],
  ["length and coding", requests, get("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n")],
  ["another coding", requests, get("Transfer-Encoding: gzip, chunked\r\n")],
  ["another version", requests, "GET /a HTTP/2.0\r\n\r\n"],
  ["no version", requests, "GET /a\r\n\r\n"],
  ["a second request that is bad", requests, `${get()}get / HTTP/1.1\r\n\r\n`],

  ["a target at the limit", limited, `GET /${filler(11)} HTTP/1.1\r\nHost: a\r\n\r\n`],
  ["a target over the limit", limited, `GET /${filler(12)} HTTP/1.1\r\nHost: a\r\n\r\n`],
  ["a first line far over the limit", limited, `GET /${filler(80)} HTTP/1.1\r\nHost: a\r\n\r\n`],
  ["a first line far over the limit, unfinished", limited, `GET /${filler(80)}`],
  ["a field at the limit", limited, get(`a: ${filler(35)}\r\n`)],
  ["a field over the limit", limited, get(`a: ${filler(36)}\r\n`)],
  ["a field over the limit, unfinished", limited, `GET /a HTTP/1.1\r\na: ${filler(60)}`],
  ["a field over the limit, and bad", limited, get(`a : ${filler(60)}\r\n`)],
  ["a head at the limit", limited, get(`a: ${filler(35)}\r\nb: ${filler(35)}\r\nc: ${filler(7)}\r\n`)],
  ["a head over the limit", limited, get(`a: ${filler(35)}\r\nb: ${filler(35)}\r\nc: ${filler(20)}\r\n`)],
  [
    "a head over the limit by its last line",
    limited,
    get(`a: ${filler(35)}\r\nb: ${filler(35)}\r\nc: ${filler(8)}\r\n`),
  ],
  ["fields at the limit", limited, get("a: 1\r\nb: 2\r\nc: 3\r\n")],
  ["fields over the limit", limited, get("a: 1\r\nb: 2\r\nc: 3\r\nd: 4\r\n")],
  ["fields over the limit, the last bad", limited, get("a: 1\r\nb: 2\r\nc: 3\r\nd : 4\r\n")],
  ["a size line at the limit", limited, chunked(`1;${filler(8)}\r\nx\r\n0\r\n\r\n`)],
  ["a size line over the limit", limited, chunked(`1;${filler(9)}\r\nx\r\n0\r\n\r\n`)],
  ["a size line over the limit, unfinished", limited, chunked(`1;${filler(20)}`)],
  ["extensions at the limit", limited, chunked("1;a=bcdef\r\nx\r\n1;f=ghijk\r\ny\r\n0\r\n\r\n")],
  ["extensions over the limit", limited, chunked("1;a=bcdef\r\nx\r\n1;f=ghijk\r\ny\r\n0;l\r\n\r\n")],
  ["trailers at the limit", limited, chunked(`0\r\na: ${filler(17)}\r\n\r\n`)],
  ["trailers over the limit", limited, chunked(`0\r\na: ${filler(18)}\r\n\r\n`)],
  ["trailers over the limit, unfinished", limited, chunked(`0\r\na: ${filler(40)}`)],

  ["a response", responses, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"],
  ["responses in a row", responses, "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 \r\nContent-Length: 1\r\n\r\nx"],
  [
    "interim responses",
    responses,
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 E\r\na: b\r\n\r\nHTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
  ],
  ["until the origin closes", responses, "HTTP/1.0 200 OK\r\na: b\r\n\r\nhello\r\nHTTP/1.1 200 OK\r\n\r\n"],
  ["until the origin closes, it stays", { ...responses, closes: false }, "HTTP/1.1 200 OK\r\n\r\nhello"],
  [
    "chunks of a response",
    responses,
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nGrpc-Status: 0\r\n\r\n",
  ],
  [
    "no body for HEAD",
    toHead,
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
  ],
  ["a body for HEAD", toHead, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"],
  ["a tunnel", toConnect, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"],
  [
    "not modified, with a length",
    responses,
    "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nHTTP/1.1 304 X\r\n\r\n",
  ],
  ["a cut response", responses, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello"],
  ["a response of HTTP/0.9", responses, "<html>\r\n"],
  ["a response of HTTP/0.9 in one line", { ...responses, closes: false }, "<html>"],
  ["a bad status", responses, "HTTP/1.1 2000 OK\r\n\r\n"],
  ["a reason with CR", responses, "HTTP/1.1 200 O\rK\r\n\r\n"],
  ["chunked in HTTP/1.0", responses, "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
];
