import { type HeaderInit, HeaderMap, ResponseHead } from "@cirque/http";
import { describe, expect, it } from "vitest";
import { RawPeer, settled } from "../../test/wire/raw-peer.ts";
import { type ReadResponse, readResponses } from "../../test/wire/read-responses.ts";
import { answer, get, post, TestServer } from "../../test/wire/test-server.ts";
import type { ServerSession } from "../session/server-session.ts";

/** What the handler does with the head before it is written: any filter could. */
interface Case {
  readonly status?: number;
  readonly headers?: HeaderInit;
  readonly body?: readonly string[];
  readonly trailers?: HeaderInit;
}

/** One response to `request`, read strictly, and whether another request on the same connection was answered. */
async function respond(
  { status = 200, headers = [], body = [], trailers }: Case,
  method = "GET",
  version = "1.1",
): Promise<{ response: ReadResponse; raw: string; kept: boolean }> {
  await using server = await TestServer.start((session) => {
    if (session.request.target === "/next") {
      answer(session, "next");
      return;
    }
    session.writeHead(new ResponseHead(status, headers), false);
    for (const chunk of body) session.write(Buffer.from(chunk));
    session.end(trailers && new HeaderMap(trailers));
  });
  const client = await server.client();
  client.send(
    `${method} / HTTP/${version}\r\nHost: a\r\nConnection: keep-alive\r\n\r\n${get("/next", "Connection: close\r\n")}`,
  );
  const { text } = await client.whenClosed();
  const [response, next, ...more] = readResponses(text, method);
  if (response === undefined) throw new Error("no response");
  expect(more).toEqual([]);
  if (next !== undefined) expect(next.body).toBe("next");
  return {
    response,
    raw: text.slice(0, text.indexOf("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n", 1)),
    kept: next !== undefined,
  };
}

describe("the framing of a response (H1S-23, promise P1)", () => {
  it("is a declared length where there is one", async () => {
    const { response, kept } = await respond({ headers: { "content-length": "5" }, body: ["he", "llo"] });
    expect(response).toMatchObject({ status: 200, body: "hello" });
    expect(response.headers.has("transfer-encoding")).toBe(false);
    expect(kept).toBe(true);
  });

  it("is chunked where there is none", async () => {
    const { response, kept } = await respond({ body: ["he", "", "llo"] });
    expect(response.headers.getAll("transfer-encoding")).toEqual(["chunked"]);
    expect(response.body).toBe("hello");
    expect(kept).toBe(true);
  });

  it("is a length of 0 for a head that says that there is no body", async () => {
    await using server = await TestServer.start((session) => session.writeHead(new ResponseHead(404), true));
    const [response] = readResponses(await server.exchange(get("/", "Connection: close\r\n")));
    expect(response?.headers.get("content-length")).toBe("0");
  });

  it("is the end of the connection for HTTP/1.0, which has no chunks", async () => {
    const { response, kept } = await respond({ body: ["he", "llo"] }, "GET", "1.0");
    expect(response.body).toBe("hello");
    expect(response.headers.has("transfer-encoding")).toBe(false);
    expect(response.headers.get("connection")).toBe("close");
    expect(kept).toBe(false);
  });

  it("is a declared length for HTTP/1.0 as well, which keeps the connection if asked to", async () => {
    const { response, kept } = await respond({ headers: { "content-length": "5" }, body: ["hello"] }, "GET", "1.0");
    expect(response.headers.get("connection")).toBe("keep-alive");
    expect(response.body).toBe("hello");
    expect(kept).toBe(true);
  });

  it.each([
    ["a body of chunks", ["x"], [["X-Sum", "1"]]],
    ["no chunks", [], [["X-Sum", "1"]]],
  ] as const)("has trailers behind %s", async (_, body, trailers) => {
    const { response, kept } = await respond({ body, trailers });
    expect(response.trailers?.toJSON()).toEqual({ "x-sum": "1" });
    expect(kept).toBe(true);
  });

  it("leaves out trailers that frame a message, and all of them where a body has a length or the client is of 1.0", async () => {
    const trailers = { "content-length": "9", "transfer-encoding": "chunked", "x-sum": "1" };
    expect((await respond({ body: ["x"], trailers })).response.trailers?.toJSON()).toEqual({ "x-sum": "1" });
    const sized = await respond({ headers: { "content-length": "1" }, body: ["x"], trailers });
    expect(sized).toMatchObject({ response: { body: "x", trailers: undefined }, kept: true });
    expect((await respond({ body: ["x"], trailers }, "GET", "1.0")).response.body).toBe("x");
  });
});

