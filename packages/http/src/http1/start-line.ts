import { BYTE_CLASS, CR, HTAB, METHOD, SP, TARGET } from "../characters.ts";
import type { HttpVersion } from "../request-head.ts";
import { MalformedMessage } from "./malformed-message.ts";

/** Longest method taken; beyond it 501 (RFC 9112, 3). The longest registered one has 17 letters. */
const MAX_METHOD_BYTES = 32;

/** The parts of a request line (RFC 9112, 3): one object a parser, filled anew for each message. */
export interface RequestLine {
  method: string;
  target: string;
  version: HttpVersion;
}

/** The parts of a status line (RFC 9112, 4). */
export interface StatusLine {
  status: number;
  reason: string;
  version: HttpVersion;
}

/**
 * Reads `METHOD SP target SP HTTP/1.x` strictly: single spaces, no byte in the target that could end it early.
 * @throws MalformedMessage
 */
export function readRequestLine(
  bytes: Buffer,
  start: number,
  end: number,
  targetLimit: number,
  line: RequestLine,
): void {
  let at = start;
  while (at < end && ((BYTE_CLASS[bytes[at] as number] as number) & METHOD) !== 0) at++;
  const methodEnd = at;
  if (bytes[at] !== SP) throw notARequestLine(bytes, start, end);
  if (!isUpperCase(bytes[start] as number)) throw new MalformedMessage("invalid-method", "no upper-case letter first");
  if (methodEnd - start > MAX_METHOD_BYTES) {
    throw new MalformedMessage("method-too-long", `more than ${MAX_METHOD_BYTES} bytes`);
  }
  const targetStart = ++at;
  while (at < end && ((BYTE_CLASS[bytes[at] as number] as number) & TARGET) !== 0) at++;
  const targetEnd = at;
  if (targetEnd === targetStart || bytes[at] !== SP || at >= end) throw notARequestLine(bytes, start, end);
  if (targetEnd - targetStart > targetLimit)
    throw new MalformedMessage("target-too-long", `more than ${targetLimit} bytes`);
  line.version = readVersion(bytes, at + 1, end);
  line.method = methodOf(bytes, start, methodEnd);
  line.target = bytes.toString("latin1", targetStart, targetEnd);
}

/**
 * Reads `HTTP/1.x SP status SP reason`. A line without the second space is taken, as servers send it.
 * @throws MalformedMessage
 */
export function readStatusLine(bytes: Buffer, start: number, end: number, line: StatusLine): void {
  const version = start + 8 <= end ? readVersion(bytes, start, start + 8) : undefined;
  if (version === undefined || bytes[start + 8] !== SP || end < start + 12) {
    throw new MalformedMessage("invalid-status-line", "expected HTTP/1.1, a space and a status");
  }
  const status = digit(bytes[start + 9]) * 100 + digit(bytes[start + 10]) * 10 + digit(bytes[start + 11]);
  if (!(status >= 100) || (end > start + 12 && bytes[start + 12] !== SP)) {
    throw new MalformedMessage("invalid-status-line", "the status is not three digits from 100 to 999");
  }
  for (let at = start + 13; at < end; at++) {
    const byte = bytes[at] as number;
    if (byte === CR) throw new MalformedMessage("bare-cr", "in the status line");
    if ((byte < SP && byte !== HTAB) || byte === 0x7f) {
      throw new MalformedMessage("invalid-status-line", "the reason phrase has a control character");
    }
  }
  line.version = version;
  line.status = status;
  line.reason = end > start + 13 ? bytes.toString("latin1", start + 13, end) : "";
}

function readVersion(bytes: Buffer, start: number, end: number): HttpVersion {
  // "HTTP/1." then one digit.
  const prefixed =
    end - start === 8 &&
    bytes[start] === 0x48 &&
    bytes[start + 1] === 0x54 &&
    bytes[start + 2] === 0x54 &&
    bytes[start + 3] === 0x50 &&
    bytes[start + 4] === 0x2f &&
    bytes[start + 6] === 0x2e;
  const major = prefixed ? digit(bytes[start + 5]) : Number.NaN;
  const minor = prefixed ? digit(bytes[start + 7]) : Number.NaN;
  if (major === 1 && minor === 1) return "1.1";
  if (major === 1 && minor === 0) return "1.0";
  if (Number.isNaN(major) || Number.isNaN(minor)) {
    if (bytes.subarray(start, end).includes(CR)) throw new MalformedMessage("bare-cr", "in the version");
    throw new MalformedMessage("invalid-version", "expected HTTP/1.1");
  }
  throw new MalformedMessage("unsupported-version", `HTTP/${major}.${minor}`);
}

function isUpperCase(byte: number): boolean {
  return byte >= 0x41 && byte <= 0x5a;
}

function digit(byte: number | undefined): number {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39 ? byte - 0x30 : Number.NaN;
}

/** The commonest methods without making a string. */
function methodOf(bytes: Buffer, start: number, end: number): string {
  const first = bytes[start];
  const length = end - start;
  if (length === 3 && first === 0x47 && bytes[start + 1] === 0x45 && bytes[start + 2] === 0x54) return "GET";
  return bytes.toString("latin1", start, end);
}

function notARequestLine(bytes: Buffer, start: number, end: number): MalformedMessage {
  const line = bytes.subarray(start, end);
  if (line.includes(CR)) return new MalformedMessage("bare-cr", "in the request line");
  const text = line.toString("latin1");
  const parts = text.split(" ");
  if (parts.length !== 3)
    return new MalformedMessage("invalid-request-line", "expected method, target and version, one space between");
  const method = parts[0] ?? "";
  return /^[A-Z][A-Z0-9_-]*$/.test(method)
    ? new MalformedMessage("invalid-target", 'empty, or with a control character or "#"')
    : new MalformedMessage("invalid-method", "it is not upper-case letters, digits, - and _");
}
