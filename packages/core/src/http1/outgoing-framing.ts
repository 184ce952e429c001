import {
  CHUNKED,
  type Field,
  type HeaderMap,
  httpDate,
  MalformedMessage,
  parseContentLength,
  type RequestHead,
  type ResponseHead,
  UNTIL_CLOSE,
} from "@cirque/http";
import { CirqueError } from "../errors/cirque-error.ts";
import { namesOption } from "./connection-options.ts";

/** How a message leaves: the length of its body, and the field lines that the connection adds. */
export interface OutgoingFraming {
  /** A count of bytes, `CHUNKED` or `UNTIL_CLOSE` (`@cirque/http`). */
  bodyLength: number;
  lines: string;
  /** Whether the head itself asked to close the connection. */
  close: boolean;
}

/**
 * Frames a response (RFC 9112, 6.3; RFC 9110, 8.6 and 6.4.1): from what the head declares, and what the request allows.
 * The fields that frame are taken out of the head or checked; whatever a filter put there, one framing leaves (P1).
 * @param end Whether no body follows.
 * @param toHttp10 Whether the client speaks HTTP/1.0, which has no chunks.
 */
export function frameResponse(head: ResponseHead, method: string, end: boolean, toHttp10: boolean): OutgoingFraming {
  const status = head.status;
  if (status < 200) throw wrongStatus(status, "no response: send it as an interim one, or upgrade");
  const found = inspect(head.headers);
  const lines = found.date ? "" : `Date: ${httpDate()}\r\n`;
  const { close } = found;
  if (status === 204 || (method === "CONNECT" && status < 300)) {
    if (found.contentLength !== undefined) head.headers.delete("content-length");
    return { bodyLength: 0, lines, close };
  }
  const declared = found.contentLength === undefined ? undefined : declaredLength(found.contentLength);
  // The length is that of the body which a GET would have got (RFC 9110, 8.6).
  if (method === "HEAD" || status === 304) return { bodyLength: 0, lines, close };
  if (declared !== undefined) return { bodyLength: declared, lines, close };
  if (end) return { bodyLength: 0, lines: `${lines}Content-Length: 0\r\n`, close };
  if (toHttp10) return { bodyLength: UNTIL_CLOSE, lines, close };
  return { bodyLength: CHUNKED, lines: `${lines}Transfer-Encoding: chunked\r\n`, close };
}

/**
 * Takes out of an interim response what would frame a body, which it never has (RFC 9110, 8.6 and 15.2).
 * @throws CirqueError when the status is not one of interim responses: the client would take it for the response.
 */
export function frameInterim(head: ResponseHead): void {
  if (!head.informational) throw wrongStatus(head.status, "no interim response");
  removeFraming(head.headers);
}

/** Takes out what frames a body, and what only the connection may say. */
export function removeFraming(headers: HeaderMap): void {
  inspect(headers);
  headers.delete("content-length");
}

/** Frames a request (RFC 9112, 6.3), likewise. A body without a declared length is chunked, whatever the method. */
export function frameRequest(head: RequestHead, hasBody: boolean): OutgoingFraming {
  const found = inspect(head.headers);
  if (found.hosts !== 1) throw wrongHosts(found.hosts);
  const { close } = found;
  if (found.contentLength !== undefined) {
    const declared = declaredLength(found.contentLength);
    // A filter that took the body away need not know that its length is declared.
    if (!hasBody && declared > 0) head.headers.set("content-length", "0");
    return { bodyLength: hasBody ? declared : 0, lines: "", close };
  }
  if (hasBody || !head.sendEndStream) return { bodyLength: CHUNKED, lines: "Transfer-Encoding: chunked\r\n", close };
  return { bodyLength: 0, lines: "", close };
}

interface Found {
  contentLength: Field | undefined;
  date: boolean;
  hosts: number;
  close: boolean;
}

/** One pass over the names: what frames is noted; what only the connection may say is taken out. */
function inspect(headers: HeaderMap): Found {
  const found: Found = { contentLength: undefined, date: false, hosts: 0, close: false };
  const fields = headers.fields();
  let stray = false;
  for (let i = 0; i < fields.length; i++) {
    const field = fields[i] as Field;
    switch (field.nameEnd - field.start) {
      case 4:
        if (field.is("date")) found.date = true;
        else if (field.is("host")) found.hosts++;
        break;
      case 10:
        if (field.is("keep-alive")) stray = true;
        else if (field.is("connection")) {
          stray = true;
          if (namesOption(field.value, "close")) found.close = true;
        }
        break;
      case 14:
        if (!field.is("content-length")) break;
        if (found.contentLength !== undefined) throw badLength("it is there twice");
        found.contentLength = field;
        break;
      case 17:
        if (field.is("transfer-encoding")) stray = true;
        break;
    }
  }
  if (stray)
    headers.filter((field) => !field.is("connection") && !field.is("keep-alive") && !field.is("transfer-encoding"));
  return found;
}

function declaredLength(field: Field): number {
  try {
    return parseContentLength(field.value);
  } catch (error) {
    if (error instanceof MalformedMessage) throw badLength(JSON.stringify(field.value));
    throw error;
  }
}

function wrongStatus(status: number, what: string): CirqueError {
  return CirqueError.internal("InternalError", `status ${status} is that of ${what}`);
}

function wrongHosts(count: number): CirqueError {
  return CirqueError.internal(
    "InvalidHTTPHeader",
    `a request is sent with one Host, and a filter left ${count} (RFC 9112, 3.2)`,
  );
}

function badLength(what: string): CirqueError {
  return CirqueError.internal(
    "InvalidHTTPHeader",
    `a filter set a Content-Length that cannot be sent: ${what}. Remove it, and the length is worked out`,
  );
}
