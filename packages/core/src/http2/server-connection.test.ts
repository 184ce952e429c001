import { once } from "node:events";
import { constants } from "node:http2";
import { ResponseHead } from "@cirque/http";
import { describe, expect, it } from "vitest";
import type { FramePeer } from "../../test/http2/frame-peer.ts";
import { END_HEADERS, END_STREAM, FrameType, GET, headers, POST, windowUpdate } from "../../test/http2/frames.ts";
import { answer, ask, Http2TestServer } from "../../test/http2/http2-server.ts";
import { CollectingSink } from "../../test/wire/collecting-sink.ts";
import type { HttpServerOptions } from "../http-server/http-server-options.ts";

describe("going away (H2S-06)", () => {
  it("says which requests were taken, answers those, and closes behind the last answer", async () => {
    const turn = Promise.withResolvers<void>();
    await using server = await Http2TestServer.start(async (session) => {
      await turn.promise;
      answer(session, "hello");
    });
    const peer = await server.peer();
    peer.send(headers(1), headers(3));
    await server.sessions.count(2);
    const drained = server.drain();
    await peer.frame(FrameType.goaway);
    expect(goaways(peer)).toEqual([[3, 0]]);
    peer.send(headers(5));
    turn.resolve();
    await peer.frame(FrameType.data, 1);
    await peer.frame(FrameType.data, 3);
    peer.socket.end();
    await drained;
    await peer.whenClosed();
    expect(server.sessions.length).toBe(2);
    expect(server.aborts.items).toEqual([]);
  });

  it("does not wait for a client that does not close its side", async () => {
    await using server = await Http2TestServer.start();
    const peer = await server.peer();
    peer.send(headers(1));
    await peer.frame(FrameType.data, 1);
    await server.drain();
    expect(goaways(peer)[0]).toEqual([1, 0]);
  });

  it("ends at once what is left when it is forced, and nothing of it looks whole (P1)", async () => {
    await using server = await Http2TestServer.start((session) => {
      session.writeHead(new ResponseHead(200), false);
      session.write(Buffer.from("part"));
    });
    const force = new AbortController();
    const peer = await server.peer();
    peer.send(headers(1));
    await peer.frame(FrameType.data, 1);
    const drained = server.drain(force.signal);
    force.abort();
    await drained;
    await peer.whenClosed();
    expect(endsOf(peer, 1)).toBe(0);
    expect(server.aborts.length).toBe(1);
  });

  it("behind an answer whose session said so, and behind the last request that a connection may send", async () => {
    await using server = await Http2TestServer.start(
      (session) => {
        if (session.request.target === "/last") session.keepAlive = false;
        answer(session, String(session.keepAlive));
      },
      { maxRequestsPerConnection: 3 },
    );
    const client = server.client();
    expect(await ask(client)).toMatchObject({ text: "true" });
    const closed = once(client, "close");
    expect(await ask(client, { ":path": "/last" })).toMatchObject({ text: "false", code: 0 });
    await closed;
    const next = server.client();
    const goneAway = once(next, "close");
    const texts = [];
    for (let i = 0; i < 3; i++) texts.push((await ask(next)).text);
    expect(texts).toEqual(["true", "true", "false"]);
    await goneAway;
    await expect.poll(() => server.openConnections()).toBe(0);
  });

  it("a response that is cut in the middle does not end (P1)", async () => {
    await using server = await Http2TestServer.start((session) => {
      session.writeHead(new ResponseHead(200), false);
      session.write(Buffer.alloc(200_000));
      setTimeout(() => session.abort(), 10);
    });
    const peer = await server.peer();
    peer.send(headers(1));
    expect(await peer.resetCode(1)).toBe(constants.NGHTTP2_INTERNAL_ERROR);
    expect(endsOf(peer, 1)).toBe(0);
  });
});

