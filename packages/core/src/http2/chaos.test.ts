import { HeaderMap, ResponseHead } from "@cirque/http";
import { describe, expect, it } from "vitest";
import type { FramePeer } from "../../test/http2/frame-peer.ts";
import {
  END_HEADERS,
  END_STREAM,
  FrameType,
  frame,
  GET,
  headers,
  POST,
  rstStream,
  windowUpdate,
} from "../../test/http2/frames.ts";
import { answer, ask, Http2TestServer } from "../../test/http2/http2-server.ts";
import { CollectingSink } from "../../test/wire/collecting-sink.ts";
import type { CirqueError } from "../errors/cirque-error.ts";
import type { ServerSession } from "../session/server-session.ts";

/** What was told of one request. */
interface Life {
  readonly session: ServerSession;
  readonly sink: CollectingSink | undefined;
  readonly aborts: CirqueError[];
}

type Random = () => number;

describe("whatever clients and app do", () => {
  it.each([1, 2, 3, 4])("each request has one end, and nothing is left (seed %i)", async (seed) => {
    const random = generator(seed);
    const lives: Life[] = [];
    await using server = await Http2TestServer.start(
      (session) => {
        if (session.request.target === "/fine") answer(session, "fine");
        else lives.push(live(session, random));
      },
      { http2: { maxResets: 1_000_000, maxControlBytes: Number.POSITIVE_INFINITY, writeTimeoutMs: 500 } },
    );
    const other = server.client();
    for (let round = 0; round < 60; round++) {
      const peer = await server.peer([[4, random() < 0.3 ? 100 : 100_000]]);
      await peer.greeted();
      await misbehave(peer, random);
      if (round % 20 === 0) expect(await ask(other, { ":path": "/fine" })).toMatchObject({ text: "fine" });
    }
    expect(await ask(other, { ":path": "/fine" })).toMatchObject({ text: "fine" });
    other.close();
    await expect.poll(() => server.openConnections(), { timeout: 10_000 }).toBe(0);
    expect(lives.length).toBeGreaterThan(50);
    for (const { session, sink, aborts } of lives) {
      expect(aborts.length).toBeLessThanOrEqual(1);
      expect(sink?.lastCalls ?? 0).toBeLessThanOrEqual(1);
      if (aborts.length === 1 && !session.requestEnded && sink !== undefined) expect(sink.error).toBe(aborts[0]);
    }
    await server.drain();
  });
});

/** An app that does anything it may do, at any time. */
function live(session: ServerSession, random: Random): Life {
  const aborts: CirqueError[] = [];
  session.observer = { onWritable() {}, onAbort: (error) => aborts.push(error) };
  let sink: CollectingSink | undefined;
  const act = (step: number): void => {
    const dice = random();
    if (dice < 0.15 && sink === undefined) {
      sink = new CollectingSink();
      session.readBody(sink);
    } else if (dice < 0.25) session.pauseBody();
    else if (dice < 0.35) session.resumeBody();
    else if (dice < 0.5 && !session.responseStarted) {
      const declared: [string, string][] = random() < 0.3 ? [["Content-Length", "5000"]] : [];
      session.writeHead(
        new ResponseHead(random() < 0.1 ? 204 : 200, declared),
        random() < 0.2 && declared.length === 0,
      );
    } else if (dice < 0.7) session.write(Buffer.alloc(random() * 20_000));
    else if (dice < 0.75) session.flush();
    else if (dice < 0.85) session.end(random() < 0.3 ? new HeaderMap([["x-t", "1"]]) : undefined);
    else if (dice < 0.9) session.abort();
    else if (dice < 0.92) session.keepAlive = false;
    else if (dice < 0.95) session.writeInterim(new ResponseHead(103, [["link", "a"]]));
    if (step > 20) session.abort();
    else if (random() < 0.5) act(step + 1);
    else setTimeout(act, random() * 5, step + 1);
  };
  act(0);
  return {
    session,
    get sink() {
      return sink;
    },
    aborts,
  };
}

/** A client that does anything that the protocol lets it do to a stream, and leaves in any way. */
async function misbehave(peer: FramePeer, random: Random): Promise<void> {
  const open: number[] = [];
  let next = 1;
  for (let step = 0; step < 40 && !peer.closed; step++) {
    const dice = random();
    const at = Math.floor(random() * open.length);
    const stream = open[at];
    if (dice < 0.3) {
      const hasBody = random() < 0.7;
      peer.send(hasBody ? headers(next, POST, END_HEADERS) : headers(next, GET));
      if (hasBody) open.push(next);
      next += 2;
    } else if (dice < 0.82 && stream !== undefined) {
      if (dice < 0.5) peer.send(frame(FrameType.data, 0, stream, Buffer.alloc(random() * 3_000)));
      else if (dice < 0.6) peer.send(windowUpdate(stream, 1 + Math.floor(random() * 20_000)));
      else {
        if (dice < 0.7) peer.send(frame(FrameType.data, END_STREAM, stream, "last"));
        else if (dice < 0.76) peer.send(headers(stream, [["x-trailer", "1"]]));
        else peer.send(rstStream(stream, Math.floor(random() * 14)));
        open.splice(at, 1);
      }
    } else if (dice < 0.84) peer.send(windowUpdate(0, 1 + Math.floor(random() * 20_000)));
    else if (dice < 0.85) peer.send(frame(FrameType.goaway, 0, 0, Buffer.alloc(8)));
    else if (dice < 0.86) peer.socket.end();
    else if (dice < 0.87) peer.socket.pause();
    else if (dice < 0.88) peer.socket.resetAndDestroy();
    else await new Promise((resolve) => setImmediate(resolve));
  }
  await new Promise((resolve) => setTimeout(resolve, 5));
  if (random() < 0.5) peer.socket.destroy();
  else peer.socket.resetAndDestroy();
}

/** Mulberry32. */
function generator(seed: number): Random {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
