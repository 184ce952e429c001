import { describe, expect, it } from "vitest";
import type { ProxyHttp } from "../src/index.ts";
import { MALFORMED_BODIES, MALFORMED_HEADS } from "./corpora/malformed-responses.ts";
import { type OriginConnection, okResponse, RawOrigin } from "./harness/raw-origin.ts";
import { settled } from "./harness/raw-peer.ts";
import { readResponsesStrictly } from "./harness/strict-reader.ts";
import { get, TestProxy } from "./harness/test-proxy.ts";

interface Setting extends AsyncDisposable {
  readonly origin: RawOrigin;
  readonly proxy: TestProxy<void>;
}

/** A proxy in front of an origin that answers with these bytes, and anything under /good with its own target. */
async function inFrontOf(bytes: string, callbacks: Partial<ProxyHttp> = {}): Promise<Setting> {
  const origin = await RawOrigin.answering(({ head }) =>
    head.path.startsWith("/good") ? okResponse(head.path) : bytes,
  );
  const proxy = await TestProxy.start({ upstreamPeer: () => origin.peer(), ...callbacks });
  return {
    origin,
    proxy,
    [Symbol.asyncDispose]: async () => {
      await proxy[Symbol.asyncDispose]();
      await origin[Symbol.asyncDispose]();
    },
  };
}

/** The next client gets its own answer, over another connection than the one that went wrong. */
async function expectOwnAnswer({ origin, proxy }: Setting): Promise<void> {
  const { messages } = readResponsesStrictly(await proxy.exchange(get("/good")));
  expect(messages.map(({ body }) => body)).toEqual(["/good"]);
  expect(origin.connections.length).toBe(2);
  await (origin.connections.items[0] as OriginConnection).whenClosed();
}

function malformed(proxy: TestProxy<void>, reason: string): Promise<number | undefined> {
  return proxy.metric(`cirque_malformed_responses_total{service="http",reason="${reason}"}`);
}

describe("a response whose head is malformed is answered for by 502", () => {
  it.each(MALFORMED_HEADS)("%s", async (_name, bytes, reason) => {
    await using setting = await inFrontOf(bytes);
    const { messages, rest } = readResponsesStrictly(await setting.proxy.exchange(get("/", "")));
    expect(messages.map(({ line }) => line)).toEqual(["HTTP/1.1 502 Bad Gateway"]);
    expect(rest).toBe("");
    expect(await malformed(setting.proxy, reason)).toBe(1);
    expect(setting.proxy.logger.messages("error")).toEqual(["a request failed"]);
    await expectOwnAnswer(setting);
  });
});

