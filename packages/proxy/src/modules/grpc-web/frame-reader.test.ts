import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FrameReader } from "./frame-reader.ts";

function frame(message: Uint8Array, flags = 0): Buffer {
  const header = Buffer.alloc(5);
  header[0] = flags;
  header.writeUInt32BE(message.length, 1);
  return Buffer.concat([header, message]);
}

describe("frames", () => {
  it("are found wherever they are cut, and only their ends are ends", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 400 })), fc.integer({ min: 1, max: 300 }), (messages, size) => {
        const ends = new Set([0]);
        let bytes = Buffer.alloc(0);
        for (const [i, message] of messages.entries()) {
          bytes = Buffer.concat([bytes, frame(message, i % 2)]);
          ends.add(bytes.length);
        }
        const reader = new FrameReader();
        for (let at = 0; at < bytes.length; at += size) {
          reader.push(bytes.subarray(at, at + size));
          expect(reader.betweenFrames).toBe(ends.has(Math.min(at + size, bytes.length)));
        }
      }),
    );
  });

  it("may be as long as their header can say, and nothing is kept for that", () => {
    const reader = new FrameReader();
    reader.push(Buffer.from([0, 0xff, 0xff, 0xff, 0xff]));
    reader.push(Buffer.alloc(1000));
    expect(reader.betweenFrames).toBe(false);
  });

  for (const flags of [2, 0x80, 0x81, 0xff]) {
    it(`with flags ${flags} are refused`, () => {
      const reader = new FrameReader();
      reader.push(frame(Buffer.from("ok")));
      expect(() => reader.push(frame(Buffer.from("x"), flags))).toThrow(SyntaxError);
    });
  }
});
