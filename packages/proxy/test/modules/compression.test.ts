import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { request as nodeRequest } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { buffer } from "node:stream/consumers";
import {
  brotliCompressSync,
  brotliDecompressSync,
  createZstdDecompress,
  gunzipSync,
  gzipSync,
  zstdCompressSync,
  zstdDecompressSync,
} from "node:zlib";
import { fetch as undiciFetch } from "undici";
import { describe, expect, it } from "vitest";
import {
  CompressionDictionary,
  type CompressionInfo,
  type HttpModuleFactory,
  type HttpProxyOptions,
  type ProxyHttp,
  responseCompression,
} from "../../src/index.ts";
import { okResponse, RawOrigin } from "../harness/raw-origin.ts";
import { Recorder } from "../harness/recorder.ts";
import { get, TestProxy } from "../harness/test-proxy.ts";
import { ask, through } from "./through.ts";
import { unchanging } from "./unchanging.ts";

const small = "a small body that says the same again and again. ".repeat(20);
const large = Buffer.from(Array.from({ length: 60_000 }, (_, i) => `line ${i}\n`).join("")).toString();
const text = "Content-Type: text/plain\r\n";
const encode = { gzip: gzipSync, br: brotliCompressSync, zstd: zstdCompressSync } as const;
const codings = ["gzip", "br", "zstd"] as const;

