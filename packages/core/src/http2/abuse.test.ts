import { constants } from "node:http2";
import { ResponseHead } from "@cirque/http";
import { describe, expect, it } from "vitest";
import type { FramePeer } from "../../test/http2/frame-peer.ts";
import {
  block,
  END_HEADERS,
  END_STREAM,
  FrameType,
  frame,
  GET,
  headers,
  integer,
  PADDED,
  POST,
  rstStream,
  settings,
  windowUpdate,
} from "../../test/http2/frames.ts";
import { answer, ask, Http2TestServer } from "../../test/http2/http2-server.ts";
import { CollectingSink } from "../../test/wire/collecting-sink.ts";
import type { HttpServerOptions } from "../http-server/http-server-options.ts";

/** Looks often, so that the tests need not wait. */
const vigilant: HttpServerOptions = { http2: { headTimeoutMs: 200 } };

const MEGABYTE = 1024 * 1024;

/** Sends the same bytes, or what `make` makes for each round, until the connection closes. */
async function flood(peer: FramePeer, make: Buffer | ((round: number) => Buffer), rounds = 100_000): Promise<number> {
  let bytes = 0;
  for (let round = 0; round < rounds && !peer.closed; round++) {
    const piece = typeof make === "function" ? make(round) : make;
    bytes += piece.length;
    const went = peer.socket.write(piece);
    if (!went) await Promise.race([new Promise((resolve) => peer.socket.once("drain", resolve)), peer.whenClosed()]);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await peer.whenClosed();
  return bytes;
}

const times = (count: number, make: (i: number) => Buffer): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, i) => make(i)));

describe("floods of frames end the connection they come on, and cost other clients nothing (P4, P5)", () => {
  const ping = frame(FrameType.ping, 0, 0, "12345678");
  const bomb = Buffer.concat([
    block(GET),
    Buffer.from([0x40]),
    integer(1, 7),
    Buffer.from("x"),
    integer(3_900, 7),
    Buffer.alloc(3_900, 0x61),
    Buffer.alloc(11_000, 0xbe),
  ]);

  it.each<[string, Buffer | ((round: number) => Buffer), readonly string[]]>([
    ["PING (CVE-2019-9512)", times(500, () => ping), ["control-flood"]],
    ["SETTINGS (CVE-2019-9515)", times(500, () => settings()), ["control-flood"]],
    [
      "SETTINGS with many values",
      times(50, () => settings(Array.from({ length: 30 }, () => [4, 70_000]))),
      ["protocol-error", "control-flood"],
    ],
    ["WINDOW_UPDATE", times(500, () => windowUpdate(0, 1)), ["control-flood"]],
    [
      "PRIORITY (CVE-2019-9513)",
      times(500, (i) => frame(FrameType.priority, 0, i * 2 + 1, "\0\0\0\0\x01")),
      ["control-flood", "protocol-error"],
    ],
    ["frames of an unknown type", times(500, () => frame(77, 0, 0, "nothing")), ["control-flood", "protocol-error"]],
    [
      "empty DATA (CVE-2019-9518)",
      (round) => Buffer.concat([round === 0 ? headers(1, POST, END_HEADERS) : ping, times(50, () => frame(0, 0, 1))]),
      ["too-many-invalid-frames"],
    ],
    [
      "DATA that is nothing but padding",
      (round) =>
        Buffer.concat([
          round === 0 ? headers(1, POST, END_HEADERS) : Buffer.alloc(0),
          times(20, () => frame(0, PADDED, 1, Buffer.concat([Buffer.from([250]), Buffer.alloc(250)]))),
        ]),
      ["control-flood", "too-many-invalid-frames"],
    ],
    [
      "CONTINUATION without end (CVE-2024-27316)",
      (round) =>
        round === 0
          ? headers(1, GET, END_STREAM)
          : times(20, (i) => frame(FrameType.continuation, 0, 1, block([[`x-${round}-${i}`, "a".repeat(100)]]))),
      ["protocol-error", "control-flood", "head-timeout"],
    ],
    [
      "empty CONTINUATION",
      (round) => (round === 0 ? headers(1, GET, END_STREAM) : times(20, () => frame(FrameType.continuation, 0, 1))),
      ["protocol-error", "control-flood", "head-timeout"],
    ],
    [
      "HPACK bombs (CVE-2016-6581)",
      (round) => frame(FrameType.headers, END_HEADERS | END_STREAM, round * 2 + 1, bomb),
      ["control-flood", "too-many-invalid-frames", "head-timeout"],
    ],
    [
      "crumbs of cookies",
      (round) => headers(round * 2 + 1, [...GET, ...Array.from({ length: 900 }, () => ["cookie", "a"] as const)]),
      ["control-flood", "too-many-invalid-frames"],
    ],
    [
      "fields without name and value (CVE-2019-9516)",
      (round) => headers(round * 2 + 1, [...GET, ...Array.from({ length: 1_000 }, () => ["", ""] as const)]),
      ["control-flood", "too-many-invalid-frames"],
    ],
    [
      "malformed requests that nghttp2 finds",
      (round) => times(20, (i) => headers((round * 20 + i) * 2 + 1, [...GET, ["te", "gzip"]])),
      ["too-many-invalid-frames", "control-flood"],
    ],
    [
      "malformed requests that we find (V9-02)",
      (round) => headers(round * 2 + 1, round % 2 === 0 ? GET : [...GET, ["host", "b.example"]]),
      ["too-many-malformed-requests"],
    ],
  ])("%s", async (_what, make, reasons) => {
    await using server = await Http2TestServer.start((session) => {
      if (session.hasRequestBody) session.readBody(new CollectingSink());
      else answer(session, "hello");
    }, vigilant);
    const other = server.client();
    expect(await ask(other)).toMatchObject({ text: "hello" });
    const peer = await server.peer();
    await peer.greeted();
    const flooded = flood(peer, make);
    do expect(await ask(other)).toMatchObject({ text: "hello" });
    while (!peer.closed);
    expect(await flooded).toBeLessThan(64 * MEGABYTE);
    expect(reasons).toContain(server.refusals.items.at(-1)?.reason);
    expect(await ask(other)).toMatchObject({ text: "hello" });
    await expect.poll(() => server.openConnections()).toBe(1);
  });
});