describe("whatever a filter put into a response head", () => {
  it.each([
    ["Transfer-Encoding: chunked", { "transfer-encoding": "chunked" }],
    ["Transfer-Encoding: gzip", { "transfer-encoding": "gzip" }],
    [
      "two of them",
      [
        ["transfer-encoding", "chunked"],
        ["Transfer-Encoding", "chunked"],
      ] as const,
    ],
    ["Connection: keep-alive, x", { connection: "keep-alive, x", "keep-alive": "timeout=1000" }],
  ])("with %s one framing leaves", async (_, headers) => {
    const { response, kept } = await respond({ headers, body: ["hello"] });
    expect(response.headers.getAll("transfer-encoding")).toEqual(["chunked"]);
    expect(response.headers.has("connection")).toBe(false);
    expect(response.headers.has("keep-alive")).toBe(false);
    expect(response.body).toBe("hello");
    expect(kept).toBe(true);
  });

  it("a length and a Transfer-Encoding together leave as the length", async () => {
    const { response, kept } = await respond({
      headers: { "content-length": "5", "transfer-encoding": "chunked" },
      body: ["hello"],
    });
    expect(response.headers.has("transfer-encoding")).toBe(false);
    expect(response.body).toBe("hello");
    expect(kept).toBe(true);
  });

  it("Connection: close closes", async () => {
    const { response, kept } = await respond({ headers: { connection: "Close" }, body: ["x"] });
    expect(response.headers.getAll("connection")).toEqual(["close"]);
    expect(kept).toBe(false);
  });

  it("its Date is kept, or one is added (H1S-22)", async () => {
    expect((await respond({ headers: { date: "yesterday" } })).response.headers.getAll("date")).toEqual(["yesterday"]);
    expect((await respond({})).response.headers.get("date")).toMatch(/^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/);
  });

  it.each([
    [
      "twice",
      [
        ["Content-Length", "5"],
        ["content-length", "5"],
      ] as const,
    ],
    [
      "twice, different",
      [
        ["Content-Length", "5"],
        ["content-length", "6"],
      ] as const,
    ],
    ["negative", { "content-length": "-5" }],
    ["a list", { "content-length": "5, 5" }],
    ["no number", { "content-length": "five" }],
    ["empty", { "content-length": "" }],
    ["hexadecimal", { "content-length": "0x5" }],
    ["beyond 2^53", { "content-length": "9007199254740993" }],
  ])("a length that is %s is an error to the filter, and another head can be sent", async (_, headers) => {
    await using server = await TestServer.start(() => {});
    const { client, session } = await underWay(server);
    expect(() => session.writeHead(new ResponseHead(200, headers), false)).toThrow(
      expect.objectContaining({ code: "InvalidHTTPHeader", source: "internal" }),
    );
    expect(session.responseStarted).toBe(false);
    answer(session, "instead", 500);
    expect(readResponses((await client.whenClosed()).text)).toMatchObject([{ status: 500, body: "instead" }]);
  });

  it.each([100, 101, 103, 199])(
    "a status of %i is not that of a response, and is an error to the filter",
    async (status) => {
      await using server = await TestServer.start(() => {});
      const { client, session } = await underWay(server);
      expect(() => session.writeHead(new ResponseHead(status), true)).toThrow(
        expect.objectContaining({ code: "InternalError" }),
      );
      answer(session, "instead", 500);
      expect(readResponses((await client.whenClosed()).text)).toMatchObject([{ status: 500, body: "instead" }]);
    },
  );

  it("a second head is an error (SES-03)", async () => {
    await using server = await TestServer.start(() => {});
    const { client, session } = await underWay(server);
    answer(session, "first");
    expect(() => session.writeHead(new ResponseHead(200), true)).toThrow(/twice/);
    expect(readResponses((await client.whenClosed()).text)).toHaveLength(1);
  });

  it("body bytes before a head, or behind the end, are dropped (SES-03)", async () => {
    await using server = await TestServer.start((session) => {
      session.write(Buffer.from("too early"));
      session.end();
      answer(session, "hello");
      session.write(Buffer.from("too late"));
      session.end();
    });
    const [response, ...more] = readResponses(await server.exchange(get("/", "Connection: close\r\n")));
    expect(response?.body).toBe("hello");
    expect(more).toEqual([]);
  });
});

