import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { MALFORMED_REQUESTS } from "./corpora/malformed-requests.ts";
import { type OriginConnection, okResponse, RawOrigin } from "./harness/raw-origin.ts";
import { readRequestsStrictly, readResponsesStrictly, type StrictMessage } from "./harness/strict-reader.ts";
import { get, post, postChunks, TestProxy } from "./harness/test-proxy.ts";

const SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n";

let origin: RawOrigin;
let proxy: TestProxy<void>;

beforeAll(async () => {
  origin = await RawOrigin.answering((request) => okResponse(`${request.head.target} ${request.body.length}`));
  proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
});

afterAll(async () => {
  await proxy[Symbol.asyncDispose]();
  await origin[Symbol.asyncDispose]();
});

/** All requests that the origin was sent since `before`, read by the letter; what was cut must be of a closed connection. */
function sentToOrigin(): readonly StrictMessage[] {
  return origin.connections.items.flatMap((connection: OriginConnection) => {
    const { messages, rest } = readRequestsStrictly(connection.text);
    if (rest !== "" && !connection.ended && !connection.closed) throw new Error("half a request, and no end");
    return messages;
  });
}

function refused(reason: string): Promise<number | undefined> {
  return proxy.metric(`cirque_refused_messages_total{service="http",reason="${reason}"}`);
}

describe.each(Object.entries(MALFORMED_REQUESTS))("a request with a fault in %s", (_fault, requests) => {
  it.each(requests)("%s", async (_name, bytes, status, reason) => {
    const bystander = await proxy.client();
    await bystander.send(get("/before", "")).responses(1);
    const refusedBefore = (await refused(reason)) ?? 0;
    const loggedBefore = proxy.logger.records.length;

    const text = await proxy.exchange(bytes + SMUGGLED);
    const { messages, rest } = readResponsesStrictly(text);
    expect(messages.map(({ line }) => line.split(" ")[1])).toEqual([String(status)]);
    expect(rest).toBe("");
    expect(messages[0]?.fields).toContainEqual(["Connection", "close"]);

    expect(await refused(reason)).toBe(refusedBefore + 1);
    const logged = proxy.logger.records.slice(loggedBefore).filter(({ message }) => message === "a client was refused");
    expect(logged.map(({ fields }) => [fields.reason, fields.status])).toEqual([[reason, status]]);

    await bystander.send(get("/after", "")).responses(2);
    const targets = sentToOrigin().map(({ line }) => line.split(" ")[1]);
    expect(targets).not.toContain("/path");
    expect(targets).not.toContain("/smuggled");
    bystander[Symbol.dispose]();
  });
});

