import { RequestHead, ResponseHead } from "@cirque/http";
import { describe, expect, it } from "vitest";
import { CompressionDictionary } from "./compression-dictionary.ts";
import { applyPlan, applyToNotModified, planCompression } from "./compression-plan.ts";
import { type CompressionSettings, resolveSettings } from "./compression-settings.ts";

interface Case {
  readonly request?: Record<string, string>;
  readonly method?: string;
  readonly response?: Record<string, string>;
  readonly status?: number;
  readonly settings?: CompressionSettings;
}

/** What is decided, and the head that follows from it. */
function decide({ request = {}, method = "GET", response = {}, status = 200, settings = {} }: Case) {
  const asked = new RequestHead(method, "/", { "accept-encoding": "gzip", ...request });
  const head = new ResponseHead(status, { "content-type": "text/plain", "content-length": "1000", ...response });
  const resolved = resolveSettings(settings);
  const plan = planCompression(asked, head, resolved, resolved.dictionaries);
  if (status === 304) applyToNotModified(asked, head);
  applyPlan(plan, head, resolved);
  return { action: plan.action, headers: head.headers.toJSON() };
}

const VARY = { vary: "Accept-Encoding" };

describe("a response is compressed", () => {
  it("and its head says so; what was said of the bytes is removed", () => {
    const response = {
      etag: '"a"',
      "accept-ranges": "bytes",
      "content-digest": "sha-256=:AA==:",
      "repr-digest": "sha-256=:AA==:",
      "content-md5": "AA==",
    };
    expect(decide({ response })).toEqual({
      action: "compress",
      headers: { "content-type": "text/plain", "content-encoding": "gzip", etag: 'W/"a"', ...VARY },
    });
  });

  for (const type of [
    "text/html; charset=utf-8",
    "TEXT/CSS",
    "application/json",
    "application/octet-stream",
    "font/ttf",
    "image/svg+xml",
    "image/x-icon",
    "binary/octet-stream",
  ]) {
    it(`if it is ${type}`, () =>
      expect(decide({ response: { "content-type": type } })).toMatchObject({ action: "compress", headers: VARY }));
  }

  for (const type of [
    "image/png",
    "video/mp4",
    "application/zip",
    "application/gzip",
    "application/x-7z-compressed",
    "application/grpc",
    "application/grpc-web-text+proto",
    "font/woff2",
    "",
  ]) {
    it(`not if it is ${type || "of no type"}`, () => {
      const { action, headers } = decide({ response: { "content-type": type } });
      expect(action).toBe("none");
      expect(headers).not.toHaveProperty("vary");
    });
  }

  for (const status of [204, 205, 206, 304, 416]) {
    it(`not with status ${status}`, () => expect(decide({ status })).toMatchObject({ action: "none" }));
  }

  for (const [what, aCase] of Object.entries({
    "with no-transform of the origin": { response: { "cache-control": "public, No-Transform" } },
    "with no-transform of the client": { request: { "cache-control": "no-transform" } },
    "with a Content-Range": { response: { "content-range": "bytes 0-999/1000" } },
    "when it is small": { response: { "content-length": "255" } },
    "with a coding of another kind": { response: { "content-encoding": "deflate" } },
    "with several codings": { response: { "content-encoding": "gzip, br" } },
    "when nothing is to be made": { settings: { codings: [] } },
  } satisfies Record<string, Case>)) {
    it(`not ${what}, and does not vary`, () => {
      const { action, headers } = decide(aCase);
      expect(action).toBe("none");
      expect(headers).not.toHaveProperty("vary");
    });
  }

  it("not for a client that accepts nothing, but varies", () => {
    expect(decide({ request: { "accept-encoding": "deflate" } })).toMatchObject({ action: "none", headers: VARY });
  });

  it("though it is small and an image when the client refuses what is not coded", () => {
    const response = { "content-length": "10", "content-type": "image/png" };
    expect(decide({ request: { "accept-encoding": "gzip, identity;q=0" }, response }).action).toBe("compress");
  });

  it("with the tag kept strong, where that is set", () => {
    const response = { etag: '"a"' };
    expect(decide({ response, settings: { preserveEtag: true } }).headers.etag).toBe('"a"');
    expect(decide({ response, settings: { preserveEtag: ["gzip"] } }).headers.etag).toBe('"a"');
    expect(decide({ response, settings: { preserveEtag: ["br"] } }).headers.etag).toBe('W/"a"');
    expect(decide({ response: { etag: 'W/"a"' } }).headers.etag).toBe('W/"a"');
  });

  it("and its Vary gets no name twice", () => {
    const varyOf = (vary: string) => decide({ response: { vary } }).headers.vary;
    expect(varyOf("Origin")).toBe("Origin, Accept-Encoding");
    expect(varyOf("accept-encoding, Origin")).toBe("accept-encoding, Origin");
    expect(varyOf("*")).toBe("*");
  });

  it("as the server prefers, and with its dictionary", () => {
    const dictionary = new CompressionDictionary(Buffer.from("words"));
    const settings = { dictionaries: [dictionary] };
    const request = { "accept-encoding": "gzip, br, zstd, dcb, dcz", "available-dictionary": dictionary.name };
    const both = { vary: "Accept-Encoding, Available-Dictionary" };
    expect(decide({ request, settings }).headers).toMatchObject({ "content-encoding": "dcz", ...both });
    expect(decide({ request, settings: { ...settings, codings: ["dcb", "br"] } }).headers).toMatchObject({
      "content-encoding": "dcb",
      ...both,
    });
    const other = { ...request, "available-dictionary": ":AAAA:" };
    expect(decide({ request: other, settings }).headers).toMatchObject({ "content-encoding": "zstd", ...both });
    expect(decide({ request }).headers).toMatchObject({ "content-encoding": "zstd", ...VARY });
  });
});

