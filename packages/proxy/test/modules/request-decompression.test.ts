import { brotliCompressSync, gzipSync, zstdCompressSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { type HttpProxyOptions, type ProxyHttp, requestDecompression } from "../../src/index.ts";
import { okResponse, RawOrigin } from "../harness/raw-origin.ts";
import { readResponses } from "../harness/read-responses.ts";
import { TestProxy } from "../harness/test-proxy.ts";
import { through } from "./through.ts";
import { unchanging } from "./unchanging.ts";

const encode = { gzip: gzipSync, br: brotliCompressSync, zstd: zstdCompressSync } as const;
const small = "what the client says ".repeat(10);
const large = Array.from({ length: 60_000 }, (_, i) => `line ${i}\n`).join("");

/** A request with these bytes as its body. */
function put(body: Buffer, fields: string, framing = `Content-Length: ${body.length}\r\n`): string {
  const bytes = framing.startsWith("Content") ? body.toString("latin1") : chunksOf(body);
  return `PUT / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n${framing}${fields}\r\n${bytes}`;
}

function chunksOf(body: Buffer): string {
  let text = "";
  for (let at = 0; at < body.length; at += 100) {
    const chunk = body.subarray(at, at + 100);
    text += `${chunk.length.toString(16)}\r\n${chunk.toString("latin1")}\r\n`;
  }
  return `${text}0\r\n\r\n`;
}

const modules: HttpProxyOptions["modules"] = [requestDecompression()];

for (const coding of ["gzip", "br", "zstd"] as const) {
  describe(`a request body in ${coding}`, () => {
    for (const [size, body] of Object.entries({ empty: "", small, large })) {
      for (const framing of [undefined, "Transfer-Encoding: chunked\r\n"]) {
        it(`is decompressed: ${size}, ${framing ?? "with its length"}`, async () => {
          const request = put(encode[coding](body), `Content-Encoding: ${coding}\r\n`, framing);
          const { seen } = await through(request, { modules });
          expect(seen?.body).toBe(body);
          expect(seen?.head.headers.has("content-encoding")).toBe(false);
          expect(seen?.head.headers.has("content-length")).toBe(false);
          expect(seen?.head.headers.get("transfer-encoding")).toBe("chunked");
        });
      }
    }

    it("that is broken, or cut, is 400", async () => {
      for (const body of [Buffer.from("nothing of the kind"), encode[coding](large).subarray(0, -3)]) {
        const { response } = await through(put(body, `Content-Encoding: ${coding}\r\n`), { modules });
        expect(response.status).toBe(400);
      }
    });

    it("that is larger than it may be is 413, and so is a bomb", async () => {
      const limits = [requestDecompression({ maxBytes: 100_000 })];
      const fields = `Content-Encoding: ${coding}\r\n`;
      expect((await through(put(encode[coding](large), fields), { modules: limits })).response.status).toBe(413);
      expect((await through(put(encode[coding](small), fields), { modules: limits })).response.status).toBe(200);
      const bomb = put(encode[coding](Buffer.alloc(32 * 1024 * 1024)), fields);
      const without = [requestDecompression({ maxBytes: Number.POSITIVE_INFINITY })];
      expect((await through(bomb, { modules: without })).response.status).toBe(413);
    });

    it("is kept as it was decompressed for another attempt", async () => {
      const bodies: string[] = [];
      await using origin = await RawOrigin.start(async (connection) => {
        bodies.push((await connection.request()).body);
        if (connection.index === 0) connection.reset();
        else connection.send(okResponse("ok"));
      });
      const callbacks: ProxyHttp = {
        upstreamPeer: () => origin.peer(),
        errorWhileProxy: (_peer, _session, error) => Object.assign(error, { retry: true }),
      };
      await using proxy = await TestProxy.start(callbacks, { modules });
      const raw = await proxy.exchange(put(encode[coding](small), `Content-Encoding: ${coding}\r\n`));
      expect(readResponses(raw)[0]?.status).toBe(200);
      expect(bodies).toEqual([small, small]);
    });
  });
}

describe("a request", () => {
  for (const codings of ["deflate", "gzip, br", "aws-chunked", "dcz"]) {
    it(`in ${codings} is 415, with what is understood, and never gets to an origin`, async () => {
      const { response, seen } = await through(put(Buffer.from("x"), `Content-Encoding: ${codings}\r\n`), { modules });
      expect(response.status).toBe(415);
      expect(response.headers.get("accept-encoding")).toBe("zstd, br, gzip");
      expect(seen).toBeUndefined();
    });
  }

  it("in a coding that is not to be undone is 415", async () => {
    const fields = "Content-Encoding: br\r\n";
    const request = put(brotliCompressSync(small), fields);
    const { response } = await through(request, { modules: [requestDecompression({ codings: ["gzip"] })] });
    expect(response.status).toBe(415);
    expect(response.headers.get("accept-encoding")).toBe("gzip");
  });

  it("in x-gzip is one in gzip, identity is none", async () => {
    const old = await through(put(gzipSync(small), "Content-Encoding: X-GZIP\r\n"), { modules });
    expect(old.seen?.body).toBe(small);
    const plain = await through(put(Buffer.from(small), "Content-Encoding: identity\r\n"), { modules });
    expect(plain.seen?.body).toBe(small);
    expect(plain.seen?.head.headers.get("content-length")).toBe(String(small.length));
  });

  it("is left alone when a callback says so", async () => {
    const decompression = requestDecompression();
    const body = gzipSync(small);
    const { seen } = await through(put(body, "Content-Encoding: gzip\r\n"), {
      modules: [decompression],
      callbacks: {
        earlyRequestFilter(session) {
          session.module(decompression).enabled = false;
        },
      },
    });
    expect(seen?.body).toBe(body.toString("latin1"));
    expect(seen?.head.headers.get("content-encoding")).toBe("gzip");
  });
});

it("an origin that does not read stops the client, however far the body expands", async () => {
  await using origin = await RawOrigin.start(async (connection) => {
    connection.socket.pause();
  });
  const decompression = requestDecompression({ maxBytes: Number.POSITIVE_INFINITY, maxExpansion: 2000 });
  let sent = 0;
  const sentAll = Promise.withResolvers<void>();
  await using proxy = await TestProxy.start(
    {
      upstreamPeer: () => origin.peer(),
      requestBodyFilter(_session, { data, end }) {
        sent += data?.length ?? 0;
        if (end) sentAll.resolve();
      },
    },
    { modules: [decompression] },
  );
  const client = await proxy.client();
  client.send(put(gzipSync(Buffer.alloc(64 * 1024 * 1024)), "Content-Encoding: gzip\r\n"));
  const connection = await origin.connections.at(0);
  await unchanging(() => sent);
  expect(sent).toBeLessThan(24 * 1024 * 1024);
  connection.socket.resume();
  await sentAll.promise;
  connection.send(okResponse("ok"));
  await client.until("ok");
  expect(sent).toBe(64 * 1024 * 1024);
});

it("settings that are none are refused", () => {
  const refused = expect.objectContaining({ code: "InvalidArgument" });
  expect(() => requestDecompression({ maxBytes: -1 })).toThrow(refused);
  expect(() => requestDecompression({ maxExpansion: 0 })).toThrow(refused);
  expect(() => requestDecompression({ codings: ["deflate" as "gzip"] })).toThrow(refused);
});
