import { BYTE_CLASS, CR, decodeLatin1, everyCharacter, FIELD_VALUE, METHOD, SP, TARGET } from "../characters.ts";
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
 * Reads `METHOD SP target SP HTTP/1.x` strictly: single spaces, no byte in the target that could end it early. The CR at
 * `end` is of no class and no digit, so nothing is read beyond it.
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
  if (targetEnd === targetStart || bytes[at] !== SP) throw notARequestLine(bytes, start, end);
  if (targetEnd - targetStart > targetLimit) {
    throw new MalformedMessage("target-too-long", `more than ${targetLimit} bytes`);
  }
  const version = readVersion(bytes, at + 1, end);
  if (version === undefined) throw notARequestLine(bytes, start, end);
  line.version = version;
  line.method = methodOf(bytes, start, methodEnd);
  line.target = decodeLatin1(bytes, targetStart, targetEnd);
}

/**
 * Reads `HTTP/1.x SP status SP reason`. A line without the second space is taken, as servers send it.
 * @throws MalformedMessage
 */
export function readStatusLine(bytes: Buffer, start: number, end: number, line: StatusLine): void {
  const version = readVersion(bytes, start, Math.min(start + 8, end));
  if (version === undefined || bytes[start + 8] !== SP) {
    throw notAStatusLine(bytes, start, end, "expected HTTP/1.1, a space and a status");
  }
  const status = digit(bytes[start + 9]) * 100 + digit(bytes[start + 10]) * 10 + digit(bytes[start + 11]);
  if (!(status >= 100) || (end > start + 12 && bytes[start + 12] !== SP)) {
    throw notAStatusLine(bytes, start, end, "the status is not three digits from 100 to 999");
  }
  for (let at = start + 13; at < end; at++) {
    if (((BYTE_CLASS[bytes[at] as number] as number) & FIELD_VALUE) === 0) {
      throw notAStatusLine(bytes, start, end, "the reason phrase has a control character");
    }
  }
  line.version = version;
  line.status = status;
  line.reason = end > start + 13 ? reasonOf(bytes, start + 13, end) : "";
}

/** The version of `HTTP/` digit `.` digit, or undefined for anything else. */
function readVersion(bytes: Buffer, start: number, end: number): HttpVersion | undefined {
  const prefixed =
    end - start === 8 &&
    bytes[start] === 0x48 &&
    bytes[start + 1] === 0x54 &&
    bytes[start + 2] === 0x54 &&
    bytes[start + 3] === 0x50 &&
    bytes[start + 4] === 0x2f &&
    bytes[start + 6] === 0x2e;
  if (!prefixed) return undefined;
  const major = digit(bytes[start + 5]);
  const minor = digit(bytes[start + 7]);
  if (Number.isNaN(major) || Number.isNaN(minor)) return undefined;
  if (major !== 1 || minor > 1) throw new MalformedMessage("unsupported-version", `HTTP/${major}.${minor}`);
  return minor === 1 ? "1.1" : "1.0";
}

function isUpperCase(byte: number): boolean {
  return byte >= 0x41 && byte <= 0x5a;
}

/** The commonest phrase without making a string. */
function reasonOf(bytes: Buffer, start: number, end: number): string {
  if (end - start === 2 && bytes[start] === 0x4f && bytes[start + 1] === 0x4b) return "OK";
  return decodeLatin1(bytes, start, end);
}

function digit(byte: number | undefined): number {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39 ? byte - 0x30 : Number.NaN;
}

/** The commonest methods without making a string. */
function methodOf(bytes: Buffer, start: number, end: number): string {
  const first = bytes[start];
  const length = end - start;
  if (length === 3 && first === 0x47 && bytes[start + 1] === 0x45 && bytes[start + 2] === 0x54) return "GET";
  return decodeLatin1(bytes, start, end);
}

/** What is wrong with a line that could not be read. */
function notARequestLine(bytes: Buffer, start: number, end: number): MalformedMessage {
  const line = decodeLatin1(bytes, start, end);
  if (line.includes("\r")) return new MalformedMessage("bare-cr", "in the request line");
  const [method, target, version, ...more] = line.split(" ");
  if (method === undefined || target === undefined || version === undefined || more.length > 0) {
    return new MalformedMessage("invalid-request-line", "expected method, target and version, one space between");
  }
  if (!/^[A-Z][A-Z0-9_-]*$/.test(method)) {
    return new MalformedMessage("invalid-method", "it is not upper-case letters, digits, - and _");
  }
  if (target === "" || !everyCharacter(target, TARGET)) {
    return new MalformedMessage("invalid-target", 'empty, or with a control character or "#"');
  }
  return new MalformedMessage("invalid-version", "expected HTTP/1.1");
}

function notAStatusLine(bytes: Buffer, start: number, end: number, detail: string): MalformedMessage {
  return bytes.subarray(start, end).includes(CR)
    ? new MalformedMessage("bare-cr", "in the status line")
    : new MalformedMessage("invalid-status-line", detail);
}
