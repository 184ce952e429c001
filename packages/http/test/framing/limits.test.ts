import { describe, expect, it } from "vitest";
import { bytesOf, refusal, transcript } from "../transcript.ts";
import { type Case, post, requests } from "./messages.ts";

describe("limits of a head", () => {
  const requestLine = "GET / HTTP/1.1\r\n";
  const hostLine = "Host: a\r\n";
  /** A head of exactly that many bytes, in fields of at most 1,000. */
  const headOf = (bytes: number): string => {
    let fields = hostLine;
    let left = bytes - requestLine.length - hostLine.length - 2;
    while (left > 0) {
      const size = left > 2000 ? 1000 : left > 1000 ? 500 : left;
      fields += `x: ${"y".repeat(size - 5)}\r\n`;
      left -= size;
    }
    return `${requestLine}${fields}\r\n`;
  };

  it.each<Case>([
    ["64 KiB", headOf(64 * 1024), undefined],
    ["one byte more than 64 KiB", headOf(64 * 1024 + 1), "head-too-large"],
    ["a field line of 32 KiB", post(`a: ${"x".repeat(32 * 1024 - 5)}\r\n`), undefined],
    ["a field line of one byte more", post(`a: ${"x".repeat(32 * 1024 - 4)}\r\n`), "field-too-large"],
    ["a field line that never ends", `${requestLine}a: ${"x".repeat(33 * 1024)}`, "field-too-large"],
    ["a field name that never ends", `${requestLine}${"x".repeat(33 * 1024)}`, "field-too-large"],
    ["128 fields", `${requestLine}${hostLine}${"a: b\r\n".repeat(127)}\r\n`, undefined],
    ["129 fields", `${requestLine}${hostLine}${"a: b\r\n".repeat(128)}\r\n`, "too-many-fields"],
    [
      "129 fields, the last of them bad",
      `${requestLine}${hostLine}${"a: b\r\n".repeat(127)}a b\r\n`,
      "too-many-fields",
    ],
  ])("%s", (_, text, reason) => {
    expect(refusal(requests, text)).toBe(reason);
  });

  it("the helper makes heads of the size that is asked for", () => {
    expect(headOf(64 * 1024)).toHaveLength(64 * 1024);
    expect(headOf(64 * 1024 + 1)).toHaveLength(64 * 1024 + 1);
  });

  it("can be raised to thousands of fields, each of them found", () => {
    const names = Array.from({ length: 3_000 }, (_, i) => `x-${i}`);
    const text = `${requestLine}${hostLine}${names.map((name) => `${name}: ${name}\r\n`).join("")}\r\n`;
    const [head] = transcript({ ...requests, limits: { fields: 3_001 } }, [bytesOf(text)]);
    expect(head).toHaveProperty("fields", [["Host", "a"], ...names.map((name) => [name, name])]);
  });

  it("are settings", () => {
    const limits = { headBytes: 100, fieldBytes: 50, fields: 2, targetBytes: 10 };
    const reading = { ...requests, limits };
    expect(refusal(reading, `GET /${"a".repeat(10)} HTTP/1.1\r\nHost: a\r\n\r\n`)).toBe("target-too-long");
    expect(refusal(reading, `GET / HTTP/1.1\r\nHost: a\r\nx: ${"y".repeat(50)}\r\n\r\n`)).toBe("field-too-large");
    expect(refusal(reading, `GET / HTTP/1.1\r\nHost: a\r\nx: y\r\nx: y\r\n\r\n`)).toBe("too-many-fields");
    expect(refusal(reading, `GET / HTTP/1.1\r\nHost: ${"a".repeat(40)}\r\nx: ${"y".repeat(40)}\r\n\r\n`)).toBe(
      "head-too-large",
    );
    expect(refusal(reading, "GET /23456789 HTTP/1.1\r\nHost: a\r\nx: y\r\n\r\n")).toBeUndefined();
  });
});
