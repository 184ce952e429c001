import { HeaderMap } from "../header-map.ts";
import type { RequestHead } from "../request-head.ts";
import type { ResponseHead } from "../response-head.ts";
import { reasonPhrase } from "../status.ts";
import { isTrailerField } from "./trailers.ts";

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

/**
 * The line before the data of a chunk (RFC 9112, 7.1). Behind the data goes a CRLF.
 * @throws RangeError for no bytes: a chunk of size 0 would end the body.
 */
export function chunkSizeLine(bytes: number): string {
  if (!(bytes > 0)) throw new RangeError(`A chunk of ${bytes} bytes would end the body: leave it out`);
  return `${bytes.toString(16)}\r\n`;
}

/**
 * What ends a chunked body: the last chunk and the trailer section. Fields that may not be sent in it (RFC 9110, 6.5.1)
 * are left out: trailers may come from HTTP/2 or from a filter, where nothing has dropped them yet.
 */
export function lastChunk(trailers?: HeaderMap): string {
  if (trailers === undefined || trailers.size === 0) return "0\r\n\r\n";
  const sent = HeaderMap.adopt(trailers.fields().filter(isTrailerField));
  return `0\r\n${sent.toWire()}\r\n`;
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
