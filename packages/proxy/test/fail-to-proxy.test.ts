import { CirqueError, type ErrorCode, HttpPeer } from "@cirque/core";
import { describe, expect, test } from "vitest";
import { defaultFailToProxy, type ProxyHttp } from "../src/index.ts";
import { okResponse, RawOrigin, refusingAddress } from "./harness/raw-origin.ts";
import { readResponses } from "./harness/read-responses.ts";
import { get, TestProxy } from "./harness/test-proxy.ts";

const refused = await refusingAddress();

/** @throws when it is cut, or nothing. */
function wholeResponse(text: string): void {
  if (readResponses(text).length === 0) throw new Error("no response");
}

function failing(failToProxy: ProxyHttp["failToProxy"], more: Partial<ProxyHttp> = {}) {
  return TestProxy.start({ upstreamPeer: () => new HttpPeer(refused), ...(failToProxy && { failToProxy }), ...more });
}

describe("defaultFailToProxy (ERRP-07)", () => {
  const cases: readonly [CirqueError, number][] = [
    [CirqueError.httpStatus(429, "slow down"), 429],
    [CirqueError.httpStatus(503, "no backend").asUpstream(), 503],
    [CirqueError.httpStatus(413, "too much").asDownstream(), 413],
    ...(["ConnectTimedout", "TLSHandshakeTimedout", "ReadTimedout", "WriteTimedout"] as const).map(
      (code): [CirqueError, number] => [CirqueError.upstream(code, "late"), 504],
    ),
    ...(["ConnectionLimitReached", "ConnectionLimitTimedout"] as const).map((code): [CirqueError, number] => [
      CirqueError.upstream(code, "busy"),
      503,
    ]),
    ...(["ConnectRefused", "ConnectNoRoute", "InvalidCert", "ConnectionClosed", "InvalidHTTPHeader"] as const).map(
      (code): [CirqueError, number] => [CirqueError.upstream(code, "bad"), 502],
    ),
    ...(["ReadError", "WriteError", "WriteTimedout", "ConnectionClosed"] as const).map(
      (code): [CirqueError, number] => [CirqueError.downstream(code, "gone"), 0],
    ),
    [CirqueError.downstream("InvalidHTTPHeader", "bad"), 400],
    [CirqueError.internal("InternalError", "ours"), 500],
    [new CirqueError("ReadTimedout" satisfies ErrorCode, "nobody said whose"), 500],
  ];
  for (const [error, status] of cases) {
    test(`${error.source} ${error.code}${error.status === undefined ? "" : ` ${error.status}`}: ${status}`, () => {
      expect(defaultFailToProxy(error)).toEqual({ status, canReuseDownstream: false });
    });
  }
});

describe("failToProxy", () => {
  test("a response of its own is what the client gets", async () => {
    await using proxy = await failing(
      () => new Response("come back", { status: 503, headers: { "retry-after": "9" } }),
    );
    const [response] = readResponses(await proxy.exchange(get()));
    expect([response?.status, response?.headers.get("retry-after"), response?.body]).toEqual([503, "9", "come back"]);
  });

  test("a status, and the connection goes on when it says so (ERRP-08)", async () => {
    await using proxy = await failing((session) => ({
      status: 599,
      canReuseDownstream: session.request.path === "/on",
    }));
    const client = await proxy.client();
    await client.send(get("/on", "")).responses(1);
    const { text } = await client.send(get("/off", "")).whenClosed();
    const responses = readResponses(text);
    expect(responses.map(({ status }) => status)).toEqual([599, 599]);
    expect(responses.map(({ headers }) => headers.get("connection"))).toEqual([undefined, "close"]);
  });

  test("status 0: the connection is closed without an answer", async () => {
    await using proxy = await failing(() => ({ status: 0, canReuseDownstream: false }));
    expect(await proxy.exchange(get())).toBe("");
  });

  for (const status of [204, 205, 304]) {
    test(`${status} has no body`, async () => {
      await using proxy = await failing(() => ({ status, canReuseDownstream: false }));
      const [response] = readResponses(await proxy.exchange(get()));
      expect([response?.status, response?.body]).toEqual([status, ""]);
    });
  }

  for (const status of [-1, 1, 101, 199, 600, 1e9, 502.5, Number.NaN]) {
    test(`${status} is no status of a response: 500`, async () => {
      await using proxy = await failing(() => ({ status, canReuseDownstream: false }));
      expect(readResponses(await proxy.exchange(get())).map((response) => response.status)).toEqual([500]);
    });
  }

  test("one that throws or rejects leaves the default, and is logged", async () => {
    await using proxy = await failing((session) => {
      if (session.request.path === "/throw") throw new Error("a mistake");
      return Promise.reject(new Error("a mistake"));
    });
    for (const path of ["/throw", "/reject"]) {
      expect(readResponses(await proxy.exchange(get(path))).map(({ status }) => status)).toEqual([502]);
    }
    expect(proxy.logger.messages("error").filter((message) => message.includes("`failToProxy`"))).toHaveLength(2);
  });

  test("a body of its own that fails half way is cut", async () => {
    async function* half() {
      yield Buffer.from("half");
      await new Promise((resolve) => setTimeout(resolve, 10));
      throw new Error("no more");
    }
    await using proxy = await failing(() => new Response(ReadableStream.from(half()), { status: 503 }));
    const text = await proxy.exchange(get());
    expect(text).toContain("half");
    expect(() => readResponses(text)).toThrow();
  });

  test("a filter that shortens a body of a declared length: the response is cut, and the log says why", async () => {
    await using origin = await RawOrigin.answering(okResponse("whole"));
    await using proxy = await TestProxy.start({
      upstreamPeer: () => origin.peer(),
      responseBodyFilter: (_session, chunk) => {
        chunk.data = chunk.data?.subarray(0, 3);
      },
    });
    const text = await proxy.exchange(get());
    expect(text).not.toContain("whole");
    expect(() => wholeResponse(text)).toThrow();
    const [record] = proxy.logger.records.filter(({ level }) => level === "error");
    expect(String(record?.fields.err)).toContain("shorter than its Content-Length");
  });

  test("HEAD gets the head of the error alone", async () => {
    await using proxy = await failing(undefined);
    const text = await proxy.exchange(get().replace("GET", "HEAD"));
    expect(text.endsWith("\r\n\r\n")).toBe(true);
    expect(readResponses(text, "HEAD").map(({ status }) => status)).toEqual([502]);
  });
});

describe("callbacks for the log", () => {
  test("`suppressErrorLog` leaves the error out; `requestSummary` names the request", async () => {
    await using proxy = await failing(undefined, {
      suppressErrorLog: (session) => session.request.path === "/quiet",
      requestSummary: (session) => `my ${session.request.path}`,
    });
    await proxy.exchange(get("/quiet"));
    await proxy.exchange(get("/loud"));
    const errors = proxy.logger.records.filter(({ level }) => level === "error");
    expect(errors.map(({ fields }) => fields.request)).toEqual(["my /loud"]);
  });

  test("one that throws costs nothing but a line in the log", async () => {
    await using proxy = await failing(undefined, {
      requestSummary: () => {
        throw new Error("a mistake");
      },
    });
    for (let i = 0; i < 2; i++) {
      expect(readResponses(await proxy.exchange(get())).map(({ status }) => status)).toEqual([502]);
    }
    expect(proxy.logger.messages("error").filter((message) => message === "a request failed")).toHaveLength(2);
    expect(await proxy.metric('cirque_requests_in_flight{service="http"}')).toBe(0);
  });
});
