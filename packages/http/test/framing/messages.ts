import type { RefusalReason } from "@cirque/http";

/** A message, and why it is refused; undefined when it is good. */
export type Case = readonly [name: string, text: string, reason: RefusalReason | undefined];

export const requests = { role: "requests" } as const;
export const responses = { role: "responses" } as const;

/** A request with the field lines given, a Host before them, and whatever comes behind the head. */
export function post(lines: string, rest = ""): string {
  return `POST /path HTTP/1.1\r\nHost: example.com\r\n${lines}\r\n${rest}`;
}

/** A request with a chunked body, given as it is sent. */
export function chunked(body: string): string {
  return post("Transfer-Encoding: chunked\r\n", body);
}

/** A request with that request line. */
export function line(requestLine: string): string {
  return `${requestLine}\r\nHost: example.com\r\n\r\n`;
}

/** A request with that Host and target. */
export function host(value: string, target = "/"): string {
  return `GET ${target} HTTP/1.1\r\nHost: ${value}\r\n\r\n`;
}

/** The control characters that are never white space: all but HTAB, CR and LF. */
export const controls: readonly number[] = [
  ...Array.from({ length: 0x20 }, (_, code) => code).filter((code) => ![0x09, 0x0a, 0x0d].includes(code)),
  0x7f,
];

export function hexadecimal(code: number): string {
  return `0x${code.toString(16).padStart(2, "0")}`;
}