const chunked = (body: string): string =>
  `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n${text}\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;

/** A proxy with compression in front of an origin with one answer, for as long as `use` takes. */
async function withProxy<T>(
  answer: string,
  options: HttpProxyOptions,
  use: (proxy: TestProxy<void>) => Promise<T>,
  callbacks: Partial<ProxyHttp> = {},
): Promise<T> {
  await using origin = await RawOrigin.answering(answer);
  await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer(), ...callbacks }, options);
  return await use(proxy);
}

const latin1 = (body: string): Buffer => Buffer.from(body, "latin1");

describe("real clients", () => {
  const clients = { fetch, "fetch of undici": undiciFetch as unknown as typeof fetch };
  for (const [client, ask] of Object.entries(clients)) {
    for (const coding of codings) {
      for (const [size, body] of Object.entries({ small, large })) {
        it(`${client} reads a ${size} body in ${coding}, with a length and without`, async () => {
          for (const answer of [okResponse(body, text), chunked(body)]) {
            await withProxy(answer, { modules: [responseCompression()] }, async (proxy) => {
              const response = await ask(proxy.origin, { headers: { "accept-encoding": coding } });
              expect(response.headers.get("content-encoding")).toBe(coding);
              expect(response.headers.get("vary")).toBe("Accept-Encoding");
              expect(await response.text()).toBe(body);
            });
          }
        });
      }
    }
  }

  it("with HTTP/2 read it", async () => {
    await withProxy(okResponse(large, text), { modules: [responseCompression()] }, async (proxy) => {
      const client = connectHttp2(proxy.origin);
      const stream = client.request({ ":path": "/", "accept-encoding": "br" });
      const [headers] = (await once(stream, "response")) as [Record<string, string>];
      expect(headers["content-encoding"]).toBe("br");
      expect(brotliDecompressSync(await buffer(stream)).toString()).toBe(large);
      client.destroy();
    });
  });

  it("many at once each get their own", async () => {
    await using origin = await RawOrigin.answering(({ head }) => okResponse(`${head.path} ${large}`, text));
    await using proxy = await TestProxy.start(
      { upstreamPeer: () => origin.peer() },
      { modules: [responseCompression()] },
    );
    const bodies = await Promise.all(
      Array.from({ length: 60 }, async (_, i) => {
        const headers = { "accept-encoding": codings[i % 3] as string };
        return (await fetch(`${proxy.origin}/${i}`, { headers })).text();
      }),
    );
    for (const [i, body] of bodies.entries()) expect(body).toBe(`/${i} ${large}`);
  });
});

describe("a response", () => {
  it("is compressed for HEAD as for GET, without a body", async () => {
    const modules = [responseCompression()];
    const fields = "Accept-Encoding: gzip\r\n";
    const { response: got } = await through(ask("/", fields), { modules, answer: okResponse(small, text) });
    const head = `HTTP/1.1 200 OK\r\nContent-Length: ${small.length}\r\n${text}\r\n`;
    const { response } = await through(ask("/", fields, "HEAD"), { modules, answer: head });
    expect(response.body).toBe("");
    for (const { headers } of [got, response]) {
      expect(headers.get("content-encoding")).toBe("gzip");
      expect(headers.get("content-length")).toBeUndefined();
    }
    expect(gunzipSync(latin1(got.body)).toString()).toBe(small);
  });

  it("for a client of HTTP/1.0 ends with the connection", async () => {
    await withProxy(okResponse(small, text), { modules: [responseCompression()] }, async (proxy) => {
      const raw = await proxy.exchange("GET / HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n");
      expect(raw).not.toMatch(/transfer-encoding/i);
      expect(gunzipSync(latin1(raw.slice(raw.indexOf("\r\n\r\n") + 4))).toString()).toBe(small);
    });
  });

  it("that a callback makes is compressed as well", async () => {
    const callbacks: Partial<ProxyHttp> = {
      requestFilter: () => new Response(small, { headers: { "content-type": "text/plain" } }),
    };
    const { response } = await through(ask("/", "Accept-Encoding: br\r\n"), {
      modules: [responseCompression()],
      callbacks,
    });
    expect(brotliDecompressSync(latin1(response.body)).toString()).toBe(small);
  });

  it("uses the dictionary that the client has", async () => {
    const dictionary = new CompressionDictionary(randomBytes(2000));
    const body = `${dictionary.bytes.toString("latin1")} and no more`;
    const modules = [responseCompression({ dictionaries: [dictionary] })];
    for (const [coding, prefix] of [
      ["dcz", 40],
      ["dcb", 36],
    ] as const) {
      const fields = `Accept-Encoding: ${coding}\r\nAvailable-Dictionary: ${dictionary.name}\r\n`;
      const { response } = await through(ask("/", fields), { modules, answer: okResponse(body, text) });
      expect(response.headers.get("content-encoding")).toBe(coding);
      expect(response.headers.get("vary")).toBe("Accept-Encoding, Available-Dictionary");
      expect(response.body.length).toBeLessThan(120);
      const decoder = coding === "dcz" ? zstdDecompressSync : brotliDecompressSync;
      const decoded = decoder(latin1(response.body).subarray(prefix), { dictionary: dictionary.bytes } as object);
      expect(decoded.toString("latin1")).toBe(body);
    }
  });

  for (const coding of codings) {
    for (const [size, body] of Object.entries({ small, large })) {
      it(`of an origin in ${coding}, ${size}, is decompressed for a client that asks for none`, async () => {
        const coded = encode[coding](body).toString("latin1");
        const answer = okResponse(coded, `${text}Content-Encoding: ${coding}\r\n`);
        const { response } = await through(ask(), { modules: [responseCompression()], answer });
        expect(response.headers.get("content-encoding")).toBeUndefined();
        expect(response.headers.get("vary")).toBe("Accept-Encoding");
        expect(response.body).toBe(body);
      });
    }
  }
});

describe("an event stream", () => {
  for (const [what, fields, options] of [
    ["is passed on event by event", "Content-Type: text/event-stream\r\n", {}],
    ["is what the origin says it is", `${text}X-Accel-Buffering: no\r\n`, {}],
    ["is what the settings say it is", text, { flush: "always" }],
  ] as const) {
    it(what, async () => {
      await using origin = await RawOrigin.start(async (connection) => {
        await connection.request();
        connection.send(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n${fields}\r\n`);
      });
      await using proxy = await TestProxy.start(
        { upstreamPeer: () => origin.peer() },
        { modules: [responseCompression(options)] },
      );
      const sent = nodeRequest(proxy.origin, { headers: { "accept-encoding": "zstd" } }).end();
      const [response] = (await once(sent, "response")) as [NodeJS.ReadableStream];
      const events = response.pipe(createZstdDecompress());
      const ended = once(events, "end");
      const connection = await origin.connections.at(0);
      for (const event of ["data: 1\n\n", "data: 2\n\n", "data: 3\n\n"]) {
        connection.send(`${event.length.toString(16)}\r\n${event}\r\n`);
        // The next one is only sent when this one is here.
        const [data] = (await once(events, "data")) as [Buffer];
        expect(data.toString()).toBe(event);
      }
      connection.send("0\r\n\r\n");
      await ended;
    });
  }
});

