import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from "node:zlib";
import { CirqueError } from "@cirque/core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BodyCoder, type BodyCoding } from "./body-coder.ts";
import { CompressionDictionary } from "./compression-dictionary.ts";
import type { ContentCoding, PlainCoding } from "./content-coding.ts";
import { decodingOf } from "./decoding.ts";
import { encodingOf } from "./encoding.ts";

const dictionary = new CompressionDictionary(Buffer.from("the words that all of these bodies are made of".repeat(20)));
const decodeNow: Record<ContentCoding, (body: Buffer) => Buffer> = {
  gzip: (body) => gunzipSync(body),
  br: (body) => brotliDecompressSync(body),
  zstd: (body) => zstdDecompressSync(body),
  dcb: (body) => {
    expect(body.subarray(0, 36)).toEqual(Buffer.concat([Buffer.from("\xffDCB", "latin1"), dictionary.hash]));
    return brotliDecompressSync(body.subarray(36), { dictionary: dictionary.bytes } as object);
  },
  dcz: (body) => {
    const magic = Buffer.from("5e2a4d1820000000", "hex");
    expect(body.subarray(0, 40)).toEqual(Buffer.concat([magic, dictionary.hash]));
    return zstdDecompressSync(body.subarray(40), { dictionary: dictionary.bytes });
  },
};

function encoding(coding: ContentCoding, inlineBytes: number, flush = false): BodyCoding {
  const its = coding === "dcb" || coding === "dcz" ? dictionary : undefined;
  return encodingOf({ coding, level: coding === "gzip" ? 6 : 5, dictionary: its, flush }, inlineBytes);
}

function decoding(coding: PlainCoding, inlineBytes: number, maxExpansion = 2000): BodyCoding {
  return decodingOf(coding, inlineBytes, { maxExpansion }, (message) => CirqueError.upstream("ReadError", message));
}

/** The output for each piece, as it can be had before the next one goes in. */
async function code(coding: BodyCoding, pieces: readonly Buffer[]): Promise<Buffer[]> {
  const coder = new BodyCoder(coding);
  const outputs: Buffer[] = [];
  const all = [...pieces.map((data) => ({ data, end: false })), { data: undefined, end: true }];
  for (const { data, end } of all) {
    const parts = [await coder.push(data, end)];
    while (coder.more) parts.push(await coder.pull());
    outputs.push(Buffer.concat(parts.filter((part) => part !== undefined)));
  }
  expect(coder.bytesIn).toBe(pieces.reduce((sum, piece) => sum + piece.length, 0));
  expect(coder.bytesOut).toBe(outputs.reduce((sum, piece) => sum + piece.length, 0));
  return outputs;
}

const codings = ["gzip", "br", "zstd", "dcb", "dcz"] as const;
const plainCodings = ["gzip", "br", "zstd"] as const;
const someBytes = fc.oneof(
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  fc.tuple(fc.string(), fc.nat(2000)).map(([text, times]) => Buffer.from(text.repeat(times))),
);
const pieces = fc.array(someBytes, { maxLength: 8 });
const inline = fc.constantFrom(0, 100, 16 * 1024);

/** The same bytes in other pieces. */
function split(body: Buffer, sizes: readonly number[]): Buffer[] {
  const parts: Buffer[] = [];
  let at = 0;
  for (let i = 0; at < body.length; i++) {
    const size = 1 + (sizes[i % Math.max(1, sizes.length)] ?? body.length);
    parts.push(body.subarray(at, at + size));
    at += size;
  }
  return parts;
}