describe("a response that has no body (RFC 9112, 6.3)", () => {
  it.each([
    ["204", { status: 204 }, "GET"],
    ["304", { status: 304 }, "GET"],
    ["an answer to HEAD", { status: 200 }, "HEAD"],
  ])("%s has none, whatever is written, and keeps the connection", async (_, response, method) => {
    for (const headers of [{}, { "transfer-encoding": "chunked" }]) {
      const { raw, kept } = await respond({ ...response, headers, body: ["dropped"], trailers: { x: "y" } }, method);
      expect(raw).toMatch(/\r\n\r\n$/);
      expect(raw).not.toMatch(/transfer-encoding/i);
      expect(kept).toBe(true);
    }
  });

  it("204 loses a length, 304 and an answer to HEAD keep theirs (RFC 9110, 8.6)", async () => {
    const headers = { "content-length": "7" };
    expect((await respond({ status: 204, headers, body: ["dropped"] })).response.headers.has("content-length")).toBe(
      false,
    );
    expect((await respond({ status: 304, headers, body: ["dropped"] })).response.headers.get("content-length")).toBe(
      "7",
    );
    const head = await respond({ headers, body: ["dropped"] }, "HEAD");
    expect(head.response.headers.get("content-length")).toBe("7");
    expect(head.kept).toBe(true);
  });
});

describe("a body that is not as long as was declared", () => {
  it("loses what is beyond the length (H1S-23)", async () => {
    const { response, kept } = await respond({ headers: { "content-length": "5" }, body: ["hello world", "!"] });
    expect(response.body).toBe("hello");
    expect(kept).toBe(true);
  });

  it("is seen to be cut when it is shorter (promise P1)", async () => {
    await using server = await TestServer.start(() => {});
    const { client, session } = await underWay(server);
    session.writeHead(new ResponseHead(200, { "content-length": "5" }), false);
    session.write(Buffer.from("hell"));
    await client.until("hell");
    session.end();
    expect(session.responseEnded).toBe(false);
    expect(() => readResponses(client.text)).toThrow(/premature-end/);
    expect((await client.whenClosed()).text).toMatch(/hell$/);
    await server.closed.count(1);
  });

  it("is seen to be cut in chunks, too, when it is aborted", async () => {
    await using server = await TestServer.start(() => {});
    const { client, session } = await underWay(server);
    session.writeHead(new ResponseHead(200), false);
    session.write(Buffer.from("hell"));
    await client.until("hell");
    session.abort();
    expect((await client.whenClosed()).text).toMatch(/\r\n\r\n4\r\nhell\r\n$/);
  });

  it("ends in a reset for HTTP/1.0, where the end of the connection would say that it is whole", async () => {
    await using server = await TestServer.start((session) => {
      session.writeHead(new ResponseHead(200), false);
      session.write(Buffer.from("hell"));
    });
    const client = await server.client();
    await client.send("GET / HTTP/1.0\r\n\r\n").until("hell");
    (await server.sessions.at(0)).abort();
    expect((await client.whenClosed()).reset).toBe(true);
  });
});