describe("deadlines (P3)", () => {
  const cases: readonly (readonly [
    string,
    HttpServerOptions,
    (peer: FramePeer) => void,
    string | undefined,
    number,
  ])[] = [
    ["a connection without requests (V9-03)", { http2: { idleTimeoutMs: 40 } }, () => {}, undefined, 0],
    [
      "a connection after its request",
      { http2: { idleTimeoutMs: 40 } },
      (peer) => peer.send(headers(1)),
      undefined,
      constants.NGHTTP2_NO_ERROR,
    ],
    [
      "a block of fields that does not end",
      { http2: { headTimeoutMs: 40 } },
      (peer) => peer.send(headers(1, GET, END_STREAM)),
      "head-timeout",
      constants.NGHTTP2_ENHANCE_YOUR_CALM,
    ],
  ];

  it.each(cases)("%s is closed", async (_what, options, send, reason, code) => {
    await using server = await Http2TestServer.start(undefined, options);
    const peer = await server.peer();
    await peer.greeted();
    send(peer);
    await peer.until(() => goaways(peer).length > 0, "a GOAWAY");
    peer.socket.end();
    expect(await peer.goawayCode()).toBe(code);
    expect(server.refusals.items.map((refusal) => refusal.reason)).toEqual(reason === undefined ? [] : [reason]);
    await expect.poll(() => server.openConnections()).toBe(0);
  });

  it("a client that does not close its side is closed a little later", async () => {
    await using server = await Http2TestServer.start(undefined, { http2: { idleTimeoutMs: 40 } });
    const peer = await server.peer();
    await peer.whenClosed();
    expect(peer.summary()).toContain("goaway 0");
  });

  it("a client that sends no settings is closed", async () => {
    await using server = await Http2TestServer.start(undefined, { http2: { handshakeTimeoutMs: 40 } });
    const peer = await server.peer("none");
    expect(await peer.goawayCode()).toBe(constants.NGHTTP2_SETTINGS_TIMEOUT);
    expect(server.refusals.items).toMatchObject([{ reason: "handshake-timeout" }]);
  });

  it("a malformed request on a connection that is idle is not taken for a block that does not end", async () => {
    await using server = await Http2TestServer.start(undefined, { http2: { headTimeoutMs: 40 } });
    const client = server.client();
    await once(client, "connect");
    const bad = client.request({ ":path": "nothing" });
    bad.on("error", () => {});
    await new Promise((resolve) => bad.on("close", resolve));
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(await ask(client)).toMatchObject({ text: "hello" });
    expect(server.refusals.items).toEqual([]);
  });

  it.each<[string, HttpServerOptions, number]>([
    ["silent", { http2: { bodyTimeoutMs: 40 } }, 10_000],
    ["slow", { http2: { bodyTimeoutMs: 40, minimumBodyRate: 100_000 } }, 10],
  ])("a body whose client is %s is refused with 408", async (_what, options, everyMs) => {
    await using server = await Http2TestServer.start(async (session) => {
      const sink = new CollectingSink();
      session.readBody(sink);
      const late = (error: { status?: number }): void => answer(session, "late", error.status);
      await sink.body().then(({ text }) => answer(session, text), late);
    }, options);
    const client = server.client();
    const stream = client.request({ ":method": "POST" });
    const timer = setInterval(() => stream.write("a"), everyMs);
    stream.write("a");
    stream.on("error", () => {});
    const [response] = (await once(stream, "response")) as [Record<string, unknown>];
    clearInterval(timer);
    expect(response[":status"]).toBe(408);
    expect(server.refusals.items).toMatchObject([{ reason: "body-timeout", status: 408 }]);
    expect(await ask(client)).toMatchObject({ status: 200 });
  });

  it("a body that we hold back is not late", async () => {
    await using server = await Http2TestServer.start(
      async (session) => {
        const sink = new CollectingSink();
        session.readBody(sink);
        session.pauseBody();
        await new Promise((resolve) => setTimeout(resolve, 120));
        session.resumeBody();
        answer(session, (await sink.body()).text);
      },
      { http2: { bodyTimeoutMs: 40 } },
    );
    expect(await ask(server.client(), { ":method": "POST" }, "body")).toMatchObject({ status: 200, text: "body" });
  });

  it("a client that takes nothing of a response loses its stream; one that is slow does not", async () => {
    await using server = await Http2TestServer.start((session) => answer(session, "a".repeat(200_000)), {
      http2: { writeTimeoutMs: 60 },
    });
    const stalled = await server.peer([[4, 1_000]]);
    stalled.send(headers(1));
    expect(await stalled.resetCode(1)).toBe(constants.NGHTTP2_CANCEL);
    expect(server.refusals.items).toMatchObject([{ reason: "write-timeout" }]);
    expect(endsOf(stalled, 1)).toBe(0);
    const fine = await ask(server.client());
    expect(fine.text).toHaveLength(200_000);
  });
});