describe("what is encoded is decoded to the same bytes, in whatever pieces it comes", () => {
  for (const coding of codings) {
    it(`with ${coding}`, async () => {
      await fc.assert(
        fc.asyncProperty(pieces, inline, fc.boolean(), async (parts, inlineBytes, flush) => {
          const encoded = Buffer.concat(await code(encoding(coding, inlineBytes, flush), parts));
          expect(decodeNow[coding](encoded)).toEqual(Buffer.concat(parts));
        }),
        { numRuns: 40 },
      );
    });
  }

  for (const coding of plainCodings) {
    it(`with ${coding}, decoded here`, async () => {
      await fc.assert(
        fc.asyncProperty(pieces, inline, fc.array(fc.nat(500), { minLength: 1 }), async (parts, inlineBytes, sizes) => {
          const encoded = Buffer.concat(await code(encoding(coding, 1000), parts));
          const decoded = await code(decoding(coding, inlineBytes), split(encoded, sizes));
          expect(Buffer.concat(decoded)).toEqual(Buffer.concat(parts));
        }),
        { numRuns: 40 },
      );
    });
  }
});

for (const coding of plainCodings) {
  describe(coding, () => {
    it("gives all of each piece at once when it is flushed", async () => {
      const events = ["data: 1\n\n", "data: 2\n\n", "data: 3\n\n"].map((text) => Buffer.from(text));
      const outputs = await code(encoding(coding, 16 * 1024, true), events);
      const decoder = new BodyCoder(decoding(coding, 0));
      for (const [i, event] of events.entries()) {
        const parts = [await decoder.push(outputs[i], false)];
        while (decoder.more) parts.push(await decoder.pull());
        expect(Buffer.concat(parts.filter((part) => part !== undefined))).toEqual(event);
      }
      decoder.destroy();
    });

    for (const inlineBytes of [0, 64 * 1024]) {
      const how = inlineBytes === 0 ? "by a stream" : "at once";

      it(`is an error, ${how}, when it is cut, followed by other bytes, or something else`, async () => {
        const encoded = Buffer.concat(await code(encoding(coding, 1000), [Buffer.from("hello".repeat(100))]));
        for (const broken of [
          encoded.subarray(0, -1),
          encoded.subarray(0, 5),
          Buffer.concat([encoded, Buffer.from("garbage")]),
          Buffer.from("nothing of the kind"),
        ]) {
          const failed = expect(code(decoding(coding, inlineBytes), [broken])).rejects;
          await failed.toThrow(`is not what its Content-Encoding, ${coding}, says`);
        }
      });

      it(`is empty, ${how}, when nothing came`, async () => {
        expect(Buffer.concat(await code(decoding(coding, inlineBytes), []))).toHaveLength(0);
      });

      it(`is given up, ${how}, when it expands too far, and before much of it is there`, async () => {
        const bomb = Buffer.concat(await code(encoding(coding, 0), [Buffer.alloc(32 * 1024 * 1024)]));
        const coder = new BodyCoder(decoding(coding, inlineBytes, 20));
        const work = async (): Promise<void> => {
          await coder.push(bomb, true);
          while (coder.more) await coder.pull();
        };
        await expect(work()).rejects.toThrow("expands to more than 20 times its size");
        expect(coder.bytesOut).toBeLessThan(2 * 1024 * 1024);
        coder.destroy();
      });
    }

    it("holds back no more than a piece of what a bomb expands to", async () => {
      const bomb = Buffer.concat(await code(encoding(coding, 0), [Buffer.alloc(8 * 1024 * 1024)]));
      const coder = new BodyCoder(decoding(coding, 0, 1e9));
      let largest = (await coder.push(bomb, false))?.length ?? 0;
      while (coder.more) largest = Math.max(largest, (await coder.pull())?.length ?? 0);
      expect(coder.bytesOut).toBe(8 * 1024 * 1024);
      expect(largest).toBeLessThanOrEqual(256 * 1024);
    });
  });
}

it("several members of gzip, and several frames of zstd, are one body", async () => {
  for (const coding of ["gzip", "zstd"] as const) {
    const [one = Buffer.alloc(0)] = await code(encoding(coding, 0, true), []);
    const part = Buffer.concat([one, ...(await code(encoding(coding, 1000), [Buffer.from("ab")]))]);
    const decoded = await code(decoding(coding, 0), split(Buffer.concat([part, part]), [7]));
    expect(Buffer.concat(decoded).toString()).toBe("abab");
  }
});