describe("interim responses (H1S-19, RFC 9110, 15.2)", () => {
  it("are sent before the response, and never to HTTP/1.0", async () => {
    await using server = await TestServer.start((session) => {
      session.writeInterim(new ResponseHead(103, { link: "</style.css>" }));
      session.writeInterim(new ResponseHead(102));
      answer(session, "hello");
      session.writeInterim(new ResponseHead(103));
    });
    const responses = readResponses(await server.exchange(get("/", "Connection: close\r\n")));
    expect(responses.map(({ status }) => status)).toEqual([103, 102, 200]);
    expect(responses[0]?.headers.get("link")).toBe("</style.css>");
    const old = readResponses(await server.exchange("GET / HTTP/1.0\r\n\r\n"));
    expect(old.map(({ status }) => status)).toEqual([200]);
  });

  it("carry no framing, whatever a filter or an origin put there (RFC 9110, 8.6)", async () => {
    await using server = await TestServer.start((session) => {
      session.writeInterim(
        new ResponseHead(103, {
          "content-length": "5",
          "transfer-encoding": "chunked",
          connection: "close",
          "keep-alive": "timeout=5",
          link: "</a>",
        }),
      );
      answer(session, "hello");
    });
    const [interim, response] = readResponses(await server.exchange(get("/", "Connection: close\r\n")));
    expect(interim?.headers.toJSON()).toEqual({ link: "</a>" });
    expect(response?.body).toBe("hello");
  });

  it.each([101, 200, 204])("with status %i are an error: that would be the response", async (status) => {
    await using server = await TestServer.start(() => {});
    const { client, session } = await underWay(server);
    expect(() => session.writeInterim(new ResponseHead(status))).toThrow(
      expect.objectContaining({ code: "InternalError" }),
    );
    answer(session, "hello");
    expect(readResponses((await client.whenClosed()).text)).toMatchObject([{ status: 200, body: "hello" }]);
  });
});

describe("the bytes of a response", () => {
  it("leave when they are there: the head with the first of them, or at flush (H1S-24)", async () => {
    await using server = await TestServer.start((session) => session.writeHead(new ResponseHead(200), false));
    const client = await server.client();
    client.send(get());
    const session = await server.sessions.at(0);
    await settled();
    expect(client.text).toBe("");
    session.flush();
    await client.until("\r\n\r\n");
    session.write(Buffer.from("event"));
    await client.until("5\r\nevent\r\n");
    session.end();
    await client.until("0\r\n\r\n");
    expect(session.bodyBytesSent).toBe(5);
  });

  it.each([1, 8 * 1024, 8 * 1024 + 1, 300_000])(
    "are the same for a chunk of %i bytes, small or large",
    async (size) => {
      const bytes = Buffer.from(Array.from({ length: size }, (_, i) => i % 256));
      await using server = await TestServer.start((session) => sendBytes(session, bytes));
      for (const target of ["/sized", "/chunked"]) {
        const [response] = readResponses(await server.exchange(get(target, "Connection: close\r\n")));
        expect(Buffer.from(response?.body ?? "", "latin1").equals(bytes)).toBe(true);
      }
    },
  );

  it("are counted as payload, in both directions (H1S-34)", async () => {
    await using server = await TestServer.start((session) => {
      session.readBody({ onData() {}, onEnd: () => answer(session, "hello"), onError() {} });
    });
    await server.exchange(post("12345678", "Connection: close\r\n"));
    expect(await server.sessions.at(0)).toMatchObject({ bodyBytesRead: 8, bodyBytesSent: 5 });
  });

  it("come from an address to an address (H1S-35)", async () => {
    await using server = await TestServer.start();
    using client = await RawPeer.connect(server.port);
    client.send(get());
    expect(await server.sessions.at(0)).toMatchObject({
      clientAddress: `127.0.0.1:${client.socket.localPort}`,
      serverAddress: `127.0.0.1:${server.port}`,
    });
  });
});

/** The session of a request that closes, before anything of its response. */
async function underWay(server: TestServer): Promise<{ client: RawPeer; session: ServerSession }> {
  const client = await server.client();
  client.send(get("/", "Connection: close\r\n"));
  return { client, session: await server.sessions.at(0) };
}

function sendBytes(session: ServerSession, bytes: Buffer): void {
  const length = session.request.target === "/sized" ? { "content-length": String(bytes.length) } : {};
  session.writeHead(new ResponseHead(200, length), false);
  session.write(bytes);
  session.end();
}