describe("a request that is odd and good", () => {
  async function relayed(bytes: string, ...methods: readonly string[]): Promise<readonly StrictMessage[]> {
    const before = sentToOrigin().length;
    const { rest } = readResponsesStrictly(await proxy.exchange(bytes), ...methods);
    expect(rest).toBe("");
    return sentToOrigin().slice(before);
  }

  it("one blank line before it", async () => {
    expect(await relayed(`\r\n${get("/blank")}`)).toMatchObject([{ line: "GET /blank HTTP/1.1" }]);
  });

  it("names keep their case and order, values their bytes", async () => {
    const [sent] = await relayed(get("/", "x-b: 2\r\nX-a:1\r\nx-B: \xff\xe9\r\nConnection: close\r\n"));
    expect(sent?.fields).toEqual([
      ["Host", "a.example"],
      ["x-b", "2"],
      ["X-a", "1"],
      ["x-B", "\xff\xe9"],
    ]);
  });

  it("a coding in capitals, chunk extensions, sizes with zeros: sent on in one plain way", async () => {
    const bytes =
      'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED\r\nConnection: close\r\n\r\n005;a="b;c"\r\nhello\r\n0;x\r\n\r\n';
    const [sent] = await relayed(bytes);
    expect(sent?.body).toBe("hello");
    expect(sent?.fields).toContainEqual(["Transfer-Encoding", "chunked"]);
  });

  it("an absolute target is sent in origin form (RFC 9112, 3.2.1)", async () => {
    const absolute = (target: string, method = "GET"): string =>
      `${method} ${target} HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n`;
    expect(await relayed(absolute("http://a.example/b?c=d"))).toMatchObject([{ line: "GET /b?c=d HTTP/1.1" }]);
    expect(await relayed(absolute("http://a.example"))).toMatchObject([{ line: "GET / HTTP/1.1" }]);
    expect(await relayed(absolute("http://a.example?c"))).toMatchObject([{ line: "GET /?c HTTP/1.1" }]);
    expect(await relayed(absolute("http://a.example", "OPTIONS"))).toMatchObject([{ line: "OPTIONS * HTTP/1.1" }]);
    expect(await relayed(absolute("http://a.example/", "OPTIONS"))).toMatchObject([{ line: "OPTIONS / HTTP/1.1" }]);
  });

  it("OPTIONS for the server", async () => {
    expect(await relayed("OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).toMatchObject([
      { line: "OPTIONS * HTTP/1.1" },
    ]);
  });

  it("HTTP/1.0 without Host gets the one of its target, else that of the origin", async () => {
    const [named] = await relayed("GET http://b.example/x HTTP/1.0\r\n\r\n");
    expect(named).toMatchObject({ line: "GET /x HTTP/1.1", fields: [["Host", "b.example"]] });
    const [unnamed] = await relayed("GET /y HTTP/1.0\r\n\r\n");
    expect(unnamed).toMatchObject({ line: "GET /y HTTP/1.1", fields: [["Host", origin.address]] });
  });

  it("a body of any method, an unknown one too, keeps its framing", async () => {
    const methods = ["GET", "DELETE", "OPTIONS", "PROPFIND", "MAKE-TEA"];
    for (const method of methods) {
      const bytes = postChunks(`${SMUGGLED.length.toString(16)}\r\n${SMUGGLED}\r\n0\r\n\r\n`).replace("POST", method);
      expect(await relayed(bytes), method).toMatchObject([{ line: `${method} / HTTP/1.1`, body: SMUGGLED }]);
      expect(await relayed(post(SMUGGLED).replace("POST", method)), method).toMatchObject([{ body: SMUGGLED }]);
    }
  });

  it("a body of no bytes, declared or chunked", async () => {
    expect(await relayed(post(""))).toMatchObject([{ body: "" }]);
    expect(await relayed(postChunks("0\r\n\r\n"))).toMatchObject([{ body: "" }]);
  });

  it("pipelined requests are sent on one by one, and answered in order", async () => {
    const bytes = get("/1", "") + post("four", "") + postChunks("2\r\nxy\r\n0\r\n\r\n", "") + get("/4");
    const before = sentToOrigin().length;
    const { messages } = readResponsesStrictly(await proxy.exchange(bytes));
    expect(messages.map(({ body }) => body)).toEqual(["/1 0", "/ 4", "/ 2", "/4 0"]);
    expect(sentToOrigin()).toHaveLength(before + 4);
  });

  it("what comes behind `Connection: close` is ignored", async () => {
    expect(await relayed(get("/last") + SMUGGLED)).toMatchObject([{ line: "GET /last HTTP/1.1" }]);
  });

  it("trailers are sent on, without those that frame or route", async () => {
    const [sent] = await relayed(postChunks("1\r\nx\r\n0\r\nX-Sum: 1\r\nContent-Length: 9\r\nHost: b\r\n\r\n"));
    expect(sent).toMatchObject({ body: "x", trailers: [["X-Sum", "1"]] });
  });
});

describe("a malformed request behind a good one on the same connection", () => {
  it("the good one is answered first, then the refusal closes", async () => {
    const text = await proxy.exchange(get("/good", "") + get("/bad", "a : b\r\n") + SMUGGLED);
    const { messages, rest } = readResponsesStrictly(text);
    expect(messages.map(({ line }) => line.split(" ")[1])).toEqual(["200", "400"]);
    expect(rest).toBe("");
  });
});
