import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { byteRanges, conditionalRequests } from "../../src/index.ts";
import { RangeCutter } from "../../src/modules/ranges/range-cutter.ts";
import { okResponse, RawOrigin } from "../harness/raw-origin.ts";
import { readResponses } from "../harness/read-responses.ts";
import { TestProxy } from "../harness/test-proxy.ts";
import { ask, type Outcome, through } from "./through.ts";

const alphabet = "abcdefghijklmnopqrstuvwxyz";
const facts =
  'ETag: "a"\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: text/plain\r\nCache-Control: max-age=5\r\n';
const modules = [conditionalRequests(), byteRanges()];

function send(lines: string, method = "GET", answer?: string): Promise<Outcome> {
  const whole = okResponse(alphabet, facts);
  return through(ask("/", lines, method), {
    modules,
    answer: answer ?? (method === "HEAD" ? whole.slice(0, -26) : whole),
  });
}

describe("a conditional request", () => {
  for (const method of ["GET", "HEAD"]) {
    it(`${method} for what the client has is answered with 304 (RNG-01, RNG-02)`, async () => {
      const { response } = await send('If-None-Match: "b", "a"\r\n', method);
      expect(response).toMatchObject({ status: 304, body: "" });
      const { date: _date, connection: _connection, ...fields } = response.headers.toJSON();
      expect(fields).toEqual({
        etag: '"a"',
        "last-modified": "Sun, 06 Nov 1994 08:49:37 GMT",
        "cache-control": "max-age=5",
      });
    });

    it(`${method} for what is no more is answered with 412 (RNG-03)`, async () => {
      const { response } = await send('If-Match: "b"\r\n', method);
      expect(response).toMatchObject({ status: 412, body: "" });
      expect(response.headers.get("content-length")).toBe("0");
      expect(response.headers.has("content-type")).toBe(false);
    });
  }

  it("goes on when the condition holds, and reaches the origin as it is", async () => {
    const { response, seen } = await send('If-None-Match: "b"\r\nIf-Match: "a"\r\n');
    expect(response).toMatchObject({ status: 200, body: alphabet });
    expect(seen?.head.headers.get("if-none-match")).toBe('"b"');
  });

  it("with another method, or another status, is the origin's business", async () => {
    expect((await send('If-Match: "b"\r\nContent-Length: 0\r\n', "PUT")).response.status).toBe(200);
    const notFound = 'HTTP/1.1 404 Not Found\r\nETag: "a"\r\nContent-Length: 0\r\n\r\n';
    expect((await send('If-None-Match: "a"\r\n', "GET", notFound)).response.status).toBe(404);
  });

  it("leaves the connections usable when the body is short, and does not read it when it is long", async () => {
    const long = 'HTTP/1.1 200 OK\r\nETag: "a"\r\nContent-Length: 10000000\r\n\r\nx';
    await using origin = await RawOrigin.answering(({ head }) =>
      head.path === "/long" ? long : okResponse(alphabet, facts),
    );
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() }, { modules });
    const client = await proxy.client();
    const request = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\nIf-None-Match: "a"\r\n\r\n`;
    await client.send(request("/")).responses(1);
    await client.send(request("/")).responses(2);
    expect(origin.connections.length).toBe(1);
    const text = await client.send(request("/long")).responses(3);
    expect(readResponses(text).map(({ status }) => status)).toEqual([304, 304, 304]);
    const connection = await origin.connections.at(0);
    await connection.when(() => connection.ended || connection.closed, "the end of a connection with the rest");
  });
});

describe("a range", () => {
  it.each([
    ["bytes=0-0", "a", "bytes 0-0/26"],
    ["bytes=1-3", "bcd", "bytes 1-3/26"],
    ["bytes=23-", "xyz", "bytes 23-25/26"],
    ["bytes=-2", "yz", "bytes 24-25/26"],
    ["bytes=25-99", "z", "bytes 25-25/26"],
    ["bytes=0-1,99-", "ab", "bytes 0-1/26"],
  ])("%s is cut out (RNG-06)", async (range, body, contentRange) => {
    const { response } = await send(`Range: ${range}\r\n`);
    expect(response).toMatchObject({ status: 206, body });
    expect(response.headers.get("content-range")).toBe(contentRange);
    expect(response.headers.get("content-length")).toBe(String(body.length));
    expect(response.headers.get("content-type")).toBe("text/plain");
    expect(response.headers.get("etag")).toBe('"a"');
  });

  it("of several parts is multipart/byteranges (RNG-07)", async () => {
    const { response } = await send("Range: bytes=0-1, 5-6, -1\r\n");
    expect(response.status).toBe(206);
    const [, boundary] =
      /^multipart\/byteranges; boundary=([0-9a-f]{16})$/.exec(response.headers.get("content-type") ?? "") ?? [];
    expect(response.headers.has("content-range")).toBe(false);
    const part = (range: string, body: string): string =>
      `--${boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes ${range}/26\r\n\r\n${body}\r\n`;
    expect(response.body).toBe(`${part("0-1", "ab")}${part("5-6", "fg")}${part("25-25", "z")}--${boundary}--\r\n`);
    expect(response.headers.get("content-length")).toBe(String(response.body.length));
  });

  it.each(["bytes=26-", "bytes=-0", "bytes=100-200,300-"])("%s cannot be had (RNG-09)", async (range) => {
    const { response } = await send(`Range: ${range}\r\n`);
    expect(response).toMatchObject({ status: 416, body: "" });
    expect(response.headers.get("content-range")).toBe("bytes */26");
    expect(response.headers.get("content-length")).toBe("0");
    expect(response.headers.has("content-type")).toBe(false);
  });

  it.each(["items=0-1", "bytes=5-1", "bytes=0-5,3-9", "bytes=x", `bytes=${"0-0,".repeat(101)}`])(
    "%s is ignored (RNG-08)",
    async (range) => {
      const { response } = await send(`Range: ${range}\r\n`);
      expect(response).toMatchObject({ status: 200, body: alphabet });
      expect(response.headers.get("accept-ranges")).toBe("bytes");
    },
  );

  it("of nothing is refused, but its end is nothing (RNG-13)", async () => {
    const empty = okResponse("");
    expect((await send("Range: bytes=0-\r\n", "GET", empty)).response.status).toBe(416);
    expect((await send("Range: bytes=-5\r\n", "GET", empty)).response).toMatchObject({ status: 200, body: "" });
  });

  it("depends on If-Range (RNG-05)", async () => {
    const cut = await send('Range: bytes=0-0\r\nIf-Range: "a"\r\n');
    expect(cut.response).toMatchObject({ status: 206, body: "a" });
    for (const other of ['"b"', 'W/"a"', "Sun, 06 Nov 1994 08:49:38 GMT"]) {
      expect((await send(`Range: bytes=0-0\r\nIf-Range: ${other}\r\n`)).response).toMatchObject({
        status: 200,
        body: alphabet,
      });
    }
  });

  it("comes after the conditions", async () => {
    expect((await send('Range: bytes=0-0\r\nIf-None-Match: "a"\r\n')).response.status).toBe(304);
  });

  it("means nothing to HEAD, to POST, to other statuses and where no length is declared (RNG-04, RNG-10)", async () => {
    const head = (await send("Range: bytes=0-0\r\n", "HEAD")).response;
    expect([head.status, head.headers.get("content-length"), head.headers.get("accept-ranges")]).toEqual([
      200,
      "26",
      "bytes",
    ]);
    const post = (await send("Range: bytes=0-0\r\nContent-Length: 0\r\n", "POST")).response;
    expect([post.status, post.headers.has("accept-ranges")]).toEqual([200, false]);
    const partial = "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 2-3/9\r\nContent-Length: 2\r\n\r\ncd";
    expect((await send("Range: bytes=2-3\r\n", "GET", partial)).response).toMatchObject({ status: 206, body: "cd" });
    const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n";
    const unknown = (await send("Range: bytes=0-0\r\n", "GET", chunked)).response;
    expect([unknown.status, unknown.body, unknown.headers.has("accept-ranges")]).toEqual([200, "ab", false]);
  });

  it("can be turned off for a request, and chosen by other rules (RNG-12)", async () => {
    const ranges = byteRanges();
    const off = await through(ask("/", "Range: bytes=0-0\r\n"), {
      modules: [ranges],
      answer: okResponse(alphabet, "Accept-Ranges: bytes\r\n"),
      callbacks: {
        earlyRequestFilter(session) {
          session.module(ranges).enabled = false;
        },
      },
    });
    expect(off.response).toMatchObject({ status: 200, body: alphabet });
    expect(off.response.headers.has("accept-ranges")).toBe(false);
    const own = byteRanges({ select: (_session, _response, range, size) => [{ first: range.length, last: size - 1 }] });
    const chosen = await through(ask("/", "Range: letters\r\n"), { modules: [own], answer: okResponse("0123456789") });
    expect(chosen.response).toMatchObject({ status: 206, body: "789" });
  });

  it("of an answer that a callback gives is cut as well", async () => {
    const { response } = await through(ask("/", "Range: bytes=1-2\r\n"), {
      modules,
      callbacks: { requestFilter: () => new Response("hello") },
    });
    expect(response).toMatchObject({ status: 206, body: "el" });
  });

  it("at the beginning of a long body does not wait for its end", async () => {
    await using origin = await RawOrigin.start(async (connection) => {
      await connection.request();
      connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\nabcdef");
    });
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() }, { modules });
    const [response] = readResponses(await proxy.exchange(ask("/", "Range: bytes=0-2\r\n")));
    expect(response).toMatchObject({ status: 206, body: "abc" });
  });
});

it("parts are cut the same, however the body is chunked", () => {
  const whole = Buffer.from(alphabet);
  const offsets = fc
    .uniqueArray(fc.nat(25), { minLength: 2, maxLength: 10 })
    .map((list) => list.toSorted((a, b) => a - b));
  fc.assert(
    fc.property(offsets, fc.array(fc.integer({ min: 1, max: 9 })), (edges, sizes) => {
      const parts = [];
      for (let i = 0; i + 1 < edges.length; i += 2) {
        parts.push({ first: edges[i] as number, last: edges[i + 1] as number, prefix: `<${i}>` });
      }
      const cutter = new RangeCutter(parts, "$", whole.length);
      let text = "";
      for (let offset = 0, i = 0; offset < whole.length; i++) {
        const data = whole.subarray(offset, offset + (sizes[i] ?? 26));
        offset += data.length;
        const chunk = { data: data as Buffer | undefined, end: false };
        cutter.cut(chunk);
        text += chunk.data ?? "";
      }
      expect(text).toBe(
        `${parts.map(({ first, last, prefix }) => prefix + alphabet.slice(first, last + 1)).join("")}$`,
      );
    }),
  );
});
