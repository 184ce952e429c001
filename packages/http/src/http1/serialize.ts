import type { HeaderMap } from "../header-map.ts";
import type { RequestHead } from "../request-head.ts";
import type { ResponseHead } from "../response-head.ts";
import { reasonPhrase } from "../status.ts";

/**
 * A request head as HTTP/1.1 sends it (RFC 9112, 3), as a latin1 string.
 * @param framing Further field lines, each with its CRLF: what the connection adds of its own.
 */
export function serializeRequestHead(head: RequestHead, framing = ""): string {
  return `${head.method} ${head.target} HTTP/1.1\r\n${head.headers.toWire()}${framing}\r\n`;
}

/**
 * A response head as HTTP/1.1 sends it (RFC 9112, 4), as a latin1 string. The version is ours, whatever the origin's.
 * @param framing Further field lines, each with its CRLF: what the connection adds of its own.
 */
export function serializeResponseHead(head: ResponseHead, framing = ""): string {
  return `${statusLine(head.status, head.reason)}${head.headers.toWire()}${framing}\r\n`;
}

/** The line before the data of a chunk (RFC 9112, 7.1). Behind the data goes a CRLF. */
export function chunkSizeLine(bytes: number): string {
  return `${bytes.toString(16)}\r\n`;
}

/** What ends a chunked body: the last chunk and the trailer section. */
export function lastChunk(trailers?: HeaderMap): string {
  return trailers === undefined ? "0\r\n\r\n" : `0\r\n${trailers.toWire()}\r\n`;
}

function statusLine(status: number, reason: string): string {
  if (reason !== reasonPhrase(status)) return `HTTP/1.1 ${status} ${reason}\r\n`;
  const known = STATUS_LINES[status];
  if (known !== undefined) return known;
  const line = `HTTP/1.1 ${status} ${reason}\r\n`;
  STATUS_LINES[status] = line;
  return line;
}

/** Status lines with the usual phrase, made once: at most as many as there are status codes. */
const STATUS_LINES: (string | undefined)[] = [];