describe("what cannot be coded", () => {
  /** What the client gets of such a response, and what is logged. */
  async function cut(coding: string, body: Buffer) {
    const answer = okResponse(body.toString("latin1"), `${text}Content-Encoding: ${coding}\r\n`);
    return withProxy(answer, { modules: [responseCompression()] }, async (proxy) => {
      const raw = await proxy.exchange(get());
      return { raw, log: proxy.logger.records.map(({ fields }) => String(fields["err"])).join("\n") };
    });
  }

  for (const coding of codings) {
    for (const [what, make] of Object.entries({
      "is broken": () => Buffer.from("no such thing, ".repeat(1000)),
      "ends too early": () => encode[coding](randomBytes(100_000)).subarray(0, -4),
      "is a bomb": () => encode[coding](Buffer.alloc(64 * 1024 * 1024)),
    })) {
      it(`in ${coding}, as it ${what}, is cut so that the client sees it, and logged`, async () => {
        const { raw, log } = await cut(coding, make());
        expect(raw).not.toMatch(/\r\n0\r\n\r\n$/);
        expect(raw.length).toBeLessThan(16 * 1024 * 1024);
        expect(log).toMatch(/is not what its Content-Encoding|expands to more than/);
      });
    }
  }

  it("as the encoder fails, is cut, and never goes on in plain text (CMP-13)", async () => {
    await using origin = await RawOrigin.start(async (connection) => {
      await connection.request();
      connection.send(`HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n${text}\r\n${"a".repeat(1_000_000)}`);
    });
    const compression = responseCompression();
    const pieces = new Recorder<number>();
    // What a filter hands on that is no bytes makes the encoder fail.
    const saboteur: HttpModuleFactory = {
      name: "saboteur",
      create: () => ({
        responseBodyFilter(_session, chunk) {
          pieces.add(chunk.data?.length ?? 0);
          if (pieces.length === 3) chunk.data = { length: 5 } as Buffer;
        },
      }),
    };
    await using proxy = await TestProxy.start(
      { upstreamPeer: () => origin.peer() },
      { modules: [saboteur, compression] },
    );
    const raw = await proxy.exchange(get("/", "Accept-Encoding: gzip\r\nConnection: close\r\n"));
    expect(raw).toMatch(/content-encoding: gzip/i);
    expect(raw).not.toMatch(/\r\n0\r\n\r\n$/);
    expect(raw).not.toContain("aaaaaaaa");
  });
});