describe("a response that is coded", () => {
  const response = { "content-encoding": "br", etag: '"a"' };

  it("is left alone for a client that accepts it, but varies", () => {
    expect(decide({ request: { "accept-encoding": "br" }, response })).toMatchObject({
      action: "none",
      headers: { ...response, "content-length": "1000", ...VARY },
    });
  });

  for (const accept of ["gzip", "", "br;q=0, *"]) {
    it(`is decompressed for ${JSON.stringify(accept)}`, () => {
      expect(decide({ request: { "accept-encoding": accept }, response })).toEqual({
        action: "decompress",
        headers: { "content-type": "text/plain", etag: 'W/"a"', ...VARY },
      });
    });
  }

  it("is left alone where that is set", () => {
    expect(decide({ response, settings: { decompress: false } }).action).toBe("none");
    expect(decide({ response, settings: { decompress: ["gzip"] } }).action).toBe("none");
    expect(decide({ response, settings: { decompress: ["br"] } }).action).toBe("decompress");
  });
});

describe("a 304", () => {
  const response = { etag: '"a"' };

  it("has the weak tag that the client got", () => {
    const request = { "if-none-match": 'W/"b", W/"a"' };
    expect(decide({ status: 304, request, response }).headers).toMatchObject({ etag: 'W/"a"', ...VARY });
  });

  it("keeps a strong tag for a client that has it", () => {
    const { headers } = decide({ status: 304, request: { "if-none-match": '"a"' }, response });
    expect(headers).toMatchObject({ etag: '"a"' });
    expect(headers).not.toHaveProperty("vary");
  });
});

describe("settings", () => {
  for (const [what, settings] of Object.entries({
    "a level": { levels: { gzip: 10 } },
    "a level that is no integer": { levels: { br: 4.5 } },
    "a coding": { codings: ["deflate" as "gzip"] },
    "the level of a coding": { levels: { deflate: 1 } as object },
    "a size for coding at once": { inlineBytes: 1024 * 1024 },
    "an expansion": { maxExpansion: Number.NaN },
    "a size": { minBytes: -1 },
  } satisfies Record<string, CompressionSettings>)) {
    it(`are refused for ${what} that is none`, () => {
      expect(() => resolveSettings(settings)).toThrow(expect.objectContaining({ code: "InvalidArgument" }));
    });
  }

  it("are refused for dictionaries that clients could not use", () => {
    const refused = expect.objectContaining({ code: "InvalidArgument" });
    expect(() => new CompressionDictionary(Buffer.alloc(0))).toThrow(refused);
    expect(() => new CompressionDictionary(Buffer.alloc(8 * 1024 * 1024 + 1))).toThrow(refused);
    expect(() => new CompressionDictionary(Buffer.from([0x37, 0xa4, 0x30, 0xec, 1, 2]))).toThrow(refused);
  });
});
