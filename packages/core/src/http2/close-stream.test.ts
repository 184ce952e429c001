import { constants } from "node:http2";
import { ResponseHead } from "@cirque/http";
import { expect, it } from "vitest";
import { END_HEADERS, END_STREAM, FrameType, frame, headers, POST, windowUpdate } from "../../test/http2/frames.ts";
import { answer, Http2TestServer } from "../../test/http2/http2-server.ts";
import type { ServerSession } from "../session/server-session.ts";

it("a stream that is reset while the socket is full does not make nghttp2 send without end", async () => {
  const readers: ServerSession[] = [];
  await using server = await Http2TestServer.start((session) => {
    if (session.request.target !== "/") return;
    session.writeHead(new ResponseHead(200), false);
    session.flush();
    session.readBody({ onData() {}, onEnd() {}, onError() {} });
    readers.push(session);
  });
  const peer = await server.peer([[4, 2 ** 31 - 1]]);
  await peer.greeted();
  peer.send(windowUpdate(0, 2 ** 30));
  // Their requests are over, and read; their responses have begun.
  for (const stream of [1, 3, 5, 7]) {
    peer.send(headers(stream, POST, END_HEADERS), frame(FrameType.data, END_STREAM, stream, "body"));
    await peer.frame(FrameType.headers, stream);
  }
  await expect.poll(() => readers.every(({ requestEnded }) => requestEnded)).toBe(true);
  peer.socket.pause();
  const [first, ...others] = readers;
  while (first?.write(Buffer.alloc(1024 * 1024)) || (first?.bodyBytesSent ?? 0) < 32 * 1024 * 1024);
  await new Promise((resolve) => setTimeout(resolve, 20));
  for (const session of others) session.abort();
  await new Promise((resolve) => setTimeout(resolve, 20));
  peer.socket.resume();
  for (const stream of [3, 5, 7]) expect(await peer.resetCode(stream)).toBe(constants.NGHTTP2_INTERNAL_ERROR);
  first?.end();
  await peer.until(
    () => peer.frames.some(({ type, flags, stream }) => type === 0 && stream === 1 && (flags & END_STREAM) !== 0),
    "the end of the first",
  );
  const empty = peer.frames.filter(({ type, payload }) => type === FrameType.data && payload.length === 0);
  expect(empty.length).toBeLessThan(10);
});

it("an answer to a request that is still coming ends it, and the connection serves on", async () => {
  await using server = await Http2TestServer.start((session) => answer(session, "early"));
  const peer = await server.peer();
  for (let stream = 1; stream < 40; stream += 2) {
    peer.send(headers(stream, POST, END_HEADERS), frame(FrameType.data, 0, stream, "body"));
    expect(await peer.resetCode(stream)).toBe(constants.NGHTTP2_NO_ERROR);
  }
  expect(server.aborts.items).toEqual([]);
});

it("a connection that is destroyed in the turn of an early answer does not make nghttp2 send without end", async () => {
  let early: ServerSession | undefined;
  await using server = await Http2TestServer.start((session) => {
    if (early === undefined) {
      early = session;
      return;
    }
    answer(early, "early".repeat(10_000));
    void server.drain(AbortSignal.abort());
  });
  const peer = await server.peer([[4, 2 ** 31 - 1]]);
  await peer.greeted();
  peer.send(headers(1, POST, END_HEADERS), headers(3));
  await peer.whenClosed();
  expect(server.aborts.length).toBe(1);
});