describe("a client that does not read", () => {
  it("stops an origin, however far its body expands", async () => {
    // 64 KiB of a coding that stand for 64 MiB.
    const coded = gzipSync(Buffer.alloc(64 * 1024 * 1024));
    const answer = okResponse(coded.toString("latin1"), `${text}Content-Encoding: gzip\r\n`);
    await using origin = await RawOrigin.answering(answer);
    const info = responseCompression({ maxExpansion: 2000 });
    let seen: (() => CompressionInfo | undefined) | undefined;
    const over = Promise.withResolvers<void>();
    await using proxy = await TestProxy.start(
      {
        upstreamPeer: () => origin.peer(),
        responseFilter(session) {
          const module = session.module(info);
          seen = () => module.getInfo();
        },
        logging: () => over.resolve(),
      },
      { modules: [info] },
    );
    const client = await proxy.client();
    client.socket.pause();
    client.send(get());
    await unchanging(() => seen?.()?.bytesOut ?? 0);
    expect(seen?.()).toMatchObject({ action: "decompress", coding: "gzip" });
    expect(seen?.()?.bytesOut).toBeLessThan(24 * 1024 * 1024);
    client.socket.resume();
    await client.whenClosed();
    await over.promise;
    expect(seen?.()?.bytesOut).toBe(64 * 1024 * 1024);
  });

  it("and leaves takes the encoder with it", async () => {
    await using origin = await RawOrigin.start(async (connection) => {
      await connection.request();
      connection.send(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n${text}\r\n`);
      const piece = randomBytes(50_000).toString("hex");
      while (!connection.closed) {
        await connection.sendNow(`${piece.length.toString(16)}\r\n${piece}\r\n`);
      }
    });
    const over = Promise.withResolvers<string | undefined>();
    await using proxy = await TestProxy.start(
      { upstreamPeer: () => origin.peer(), logging: (_session, error) => over.resolve(error?.source) },
      { modules: [responseCompression()] },
    );
    const client = await proxy.client();
    client.send(get("/", "Accept-Encoding: gzip\r\n"));
    await client.until("HTTP/1.1 200");
    client.reset();
    expect(await over.promise).toBe("downstream");
    await (await origin.connections.at(0)).whenClosed();
  });
});

describe("callbacks", () => {
  it("adjust one response, and read what became of it", async () => {
    const compression = responseCompression();
    let info: CompressionInfo | undefined;
    let late: unknown;
    const callbacks: Partial<ProxyHttp> = {
      earlyRequestFilter: (session) => session.module(compression).adjust({ codings: ["gzip"], levels: { gzip: 1 } }),
      responseBodyFilter(session) {
        try {
          session.module(compression).adjust({ codings: [] });
        } catch (error) {
          late = error;
        }
      },
      logging(session) {
        info = session.module(compression).getInfo();
      },
    };
    const { response } = await through(ask("/", "Accept-Encoding: br, gzip\r\n"), {
      modules: [compression],
      answer: okResponse(small, text),
      callbacks,
    });
    expect(gunzipSync(latin1(response.body)).toString()).toBe(small);
    expect(info).toMatchObject({
      action: "compress",
      coding: "gzip",
      bytesIn: small.length,
      bytesOut: response.body.length,
    });
    expect(info?.timeMs).toBeGreaterThan(0);
    expect(late).toMatchObject({ code: "InvalidArgument" });
  });

  it("set and take away dictionaries", async () => {
    const compression = responseCompression();
    const dictionary = new CompressionDictionary(Buffer.from(small));
    const fields = `Accept-Encoding: dcb, gzip\r\nAvailable-Dictionary: ${dictionary.name}\r\n`;
    const had: boolean[] = [];
    const { response } = await through(ask("/", fields), {
      modules: [compression],
      answer: okResponse(small, text),
      callbacks: {
        earlyRequestFilter(session) {
          const module = session.module(compression);
          had.push(module.hasDictionary);
          module.setDictionary(dictionary);
          had.push(module.hasDictionary);
        },
      },
    });
    expect(response.headers.get("content-encoding")).toBe("dcb");
    const cleared = await through(ask("/", fields), {
      modules: [compression],
      answer: okResponse(small, text),
      callbacks: {
        earlyRequestFilter(session) {
          const module = session.module(compression);
          module.setDictionary(dictionary);
          module.clearDictionary();
          had.push(module.hasDictionary);
        },
      },
    });
    expect(cleared.response.headers.get("content-encoding")).toBe("gzip");
    expect(had).toEqual([false, true, false]);
  });
});

describe("compression in two places", () => {
  it("as an upstream module comes before the callbacks that see what a cache would keep", async () => {
    let kept = "";
    let coding: string | undefined;
    await withProxy(
      okResponse(small, text),
      { upstreamModules: [responseCompression()] },
      async (proxy) => {
        const response = await fetch(proxy.origin, { headers: { "accept-encoding": "gzip" } });
        expect(await response.text()).toBe(small);
      },
      {
        upstreamResponseFilter(_session, head) {
          coding = head.headers.get("content-encoding");
        },
        upstreamResponseBodyFilter(_session, { data }) {
          kept += data?.toString("latin1") ?? "";
        },
      },
    );
    expect(coding).toBe("gzip");
    expect(gunzipSync(latin1(kept)).toString()).toBe(small);
  });

  it("can be both: what upstream decompresses, downstream compresses", async () => {
    const bytes = gzipSync(large).toString("latin1");
    await using origin = await RawOrigin.answering(okResponse(bytes, `${text}Content-Encoding: gzip\r\n`));
    let between = "";
    await using proxy = await TestProxy.start(
      {
        upstreamPeer: () => origin.peer(),
        responseBodyFilter(_session, { data }) {
          between += data?.toString() ?? "";
        },
      },
      { upstreamModules: [responseCompression({ codings: [] })], modules: [responseCompression()] },
    );
    const response = await fetch(proxy.origin, { headers: { "accept-encoding": "zstd" } });
    expect(response.headers.get("content-encoding")).toBe("zstd");
    expect(await response.text()).toBe(large);
    expect(between).toBe(large);
  });
});
