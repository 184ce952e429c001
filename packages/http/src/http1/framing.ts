import type { Field } from "../field.ts";
import type { RequestHead } from "../request-head.ts";
import type { ResponseHead } from "../response-head.ts";
import { MalformedMessage } from "./malformed-message.ts";

/** A body whose length is known is that number of bytes; the others are told apart by these. */
export const CHUNKED = -1;
/** The body lasts until the sender closes: responses only (RFC 9112, 6.3, rule 8). */
export const UNTIL_CLOSE = -2;

/** How long a body is: a count of bytes, `CHUNKED` or `UNTIL_CLOSE`. */
export type BodyLength = number;

/**
 * The body length of a request (RFC 9112, 6.3), read strictly: whatever two recipients could read in two ways is
 * refused.
 * @throws MalformedMessage
 */
export function requestBodyLength(head: RequestHead): BodyLength {
  const length = declaredLength(head.headers.fields(), head.version);
  return length ?? 0;
}

/**
 * The body length of a response to a request of `method`.
 * @throws MalformedMessage
 */
export function responseBodyLength(head: ResponseHead, method: string): BodyLength {
  const status = head.status;
  // The tunnel begins. What the head says of a length is to be ignored (RFC 9110, 9.3.6).
  if (method === "CONNECT" && status >= 200 && status < 300) return 0;
  // Checked also where there is no body: the fields are sent on, and another reader may go by them.
  const length = declaredLength(head.headers.fields(), head.version) ?? UNTIL_CLOSE;
  return method === "HEAD" || status < 200 || status === 204 || status === 304 ? 0 : length;
}

function declaredLength(fields: readonly Field[], version: string): BodyLength | undefined {
  let contentLength: Field | undefined;
  let transferEncoding: Field | undefined;
  for (let i = 0; i < fields.length; i++) {
    const field = fields[i] as Field;
    if (field.is("content-length")) {
      // Even two equal ones: a hop that joins them, or takes the other, would see another body.
      if (contentLength !== undefined)
        throw new MalformedMessage("repeated-content-length", "two Content-Length fields");
      contentLength = field;
    } else if (field.is("transfer-encoding")) {
      if (transferEncoding !== undefined)
        throw new MalformedMessage("invalid-transfer-encoding", "two Transfer-Encoding fields");
      transferEncoding = field;
    }
  }
  if (transferEncoding !== undefined) {
    if (contentLength !== undefined) {
      throw new MalformedMessage("content-length-and-transfer-encoding", "a message has one or the other");
    }
    if (version === "1.0")
      throw new MalformedMessage("transfer-encoding-in-http-1.0", "HTTP/1.0 has none (RFC 9112, 6.1)");
    if (!transferEncoding.valueIs("chunked")) throw refuseCoding(transferEncoding.value);
    if (hasTabBehind(transferEncoding)) {
      throw new MalformedMessage("invalid-transfer-encoding", 'a tab behind "chunked"');
    }
    return CHUNKED;
  }
  return contentLength === undefined ? undefined : parseContentLength(contentLength.value);
}

/**
 * The number in a Content-Length value: digits only, at most 2^53 - 1.
 * @throws MalformedMessage
 */
export function parseContentLength(value: string): number {
  // 16 digits hold 2^53 - 1; more could only be leading zeros or too large.
  let length = value.length > 0 && value.length <= 16 ? 0 : Number.NaN;
  for (let i = 0; i < value.length; i++) {
    const digit = value.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) length = Number.NaN;
    length = length * 10 + digit;
  }
  if (!Number.isSafeInteger(length))
    throw new MalformedMessage("invalid-content-length", JSON.stringify(value.slice(0, 40)));
  return length;
}

/**
 * A tab is white space (RFC 9110, 5.6.3), but some readers, llhttp among them, take one behind the coding for a part of
 * it, and find another body.
 */
function hasTabBehind(field: Field): boolean {
  return field.text.slice(field.valueEnd, field.end).includes("\t");
}

function refuseCoding(value: string): MalformedMessage {
  const known =
    /^(?:(?:x-)?gzip|deflate|(?:x-)?compress)(?:[ \t]*,[ \t]*(?:(?:x-)?gzip|deflate|(?:x-)?compress))*[ \t]*,[ \t]*chunked$/i;
  return known.test(value)
    ? new MalformedMessage("unsupported-transfer-coding", value.slice(0, 60))
    : new MalformedMessage(
        "invalid-transfer-encoding",
        `expected exactly "chunked", not ${JSON.stringify(value.slice(0, 60))}`,
      );
}
