import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Base64Decoder } from "./base64-decoder.ts";

function decode(pieces: readonly string[]): { readonly bytes: Buffer; readonly complete: boolean } {
  const decoder = new Base64Decoder();
  const bytes = Buffer.concat(pieces.map((piece) => decoder.push(Buffer.from(piece))));
  return { bytes, complete: decoder.complete };
}

describe("base64", () => {
  it("is undone wherever it is cut, with padding behind any part", () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 20 })),
        fc.array(fc.integer({ min: 1, max: 7 })),
        (parts, cuts) => {
          const text = parts.map((part) => Buffer.from(part).toString("base64")).join("");
          const pieces: string[] = [];
          for (let at = 0, i = 0; at < text.length; i++) {
            const size = cuts[i % cuts.length] ?? text.length;
            pieces.push(text.slice(at, at + size));
            at += size;
          }
          expect(decode(pieces)).toEqual({ bytes: Buffer.concat(parts), complete: true });
        },
      ),
    );
  });

  for (const text of ["a b=", "ab-_", "=aaa", "a===", "aa=a", "====", "ab\r\n", "aaaa====", "\u0000aaa"]) {
    it(`is refused: ${JSON.stringify(text)}`, () => expect(() => decode([text])).toThrow(SyntaxError));
  }

  it("that ends inside a group is not complete", () => {
    expect(decode(["aaaa", "aa"])).toEqual({ bytes: Buffer.from("aaaa", "base64"), complete: false });
  });
});
