import type { Http1ServerOptions } from "@cirque/core";
import { describe, expect, it } from "vitest";
import { okResponse, RawOrigin } from "./harness/raw-origin.ts";
import { readResponsesStrictly } from "./harness/strict-reader.ts";
import { get, TestProxy } from "./harness/test-proxy.ts";

const SHORT = 40;
const LONG = 60_000;

/** Every deadline of clients is long, so that only the one under test can end a wait. */
const patient: Http1ServerOptions = {
  firstByteTimeoutMs: LONG,
  headTimeoutMs: LONG,
  headTotalTimeoutMs: LONG,
  bodyTimeoutMs: LONG,
  writeTimeoutMs: LONG,
  keepAliveTimeoutMs: LONG,
  drainTimeoutMs: LONG,
};

const POST = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n";

interface Stall {
  readonly options: Http1ServerOptions;
  readonly bytes: string;
  /** What the client gets: a status, or nothing. */
  readonly status?: string;
  /** The reason that is counted and logged, where a message is refused. */
  readonly reason?: string;
}

const STALLS: Readonly<Record<string, Stall>> = {
  "connects and is silent": { options: { firstByteTimeoutMs: SHORT }, bytes: "" },
  "stops in the middle of its head": {
    options: { headTimeoutMs: SHORT },
    bytes: "GET / HTTP/1.1\r\nHo",
    status: "408",
    reason: "head-timeout",
  },
  "stops behind a blank line": { options: { headTimeoutMs: SHORT, firstByteTimeoutMs: SHORT }, bytes: "\r\n" },
  "stops in the middle of its body": {
    options: { bodyTimeoutMs: SHORT },
    bytes: `${POST}12345`,
    status: "408",
    reason: "body-timeout",
  },
  "stops in the middle of a chunk size": {
    options: { bodyTimeoutMs: SHORT },
    bytes: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1",
    status: "408",
    reason: "body-timeout",
  },
  "stops in the middle of its trailers": {
    options: { bodyTimeoutMs: SHORT },
    bytes: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-",
    status: "408",
    reason: "body-timeout",
  },
  "asks nothing more on a kept connection": {
    options: { keepAliveTimeoutMs: SHORT },
    bytes: get("/", ""),
    status: "200",
  },
};

describe("a client that stalls is let go (promise P3)", () => {
  it.each(Object.entries(STALLS))("one that %s", async (_what, { options, bytes, status, reason }) => {
    await using origin = await RawOrigin.answering(okResponse("ok"));
    await using proxy = await TestProxy.start(
      { upstreamPeer: () => origin.peer() },
      { server: { ...patient, ...options } },
    );
    const text = await proxy.exchange(bytes);
    const { messages, rest } = readResponsesStrictly(text);
    expect(messages.map(({ line }) => line.split(" ")[1])).toEqual(status === undefined ? [] : [status]);
    expect(rest).toBe("");
    if (reason === undefined) {
      expect(proxy.logger.messages("info")).toEqual([]);
      return;
    }
    expect(await proxy.metric(`cirque_refused_messages_total{service="http",reason="${reason}"}`)).toBe(1);
    expect(proxy.logger.records.map(({ message, fields }) => [message, fields.reason])).toContainEqual([
      "a client was refused",
      reason,
    ]);
    // Half a request is of no use to the next one.
    for (const connection of origin.connections.items) await connection.whenClosed();
  });

  it("one that sends its head a byte at a time, for ever", async () => {
    await using proxy = await TestProxy.start(
      { upstreamPeer: () => new Response("no") },
      { server: { ...patient, headTimeoutMs: LONG, headTotalTimeoutMs: 2 * SHORT } },
    );
    const client = await proxy.client();
    client.send("GET / HTTP/1.1\r\nX: ");
    const drip = setInterval(() => client.send("x"), 5);
    await client.until("HTTP/1.1 408 ");
    clearInterval(drip);
    expect(await proxy.metric('cirque_refused_messages_total{service="http",reason="head-timeout"}')).toBe(1);
  });

  it("one that sends its body a byte at a time, for ever", async () => {
    await using origin = await RawOrigin.start();
    await using proxy = await TestProxy.start(
      { upstreamPeer: () => origin.peer() },
      { server: { ...patient, bodyTimeoutMs: 2 * SHORT, minimumBodyRate: 100_000 } },
    );
    const client = await proxy.client();
    client.send(POST.replace("10", "100000"));
    const drip = setInterval(() => client.send("x"), 5);
    await client.until("HTTP/1.1 408 ");
    clearInterval(drip);
    await (await origin.connections.at(0)).whenClosed();
    expect(await proxy.metric('cirque_refused_messages_total{service="http",reason="body-timeout"}')).toBe(1);
  });

  it("one that takes nothing of its response", async () => {
    await using origin = await RawOrigin.answering(okResponse("x".repeat(16 * 1024 * 1024)));
    await using proxy = await TestProxy.start(
      { upstreamPeer: () => origin.peer() },
      { server: { ...patient, writeTimeoutMs: SHORT } },
    );
    const client = await proxy.client();
    client.socket.pause();
    client.send(get("/", ""));
    await (await origin.connections.at(0)).whenClosed();
    client.socket.resume();
    await client.whenClosed();
    expect(() => expect(readResponsesStrictly(client.text).messages).toHaveLength(1)).toThrow();
    expect(await proxy.metric('cirque_refused_messages_total{service="http",reason="write-timeout"}')).toBe(1);
  });

  it("one whose body stops while the origin has answered already", async () => {
    await using origin = await RawOrigin.start(async (connection) => {
      await connection.requestHead();
      connection.send(okResponse("early"));
    });
    await using proxy = await TestProxy.start(
      { upstreamPeer: () => origin.peer() },
      { server: { ...patient, drainTimeoutMs: SHORT } },
    );
    const { messages } = readResponsesStrictly(await proxy.exchange(`${POST}123`));
    expect(messages.map(({ body }) => body)).toEqual(["early"]);
  });
});

describe("an origin that stalls is given up (promise P3)", () => {
  it.each([
    ["never answers", ""],
    ["stops in the middle of its head", "HTTP/1.1 200 OK\r\nContent-"],
    ["stops behind an interim response", "HTTP/1.1 103 Early Hints\r\n\r\n"],
  ])("one that %s: 504", async (_what, bytes) => {
    await using origin = await RawOrigin.start(async (connection) => {
      await connection.requestHead();
      connection.send(bytes);
    });
    await using proxy = await TestProxy.start(
      { upstreamPeer: () => origin.peer({ readTimeoutMs: SHORT }) },
      { server: patient },
    );
    const { messages } = readResponsesStrictly(await proxy.exchange(get()));
    expect(messages.at(-1)?.line).toBe("HTTP/1.1 504 Gateway Timeout");
    await (await origin.connections.at(0)).whenClosed();
  });

  it.each([
    ["a declared length", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345"],
    ["chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n"],
    ["the end of the connection", "HTTP/1.1 200 OK\r\n\r\n12345"],
  ])("one that stops in the middle of a body of %s: the response is cut", async (_what, bytes) => {
    await using origin = await RawOrigin.start(async (connection) => {
      await connection.requestHead();
      connection.send(bytes);
    });
    await using proxy = await TestProxy.start(
      { upstreamPeer: () => origin.peer({ readTimeoutMs: SHORT }) },
      { server: patient },
    );
    const { messages, rest } = readResponsesStrictly(await proxy.exchange(get()));
    expect(messages).toEqual([]);
    expect(rest).toContain("12345");
    await (await origin.connections.at(0)).whenClosed();
  });
});