it("as many frames of control as browsers and gateways send are no flood", async () => {
  await using server = await Http2TestServer.start(undefined, vigilant);
  const peer = await server.peer();
  await peer.greeted();
  for (let i = 0; i < 10; i++) {
    peer.send(
      frame(FrameType.priority, 0, i * 2 + 1, "\0\0\0\0\x01"),
      frame(77, 0, 0, "nothing"),
      settings([[4, 70_000]]),
    );
    peer.send(frame(FrameType.ping, 0, 0, "12345678"), windowUpdate(0, 10_000));
  }
  await new Promise((resolve) => setTimeout(resolve, 150));
  peer.send(headers(101));
  await peer.frame(FrameType.data, 101);
  expect(server.refusals.items).toEqual([]);
});

describe("requests that are given up (P5)", () => {
  it.each<[string, (round: number) => Buffer]>([
    ["at once (CVE-2023-44487)", (round) => times(20, (i) => rapid(round * 20 + i))],
    [
      "one packet later",
      (round) => Buffer.concat([round > 0 ? rstStream(round * 2 - 1) : Buffer.alloc(0), headers(round * 2 + 1)]),
    ],
    [
      "by making us reset them (CVE-2025-8671)",
      (round) => Buffer.concat([headers(round * 2 + 1, POST, END_HEADERS), windowUpdate(round * 2 + 1, 0)]),
    ],
    [
      "by a window beyond the limit",
      (round) => Buffer.concat([headers(round * 2 + 1, POST, END_HEADERS), windowUpdate(round * 2 + 1, 2 ** 31 - 1)]),
    ],
    [
      "by DATA behind the end",
      (round) => Buffer.concat([headers(round * 2 + 1), frame(FrameType.data, 0, round * 2 + 1, "a")]),
    ],
  ])("%s: few reach the app, and the connection ends", async (_what, make) => {
    await using server = await Http2TestServer.start(() => {}, vigilant);
    const peer = await server.peer();
    await peer.greeted();
    await flood(peer, make, 20_000);
    expect(server.sessions.length).toBeLessThanOrEqual(110);
    expect(server.refusals.length).toBe(1);
    await server.aborts.count(server.sessions.length);
    await expect.poll(() => server.openConnections()).toBe(0);
  });

  it("faster than they are answered end in GOAWAY 11; as many as were answered are nothing to it", async () => {
    await using server = await Http2TestServer.start((session) => {
      if (session.request.target === "/") answer(session, "hello");
    });
    const peer = await server.peer();
    await peer.greeted();
    let stream = 1;
    for (let i = 0; i < 150; i++) {
      peer.send(headers(stream));
      await peer.frame(FrameType.data, stream);
      peer.send(headers(stream + 2, [...GET.slice(0, 3), [":path", "/wait"]]));
      await server.sessions.count(i * 2 + 2);
      peer.send(rstStream(stream + 2));
      stream += 4;
    }
    expect(peer.closed).toBe(false);
    for (let i = 0; i < 101 && !peer.closed; i++, stream += 2) peer.send(headers(stream), rstStream(stream));
    for (let i = 0; i < 101 && !peer.closed; i++, stream += 2) peer.send(headers(stream), rstStream(stream));
    expect(await peer.goawayCode()).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    expect(server.refusals.items).toMatchObject([{ reason: "too-many-resets" }]);
  });
});

describe("memory (P4)", () => {
  it("readers that stall hold back what is written for them", async () => {
    await using server = await Http2TestServer.start((session) => {
      session.writeHead(new ResponseHead(200), false);
      const piece = Buffer.alloc(16 * 1024);
      const more = (): void => {
        while (session.bodyBytesSent < 20 * MEGABYTE) if (!session.write(piece)) return;
        session.end();
      };
      session.observer = { onWritable: more, onAbort() {} };
      more();
    });
    const peer = await server.peer([[4, 0]]);
    peer.send(times(100, (i) => headers(i * 2 + 1)));
    await server.sessions.count(100);
    await peer.frame(FrameType.headers, 199);
    const waiting = server.sessions.items.reduce((sum, { bodyBytesSent }) => sum + bodyBytesSent, 0);
    expect(waiting).toBeLessThan(20 * MEGABYTE);
  });

  it("answers to one that does not read its socket wait in the app, and the client is cut", async () => {
    await using server = await Http2TestServer.start((session) => answer(session, "a".repeat(500_000)), {
      http2: { writeTimeoutMs: 100 },
    });
    const peer = await server.peer([[4, 2 ** 31 - 1]]);
    await peer.greeted();
    peer.socket.pause();
    peer.send(windowUpdate(0, 2 ** 30));
    for (let i = 0; i < 100; i++) peer.send(headers(i * 2 + 1));
    await expect
      .poll(() => server.refusals.items.some(({ reason }) => reason === "write-timeout"), { timeout: 5_000 })
      .toBe(true);
    peer.socket.resume();
  });
});

function rapid(i: number): Buffer {
  return Buffer.concat([headers(i * 2 + 1), rstStream(i * 2 + 1)]);
}
