import { DEFAULT_LIMITS, MalformedMessage, ParseEvent, RequestParser, ResponseParser } from "@cirque/http";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

/** Bytes looked at one by one, through the table that every inner loop asks. */
const looks = vi.hoisted(() => ({ count: 0 }));
vi.mock("../src/characters.ts", async (original) => {
  const actual = await original<typeof import("../src/characters.ts")>();
  const counting = new Proxy(actual.BYTE_CLASS, {
    get(table, at) {
      looks.count++;
      return Reflect.get(table, at, table) as unknown;
    },
  });
  return { ...actual, BYTE_CLASS: counting };
});

/** Bytes looked at by searches, and moved by copies. */
let searched = 0;
let copied = 0;

beforeEach(() => {
  looks.count = searched = copied = 0;
  const { indexOf, copy } = Buffer.prototype;
  vi.spyOn(Buffer.prototype, "indexOf").mockImplementation(function (this: Buffer, wanted, from = 0) {
    const found = indexOf.call(this, wanted as number, from as number);
    searched += (found === -1 ? this.length : found + 1) - Number(from);
    return found;
  });
  vi.spyOn(Buffer.prototype, "copy").mockImplementation(function (this: Buffer, target, at, start, end) {
    copied += Number(end ?? this.length) - Number(start ?? 0);
    return copy.call(this, target, at, start, end);
  });
});
afterEach(() => {
  vi.restoreAllMocks();
});

const HEAD = "POST / HTTP/1.1\r\nHost: a\r\n";
const CHUNKED = `${HEAD}Transfer-Encoding: chunked\r\n\r\n`;

/** Feeds the text byte by byte. Answers how much was kept at most, and why it was refused, if it was. */
function trickle(parser: RequestParser | ResponseParser, text: string): { kept: number; refused: string | undefined } {
  const bytes = Buffer.from(text, "latin1");
  let kept = 0;
  try {
    for (let at = 0; at < bytes.length; at++) {
      parser.push(bytes.subarray(at, at + 1));
      while (parser.next() !== ParseEvent.NeedMore);
      kept = Math.max(kept, parser.bufferedBytes);
    }
  } catch (error) {
    if (!(error instanceof MalformedMessage)) throw error;
    return { kept, refused: error.reason };
  }
  return { kept, refused: undefined };
}

describe("what a parser keeps is bounded by the limits", () => {
  const endless = "x".repeat(1 << 20);
  const { fieldBytes, targetBytes, chunkExtensionBytes, trailerBytes } = DEFAULT_LIMITS;

  it.each<readonly [name: string, text: string, refused: string, limit: number]>([
    ["an endless method", endless, "target-too-long", targetBytes + 64],
    ["an endless target", `GET /${endless}`, "target-too-long", targetBytes + 64],
    ["an endless field name", `${HEAD}${endless}`, "field-too-large", fieldBytes],
    ["an endless field value", `${HEAD}a: ${endless}`, "field-too-large", fieldBytes],
    ["endless fields", `${HEAD}${"a: b\r\n".repeat(1000)}`, "too-many-fields", 16],
    ["endless chunk extensions", `${CHUNKED}5;${endless}`, "chunk-extension-too-large", chunkExtensionBytes],
    ["endless chunk digits", `${CHUNKED}${"0".repeat(1 << 16)}`, "chunk-extension-too-large", chunkExtensionBytes],
    ["an endless trailer", `${CHUNKED}0\r\na: ${endless}`, "trailers-too-large", trailerBytes],
    ["endless trailers", `${CHUNKED}0\r\n${"a: b\r\n".repeat(1000)}`, "too-many-fields", 28],
    ["endless blank lines", "\r\n".repeat(1000), "blank-lines", 2],
  ])("%s", (_, text, refused, limit) => {
    const outcome = trickle(new RequestParser(), text);
    expect(outcome.refused).toBe(refused);
    expect(outcome.kept).toBeLessThanOrEqual(limit);
    expect(looks.count + searched + copied).toBeLessThan(16 * (limit + HEAD.length * 8) + 20_000);
  });

  it("an endless status line", () => {
    const outcome = trickle(new ResponseParser(), `HTTP/1.1 200 ${endless}`);
    expect(outcome).toEqual({ kept: targetBytes + 64, refused: "head-too-large" });
  });

  it("a body is not kept at all, however long", () => {
    const parser = new RequestParser();
    parser.push(Buffer.from(`${HEAD}Content-Length: ${2 ** 40}\r\n\r\n`));
    parser.next();
    const piece = Buffer.alloc(1 << 16);
    for (let i = 0; i < 1000; i++) {
      parser.push(piece);
      expect(parser.next()).toBe(ParseEvent.Data);
      expect(parser.bufferedBytes).toBe(0);
    }
    expect(copied).toBe(0);
  });
});

describe("the work for each byte is bounded too, when bytes come one by one", () => {
  const lines = (count: number): string => `x-${"n".repeat(20)}: ${"v".repeat(120)}\r\n`.repeat(count);

  it.each<readonly [name: string, text: (size: number) => string]>([
    ["one long field", (size) => `${HEAD}a: ${"x".repeat(size)}\r\n\r\n`],
    ["many fields", (size) => `${HEAD}${lines(Math.floor(size / 150))}\r\n`],
    ["a long target", (size) => `GET /${"x".repeat(size)} HTTP/1.1\r\nHost: a\r\n\r\n`],
    ["a long chunk extension", (size) => `${CHUNKED}1;${"x".repeat(size)}\r\ny\r\n0\r\n\r\n`],
    ["small chunks", (size) => `${CHUNKED}${"1\r\nx\r\n".repeat(size / 4)}0\r\n\r\n`],
    ["large chunks", (size) => `${CHUNKED}${`100\r\n${"x".repeat(256)}\r\n`.repeat(size / 256)}0\r\n\r\n`],
    ["a long trailer", (size) => `${CHUNKED}0\r\na: ${"x".repeat(size)}\r\n\r\n`],
  ])("%s", (_, textOf) => {
    const wide = 1 << 20;
    const limits = { headBytes: wide, fieldBytes: wide, fields: wide, targetBytes: wide, chunkExtensionBytes: wide };
    for (const size of [1 << 10, 1 << 13, 1 << 16]) {
      looks.count = searched = copied = 0;
      const text = textOf(size);
      const parser = new RequestParser({ ...limits, bodyExtensionBytes: wide, trailerBytes: wide });
      expect(trickle(parser, text).refused).toBeUndefined();
      const work = looks.count + searched + copied;
      expect(work, "what is counted").toBeGreaterThan(50);
      expect(work / text.length, `of ${size} bytes`).toBeLessThan(12);
    }
  });
});