describe("a response whose body is malformed is cut", () => {
  it.each(MALFORMED_BODIES)("%s", async (_name, bytes, reason) => {
    await using setting = await inFrontOf(bytes);
    const { messages, rest } = readResponsesStrictly(await setting.proxy.exchange(get("/", "")));
    expect(messages).toEqual([]);
    expect(rest).toContain("hello");
    expect(await malformed(setting.proxy, reason)).toBe(1);
    await expectOwnAnswer(setting);
  });

  it.each(MALFORMED_BODIES)("%s, for a client of HTTP/1.0", async (_name, bytes) => {
    await using setting = await inFrontOf(bytes);
    const client = await setting.proxy.client();
    // Only a reset tells it from the end.
    expect((await client.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n").whenClosed()).reset).toBe(true);
    await expectOwnAnswer(setting);
  });
});

describe("one client's response never reaches another", () => {
  const poison = okResponse("poison");

  it.each([
    ["a second response behind the first", "GET", okResponse("own") + poison],
    ["a byte behind the body", "GET", `${okResponse("own")}x`],
    ["a body behind a response to HEAD", "HEAD", okResponse("own")],
    [
      "a chunked body behind a response to HEAD",
      "HEAD",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    ],
    ["a body behind 204", "GET", `HTTP/1.1 204 No Content\r\nContent-Length: ${poison.length}\r\n\r\n${poison}`],
    ["a body behind 304", "GET", `HTTP/1.1 304 Not Modified\r\nContent-Length: ${poison.length}\r\n\r\n${poison}`],
    [
      "a response behind the last chunk",
      "GET",
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${poison}`,
    ],
    ["an interim response behind the final one", "GET", `${okResponse("own")}HTTP/1.1 103 Early Hints\r\n\r\n`],
  ])("%s", async (_name, method, bytes) => {
    await using setting = await inFrontOf(bytes);
    const text = await setting.proxy.exchange(get("/", "").replace("GET", method) + get("/good"));
    const { messages, rest } = readResponsesStrictly(text, method);
    expect(messages).toHaveLength(2);
    expect(messages[1]?.body).toBe("/good");
    expect(rest).toBe("");
    expect(text).not.toContain("poison");
    expect(setting.origin.connections.length).toBe(2);
  });

  it("bytes that come later, on the kept connection", async () => {
    await using setting = await inFrontOf(okResponse("own"));
    const client = await setting.proxy.client();
    await client.send(get("/", "")).until("own");
    await settled();
    const connection = await setting.origin.connections.at(0);
    await connection.sendNow(poison);
    await connection.whenClosed();
    const text = await client.clear().send(get("/good")).whenClosed();
    expect(readResponsesStrictly(text.text).messages.map(({ body }) => body)).toEqual(["/good"]);
    expect(setting.proxy.proxy).toBeDefined();
    expect(await setting.proxy.metric("cirque_upstream_unexpected_data_total")).toBe(1);
  });

  it("bytes that come when the kept connection has been taken, and the request has not left", async () => {
    await using setting = await inFrontOf(okResponse("own"), {
      connectedToUpstream: async (_session, reused) => {
        if (!reused) return;
        await (await setting.origin.connections.at(0)).sendNow(poison);
        await settled();
      },
    });
    const client = await setting.proxy.client();
    await client.send(get("/", "")).until("own");
    const { text } = await client.clear().send(get("/good")).whenClosed();
    expect(text).not.toContain("poison");
    expect(readResponsesStrictly(text).messages.map(({ body }) => body)).toEqual(["/good"]);
  });

  it("what an origin says before it was asked is not taken for the answer", async () => {
    await using origin = await RawOrigin.start((connection) => {
      connection.send(poison);
    });
    await using proxy = await TestProxy.start({
      upstreamPeer: () => origin.peer(),
      connectedToUpstream: () => settled(),
    });
    const { messages } = readResponsesStrictly(await proxy.exchange(get()));
    expect(messages.map(({ line }) => line)).toEqual(["HTTP/1.1 502 Bad Gateway"]);
  });

  it("a response that was not read whole, because a filter answered in its place", async () => {
    await using setting = await inFrontOf(okResponse("x".repeat(100_000)), {
      responseFilter: (session) => {
        if (session.request.path === "/") throw new Error("not this one");
      },
    });
    const { messages } = readResponsesStrictly(await setting.proxy.exchange(get()));
    expect(messages.map(({ line }) => line)).toEqual(["HTTP/1.1 500 Internal Server Error"]);
    await expectOwnAnswer(setting);
  });

  it("a response whose client has left", async () => {
    await using setting = await inFrontOf(okResponse("x".repeat(100_000)).slice(0, -1));
    const client = await setting.proxy.client();
    await client.send(get("/", "")).until("xxx");
    client.reset();
    await expectOwnAnswer(setting);
  });
});

describe("a connection with an origin is used again", () => {
  it.each([
    ["of a declared length", okResponse("own")],
    ["of no length", okResponse("")],
    ["of chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nown\r\n0\r\n\r\n"],
    ["204", "HTTP/1.1 204 No Content\r\n\r\n"],
    ["304 with a length", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"],
    ["of HTTP/1.0 that keeps it", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nown"],
    ["behind an interim one", `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${okResponse("own")}`],
  ])("behind a response %s", async (_name, bytes) => {
    await using setting = await inFrontOf(bytes);
    const text = await setting.proxy.exchange(get("/", "") + get("/", "") + get("/good"));
    expect(readResponsesStrictly(text).rest).toBe("");
    expect(text).toMatch(/\r\n\r\n\/good$/);
    expect(setting.origin.connections.length).toBe(1);
  });

  it.each([
    ["says close", okResponse("own", "Connection: close\r\n")],
    ["says close among others", okResponse("own", "Connection: x-a, Close\r\n")],
    ["is of HTTP/1.0", okResponse("own").replace("HTTP/1.1", "HTTP/1.0")],
    ["says it keeps it for no time", okResponse("own", "Keep-Alive: timeout=0\r\n")],
  ])("but not behind a response that %s", async (_name, bytes) => {
    await using setting = await inFrontOf(bytes);
    const text = await setting.proxy.exchange(get("/", "") + get("/good"));
    expect(text).toMatch(/\r\n\r\n\/good$/);
    expect(setting.origin.connections.length).toBe(2);
  });
});

describe("a response that is odd and good is passed on by the letter", () => {
  async function relayed(bytes: string, request = get(), method = "GET") {
    await using origin = await RawOrigin.start(async (connection) => {
      await connection.request();
      connection.send(bytes).end();
    });
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
    return readResponsesStrictly(await proxy.exchange(request), method);
  }

  it("a body that ends with the connection gets chunks", async () => {
    const { messages } = await relayed("HTTP/1.0 200 Fine\r\nX-A: 1\r\n\r\nhello");
    expect(messages).toMatchObject([{ line: "HTTP/1.1 200 Fine", body: "hello" }]);
  });

  it("chunks with extensions and zeros are made plain, trailers kept but those that frame", async () => {
    const { messages } = await relayed(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n005;a=b\r\nhello\r\n0;c\r\nX-Sum: 1\r\nContent-Length: 7\r\n\r\n",
    );
    expect(messages).toMatchObject([{ body: "hello", trailers: [["X-Sum", "1"]] }]);
  });

  it.each(["204 No Content", "304 Not Modified"])("%s loses what frames a body (httpxy #122)", async (status) => {
    const { messages, rest } = await relayed(`HTTP/1.1 ${status}\r\nTransfer-Encoding: chunked\r\nETag: "a"\r\n\r\n`);
    expect(messages).toMatchObject([{ line: `HTTP/1.1 ${status}` }]);
    expect(rest).toBe("");
  });

  it("the length of what GET would have got is kept for HEAD", async () => {
    const request = get().replace("GET", "HEAD");
    const { messages } = await relayed("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", request, "HEAD");
    expect(messages[0]?.fields).toContainEqual(["Content-Length", "5"]);
  });

  it("an unknown status and an empty reason", async () => {
    expect((await relayed("HTTP/1.1 888 \r\nContent-Length: 1\r\n\r\nx")).messages).toMatchObject([
      { line: "HTTP/1.1 888 ", body: "x" },
    ]);
  });

  it("bytes above 0x7f in reason and values", async () => {
    const { messages } = await relayed("HTTP/1.1 200 \xc3\xa9\r\nX-A: \xff\xfe\r\nContent-Length: 0\r\n\r\n");
    expect(messages).toMatchObject([{ line: "HTTP/1.1 200 \xc3\xa9" }]);
    expect(messages[0]?.fields).toContainEqual(["X-A", "\xff\xfe"]);
  });

  it("a client of HTTP/1.0 gets no chunks, and the end of the connection for the end", async () => {
    const bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    const { rest } = await relayed(bytes, "GET / HTTP/1.0\r\n\r\n");
    expect(rest).toMatch(/\r\n\r\nhello$/);
    expect(rest).not.toMatch(/transfer-encoding/i);
  });
});

describe("interim responses", () => {
  const link = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n";

  it("103 is passed on before the final one", async () => {
    await using setting = await inFrontOf(link + link + okResponse("done"));
    const { messages } = readResponsesStrictly(await setting.proxy.exchange(get()));
    expect(messages.map(({ line }) => line)).toEqual([
      "HTTP/1.1 103 Early Hints",
      "HTTP/1.1 103 Early Hints",
      "HTTP/1.1 200 OK",
    ]);
    expect(messages[0]?.fields).toContainEqual(["Link", "</a.css>"]);
  });

  it("103 is passed on at once, while the final one is waited for", async () => {
    await using origin = await RawOrigin.start();
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
    const client = await proxy.client();
    client.send(get());
    const connection = await origin.connections.at(0);
    await connection.requestHead();
    connection.send(link);
    await client.until("</a.css>\r\n\r\n");
    connection.send(okResponse("done"));
    await client.until("done");
  });

  it("none reaches a client of HTTP/1.0", async () => {
    await using setting = await inFrontOf(link + okResponse("done"));
    expect(await setting.proxy.exchange("GET / HTTP/1.0\r\n\r\n")).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  });

  it("100 reaches only a client that expects it", async () => {
    await using setting = await inFrontOf(`HTTP/1.1 100 Continue\r\n\r\n${okResponse("done")}`);
    expect(await setting.proxy.exchange(get())).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    const expecting =
      "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\n";
    expect(await setting.proxy.exchange(`${expecting}hi`)).toMatch(
      /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK\r\n/,
    );
  });

  it("the body follows the 100, when the client waits for it", async () => {
    await using origin = await RawOrigin.start(async (connection) => {
      await connection.requestHead();
      connection.send("HTTP/1.1 100 Continue\r\n\r\n");
      const { body } = await connection.request();
      connection.send(okResponse(body));
    });
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
    const client = await proxy.client();
    const head = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\nConnection: close\r\n\r\n";
    await client.send(head).until("HTTP/1.1 100 Continue\r\n\r\n");
    expect((await origin.connections.at(0)).text).toContain("Expect: 100-continue\r\n");
    expect((await client.send("body").whenClosed()).text).toMatch(/\r\n\r\nbody$/);
  });

  it("a final answer in place of the 100 closes the connection: the body may come or not", async () => {
    await using origin = await RawOrigin.start(async (connection) => {
      await connection.requestHead();
      connection.send("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n");
    });
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
    const client = await proxy.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 40\r\n\r\n");
    const { messages, rest } = readResponsesStrictly((await client.whenClosed()).text);
    expect(messages.map(({ line }) => line)).toEqual(["HTTP/1.1 417 Expectation Failed"]);
    expect(rest).toBe("");
  });

  it("a length on one of them is dropped", async () => {
    await using setting = await inFrontOf(`HTTP/1.1 103 X\r\nContent-Length: 5\r\n\r\n${okResponse("done")}`);
    const { messages } = readResponsesStrictly(await setting.proxy.exchange(get()));
    expect(messages).toMatchObject([{ line: "HTTP/1.1 103 X" }, { body: "done" }]);
  });

  it("without end are cut off", async () => {
    await using setting = await inFrontOf(link.repeat(1000));
    const { messages } = readResponsesStrictly(await setting.proxy.exchange(get()));
    expect(messages.at(-1)?.line).toBe("HTTP/1.1 502 Bad Gateway");
    expect(messages.length).toBeLessThan(20);
    await expectOwnAnswer(setting);
  });

  it("that a filter makes a final one of are a fault of the filter: 500", async () => {
    await using setting = await inFrontOf(link + okResponse("done"), {
      responseFilter: (_session, response) => {
        response.status = 200;
      },
    });
    const { messages } = readResponsesStrictly(await setting.proxy.exchange(get()));
    expect(messages.map(({ line }) => line)).toEqual(["HTTP/1.1 500 Internal Server Error"]);
  });
});
