import { REFUSAL_REASONS, type RefusalReason } from "@cirque/http";
import { describe, expect, it } from "vitest";
import { CollectingSink } from "../../test/wire/collecting-sink.ts";
import { RawPeer } from "../../test/wire/raw-peer.ts";
import { readResponses } from "../../test/wire/read-responses.ts";
import { answer, answerTarget, get, postChunks, TestServer } from "../../test/wire/test-server.ts";
import type { CirqueError } from "../errors/cirque-error.ts";
import type { ServerSession } from "../session/server-session.ts";
import type { Http1ServerOptions } from "./server-options.ts";

const small: Http1ServerOptions = {
  limits: { headBytes: 200, fieldBytes: 100, fields: 4, targetBytes: 50, chunkExtensionBytes: 20, trailerBytes: 50 },
};

/** For each reason, a request that is refused for it, and the status. */
const HEADS: Partial<Record<RefusalReason, readonly [status: number, bytes: string]>> = {
  "bare-cr": [400, get("/", "a: b\rc: d\r\n")],
  "bare-lf": [400, get("/", "a: b\nc: d\r\n")],
  "blank-lines": [400, `\r\n\r\n${get()}`],
  "invalid-request-line": [400, "GET /\r\n\r\n"],
  "invalid-method": [400, "G@T / HTTP/1.1\r\nHost: a\r\n\r\n"],
  "method-too-long": [501, `${"X".repeat(40)} / HTTP/1.1\r\nHost: a\r\n\r\n`],
  "invalid-target": [400, "GET /# HTTP/1.1\r\nHost: a\r\n\r\n"],
  "invalid-version": [400, "GET / HTTP/1.10\r\nHost: a\r\n\r\n"],
  "unsupported-version": [505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n"],
  "target-too-long": [414, get(`/${"x".repeat(60)}`)],
  "invalid-field-name": [400, get("/", "a : b\r\n")],
  "invalid-field-value": [400, get("/", "a: \0\r\n")],
  "missing-colon": [400, get("/", "a\r\n")],
  "obsolete-line-folding": [400, get("/", "a: b\r\n c\r\n")],
  "field-too-large": [431, get("/", `a: ${"x".repeat(100)}\r\n`)],
  "head-too-large": [431, get("/", `a: ${"x".repeat(80)}\r\nb: ${"x".repeat(80)}\r\n`)],
  "too-many-fields": [431, get("/", "a: b\r\nc: d\r\ne: f\r\ng: h\r\n")],
  "missing-host": [400, "GET / HTTP/1.1\r\n\r\n"],
  "repeated-host": [400, get("/", "Host: b\r\n")],
  "invalid-host": [400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"],
  "authority-mismatch": [400, "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n"],
  "content-length-and-transfer-encoding": [400, postChunks("0\r\n\r\n", "Content-Length: 5\r\n")],
  "repeated-content-length": [400, get("/", "Content-Length: 0\r\nContent-Length: 0\r\n")],
  "invalid-content-length": [400, get("/", "Content-Length: +1\r\n")],
  "invalid-transfer-encoding": [400, get("/", "Transfer-Encoding: ,chunked\r\n")],
  "unsupported-transfer-coding": [501, get("/", "Transfer-Encoding: gzip, chunked\r\n")],
  "transfer-encoding-in-http-1.0": [400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
};

/** Likewise, refused while the body is read. */
const BODIES: Partial<Record<RefusalReason, readonly [status: number, bytes: string]>> = {
  "invalid-chunk-size": [400, postChunks("5x\r\nhello\r\n0\r\n\r\n")],
  "invalid-chunk-extension": [400, postChunks("5;\0\r\nhello\r\n0\r\n\r\n")],
  "chunk-extension-too-large": [413, postChunks(`5;${"x".repeat(30)}\r\nhello\r\n0\r\n\r\n`)],
  "invalid-chunk-end": [400, postChunks("5\r\nhello!\r\n0\r\n\r\n")],
  "trailers-too-large": [431, postChunks(`0\r\na: ${"x".repeat(60)}\r\n\r\n`)],
};

/** What no request can be refused for at all, or not with an answer. */
const OTHERS: readonly RefusalReason[] = ["invalid-status-line", "premature-end"];

describe("a malformed head", () => {
  it.each(Object.entries(HEADS))(
    "%s is refused, with its status and reason, and closes",
    async (reason, [status, bytes]) => {
      await using server = await TestServer.start(answerTarget, small);
      using bystander = await RawPeer.connect(server.port);
      await bystander.send(get("/before")).until("/before");
      const client = await server.client();
      const { text, reset } = await client.send(bytes + get("/smuggled")).whenClosed();
      const [response, ...more] = readResponses(text);
      expect(response?.status).toBe(status);
      expect(response?.headers.toJSON()).toMatchObject({
        connection: "close",
        "content-length": "0",
        "cache-control": "private, no-store",
        date: expect.stringMatching(/ GMT$/),
      });
      expect(more).toEqual([]);
      expect(reset).toBe(false);
      expect(server.refusals.items).toEqual([
        { reason, status, message: expect.any(String), clientAddress: expect.stringMatching(/^127\.0\.0\.1:\d+$/) },
      ]);
      expect(server.sessions.length).toBe(1);
      await bystander.send(get("/after")).until("\r\n\r\n/after");
    },
  );

  it("is refused behind requests that were answered", async () => {
    await using server = await TestServer.start(answerTarget);
    const responses = readResponses(await server.exchange(get("/1") + get("/2") + get("/3", "a b: c\r\n")));
    expect(responses.map(({ status, body }) => [status, body])).toEqual([
      [200, "/1"],
      [200, "/2"],
      [400, ""],
    ]);
    expect(server.refusals.items).toMatchObject([{ reason: "invalid-field-name" }]);
  });

  it("is not answered before the requests in front of it", async () => {
    await using server = await TestServer.start(() => {});
    const client = await server.client();
    client.send(get("/waits") + get("/3", "a b: c\r\n"));
    answerTarget(await server.sessions.at(0));
    const responses = readResponses((await client.whenClosed()).text);
    expect(responses.map(({ status }) => status)).toEqual([200, 400]);
  });
});

describe("a malformed body", () => {
  it.each(Object.entries(BODIES))(
    "%s is an error of the body, with status and reason",
    async (reason, [status, bytes]) => {
      await using server = await TestServer.start(readThenAnswer, small);
      const [response, ...more] = readResponses(await server.exchange(bytes + get("/smuggled")));
      expect(response?.status).toBe(status);
      expect(response?.headers.get("connection")).toBe("close");
      expect(more).toEqual([]);
      expect(server.refusals.items).toMatchObject([{ reason, status }]);
      expect(server.sessions.length).toBe(1);
    },
  );

  it("behind a response that has begun closes the connection; the refusal has no status", async () => {
    await using server = await TestServer.start((session) => {
      const sink = new CollectingSink(() => {
        answer(session, "early");
      });
      session.readBody(sink);
    });
    const client = await server.client();
    await client.send(postChunks("1\r\na\r\n")).until("early");
    client.send("nonsense\r\n");
    expect((await client.whenClosed()).text).toMatch(/early$/);
    expect(server.refusals.items).toMatchObject([{ reason: "invalid-chunk-size", status: undefined }]);
    expect(server.aborts.items).toEqual([]);
  });
});

describe("CONNECT", () => {
  it("is refused unless it is allowed (H1S-17)", async () => {
    await using server = await TestServer.start(answerTarget);
    const text = await server.exchange("CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n\x16\x03\x01");
    const [response, ...more] = readResponses(text);
    expect(response?.status).toBe(405);
    expect(response?.headers.get("allow")).toContain("GET");
    expect(more).toEqual([]);
    expect(server.refusals.items).toMatchObject([{ reason: "connect-not-allowed", status: 405 }]);
    expect(server.sessions.length).toBe(0);
  });

  it("is a request like others when it is allowed", async () => {
    await using server = await TestServer.start((session) => answer(session, "no", 403), { allowConnect: true });
    const text = await server.exchange("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\nConnection: close\r\n\r\n");
    expect(readResponses(text, "CONNECT")[0]?.status).toBe(403);
    expect((await server.sessions.at(0)).request.target).toBe("a:443");
    expect(server.refusals.items).toEqual([]);
  });
});

it("every reason to refuse is among these tests, or is one of HTTP/2", () => {
  const ofHttp2: readonly RefusalReason[] = ["invalid-pseudo-field", "connection-specific-field"];
  const tested = [...Object.keys(HEADS), ...Object.keys(BODIES), ...OTHERS, ...ofHttp2];
  expect(tested.toSorted()).toEqual(REFUSAL_REASONS.toSorted());
});

/** Reads the body, then answers; a body that is refused is answered with the status of the refusal. */
function readThenAnswer(session: ServerSession): void {
  const sink = new CollectingSink();
  session.readBody(sink);
  sink.body().then(
    ({ text }) => answer(session, text),
    (error: CirqueError) => answer(session, "", error.status),
  );
}
