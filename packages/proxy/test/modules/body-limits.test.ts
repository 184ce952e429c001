import { describe, expect, it } from "vitest";
import { bodyLimits } from "../../src/index.ts";
import { okResponse, RawOrigin } from "../harness/raw-origin.ts";
import { readResponses } from "../harness/read-responses.ts";
import { get, post, postChunks, TestProxy } from "../harness/test-proxy.ts";
import { ask, through } from "./through.ts";

const chunked = (...chunks: readonly string[]): string =>
  `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunks.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join("")}0\r\n\r\n`;

describe("a request body", () => {
  const modules = [bodyLimits({ requestBytes: 10 })];

  it("that fits is sent on", async () => {
    expect((await through(post("0123456789"), { modules })).seen?.body).toBe("0123456789");
    expect((await through(postChunks("5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n"), { modules })).seen?.body).toBe(
      "0123456789",
    );
  });

  it("that declares more is refused before it is read", async () => {
    const { response, seen } = await through(
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\nConnection: close\r\n\r\n",
      {
        modules,
      },
    );
    expect(response.status).toBe(413);
    expect(seen).toBeUndefined();
  });

  it("that turns out to have more is refused when it has", async () => {
    await using origin = await RawOrigin.start();
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() }, { modules });
    const client = await proxy.client();
    await client.sendNow(postChunks("a\r\n0123456789\r\n", ""));
    const connection = await origin.connections.at(0);
    await connection.until("0123456789");
    const { text } = await client.send("1\r\nx\r\n").whenClosed();
    expect(readResponses(text)).toMatchObject([{ status: 413 }]);
    await connection.when(() => connection.ended || connection.closed, "the end");
    expect(connection.text).not.toContain("\r\n0\r\n\r\n");
  });

  it("may have another limit for one request", async () => {
    const limits = bodyLimits({ requestBytes: 10 });
    const { seen } = await through(post("0123456789abc"), {
      modules: [limits],
      callbacks: {
        earlyRequestFilter(session) {
          session.module(limits).requestBytes = 13;
        },
      },
    });
    expect(seen?.body).toBe("0123456789abc");
  });
});

describe("a response body", () => {
  const modules = [bodyLimits({ responseBytes: 10 })];

  it("that fits is sent on", async () => {
    expect((await through(ask(), { modules, answer: okResponse("0123456789") })).response.body).toBe("0123456789");
    expect((await through(ask(), { modules, answer: chunked("01234", "56789") })).response.body).toBe("0123456789");
  });

  it("that declares more becomes 502", async () => {
    const { response } = await through(ask(), { modules, answer: okResponse("0123456789a") });
    expect(response.status).toBe(502);
  });

  it("that turns out to have more is cut so that it is seen", async () => {
    await using origin = await RawOrigin.answering(chunked("01234", "56789", "a"));
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() }, { modules });
    const text = await proxy.exchange(get());
    expect(text).toMatch(/^HTTP\/1\.1 200 OK/);
    expect(() => readResponses(text)).toThrow();
  });

  it("that is not sent has no size", async () => {
    const { response } = await through(ask("/", "", "HEAD"), {
      modules,
      answer: "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n",
    });
    expect(response.status).toBe(200);
  });
});

it.each([Number.NaN, -1])("refuses %d for a limit", (bytes) => {
  expect(() => bodyLimits({ requestBytes: bytes })).toThrow(/requestBytes/);
  expect(() => bodyLimits({ responseBytes: bytes })).toThrow(/responseBytes/);
});