describe("limits", () => {
  it("is one of requests at once, and one of connections' requests in all; 1,000 are served over several (H2S-01)", async () => {
    let open = 0;
    let most = 0;
    await using server = await Http2TestServer.start(async (session) => {
      most = Math.max(most, ++open);
      await new Promise((resolve) => setTimeout(resolve, 5));
      open--;
      answer(session, session.request.target);
    });
    const clients = Array.from({ length: 4 }, () => server.client());
    await Promise.all(clients.map((client) => once(client, "remoteSettings")));
    expect(clients[0]?.remoteSettings.maxConcurrentStreams).toBe(128);
    expect(clients[0]?.remoteSettings.initialWindowSize).toBe(256 * 1024);
    expect(clients[0]?.remoteSettings.maxHeaderListSize).toBe(64 * 1024);
    const answers = await Promise.all(
      clients.flatMap((client, i) => Array.from({ length: 250 }, (_, j) => ask(client, { ":path": `/${i}/${j}` }))),
    );
    expect(answers.map(({ text }) => text)).toEqual(
      clients.flatMap((_, i) => Array.from({ length: 250 }, (_, j) => `/${i}/${j}`)),
    );
    expect(most).toBeLessThanOrEqual(4 * 128);
    expect(most).toBeGreaterThan(128);
  });

  it("a client that opens more at once is told so by the protocol", async () => {
    await using server = await Http2TestServer.start(() => {}, { http2: { maxConcurrentStreams: 2 } });
    const peer = await server.peer();
    await peer.greeted();
    peer.send(headers(1), headers(3));
    await server.sessions.count(2);
    peer.send(headers(5));
    expect(await peer.goawayCode()).toBe(constants.NGHTTP2_PROTOCOL_ERROR);
    expect(server.refusals.items).toMatchObject([{ reason: "protocol-error" }]);
    expect(server.sessions.length).toBe(2);
  });

  it.each<[string, number, (readonly [string, string])[]]>([
    ["target-too-long", 414, [...GET.slice(0, 3), [":path", `/${"a".repeat(17_000)}`]]],
    ["field-too-large", 431, [...GET, ["x-a", "a".repeat(33_000)]]],
    ["too-many-fields", 431, [...GET, ...Array.from({ length: 130 }, () => ["x", "1"] as const)]],
  ])("%s is refused with %i, and the connection goes on", async (reason, status, fields) => {
    await using server = await Http2TestServer.start(undefined, {});
    const raw = fields.flat();
    const client = server.client({ maxSendHeaderBlockLength: 100_000 });
    expect(await ask(client, raw)).toMatchObject({ status, code: 0 });
    expect(server.refusals.items).toMatchObject([{ reason, status }]);
    expect(await ask(client)).toMatchObject({ text: "hello" });
    expect(server.sessions.length).toBe(1);
  });

  it("CONNECT is refused with 405 unless it is allowed (H1S-17)", async () => {
    await using server = await Http2TestServer.start();
    const client = server.client();
    expect(await ask(client, [":method", "CONNECT", ":authority", "a:443"])).toMatchObject({ status: 405 });
    expect(server.refusals.items).toMatchObject([{ reason: "connect-not-allowed", status: 405 }]);
    await using allowing = await Http2TestServer.start((session) => answer(session, session.request.target, 403), {
      allowConnect: true,
    });
    const asked = await ask(allowing.client(), [":method", "CONNECT", ":authority", "a:443"]);
    expect(asked).toMatchObject({ status: 403, text: "a:443" });
  });

  it("without h2c, a client that begins with HTTP/2 is refused as HTTP/1.1 does", async () => {
    for (const options of [{ h2c: false }, { http2: false }] as const) {
      await using server = await Http2TestServer.start(undefined, options);
      const peer = await server.peer();
      await peer.whenClosed();
      expect(server.refusals.items).toMatchObject([{ reason: "unsupported-version", status: 505 }]);
    }
  });

  it("a window that is not opened holds back its stream, and no other", async () => {
    await using server = await Http2TestServer.start((session) => answer(session, "a".repeat(1_000)));
    const peer = await server.peer([[4, 10]]);
    peer.send(headers(1, POST), headers(3));
    await peer.frame(FrameType.data, 1);
    peer.send(windowUpdate(3, 990));
    await peer.until(() => endsOf(peer, 3) === 1, "the end of the other stream");
    expect(bytesOf(peer, 1)).toBe(10);
    expect(bytesOf(peer, 3)).toBe(1_000);
    peer.send(headers(5, POST, END_HEADERS));
  });
});

function goaways(peer: FramePeer): readonly (readonly [lastStream: number, code: number])[] {
  return peer.frames
    .filter(({ type }) => type === FrameType.goaway)
    .map(({ payload }) => [payload.readUInt32BE(0), payload.readUInt32BE(4)]);
}

/** How often a stream was ended. */
function endsOf(peer: FramePeer, stream: number): number {
  return peer.frames.filter((one) => one.stream === stream && one.type < 2 && (one.flags & END_STREAM) !== 0).length;
}

function bytesOf(peer: FramePeer, stream: number): number {
  const frames = peer.frames.filter((one) => one.stream === stream && one.type === FrameType.data);
  return frames.reduce((sum, { payload }) => sum + payload.length, 0);
}
