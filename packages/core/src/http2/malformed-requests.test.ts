import { constants } from "node:http2";
import { describe, expect, it } from "vitest";
import {
  END_HEADERS,
  END_STREAM,
  FrameType,
  frame,
  GET,
  headers,
  PADDED,
  POST,
  windowUpdate,
} from "../../test/http2/frames.ts";
import { Http2TestServer } from "../../test/http2/http2-server.ts";
import { CollectingSink } from "../../test/wire/collecting-sink.ts";

type Fields = readonly (readonly [string, string])[];

const without = (name: string): Fields => GET.filter(([one]) => one !== name);
const replaced = (name: string, value: string): Fields =>
  GET.map((field) => (field[0] === name ? [name, value] : field));

describe("malformed requests (RFC 9113, 8.1.1)", () => {
  it.each<[string, Fields]>([
    ["a pseudo-field behind others", [...without(":path"), ["x-a", "1"], [":path", "/"]]],
    ["a pseudo-field twice", [...GET, [":path", "/b"]]],
    ["an unknown pseudo-field", [...GET, [":evil", "1"]]],
    ["a pseudo-field of responses", [...GET, [":status", "200"]]],
    ["no method", without(":method")],
    ["no scheme", without(":scheme")],
    ["no path", without(":path")],
    ["no authority", without(":authority")],
    ["an empty path", replaced(":path", "")],
    ["a path without slash", replaced(":path", "tea")],
    ["a path with a second request line", replaced(":path", "/ HTTP/1.1\r\nx: y")],
    ["a path with a space", replaced(":path", "/a b")],
    ["a path with a fragment", replaced(":path", "/a#b")],
    ["a method that is no token", replaced(":method", "GET /evil HTTP/1.1")],
    ["a scheme that is none of ours", replaced(":scheme", "http://evil/?")],
    ["an authority with user information", replaced(":authority", "user@a.example")],
    ["an authority with a path", replaced(":authority", "a.example/evil")],
    ["an authority that disagrees with Host (V9-08)", [...GET, ["host", "b.example"]]],
    ["two Hosts", [...GET, ["host", "a.example"], ["host", "a.example"]]],
    ["Connection", [...GET, ["connection", "close"]]],
    ["Keep-Alive", [...GET, ["keep-alive", "1"]]],
    ["Proxy-Connection", [...GET, ["proxy-connection", "close"]]],
    ["Transfer-Encoding", [...GET, ["transfer-encoding", "chunked"]]],
    ["Upgrade", [...GET, ["upgrade", "websocket"]]],
    ["TE other than trailers", [...GET, ["te", "gzip"]]],
    ["Content-Length twice", [...GET, ["content-length", "0"], ["content-length", "0"]]],
    ["a Content-Length with a sign", [...GET, ["content-length", "+0"]]],
    ["a Content-Length that the end of the stream gives the lie", [...GET, ["content-length", "3"]]],
    [":protocol without CONNECT", [...GET, [":protocol", "websocket"]]],
    ["CONNECT with a path", replaced(":method", "CONNECT")],
  ])("%s: the stream is reset, nothing reaches the app, and the connection goes on", async (_what, fields) => {
    await using server = await Http2TestServer.start();
    const peer = await server.peer();
    peer.send(headers(1, fields));
    expect(await peer.resetCode(1)).toBe(constants.NGHTTP2_PROTOCOL_ERROR);
    peer.send(headers(3));
    await peer.frame(FrameType.data, 3);
    expect(server.sessions.length).toBe(1);
    for (const refusal of server.refusals.items) expect(refusal).toMatchObject({ status: undefined });
  });

  it.each<[string, [string, string]]>([
    ["a name in upper case", ["X-Evil", "1"]],
    ["a name with a colon", ["x:evil", "1"]],
    ["a name with a space", ["x evil", "1"]],
    ["a name with a line feed", ["x\nevil", "1"]],
    ["an empty name", ["", "1"]],
    ["a name beyond ASCII", ["x-\xe9", "1"]],
    ["a value with a second line", ["x-evil", "1\r\nx-more: evil"]],
    ["a value with a line feed", ["x-evil", "1\nevil"]],
    ["a value with a NUL", ["x-evil", "1\0evil"]],
    ["a value with a control character", ["x-evil", "\x01"]],
    ["a value with DEL", ["x-evil", "\x7f"]],
    ["a value that begins with a space", ["x-evil", " 1"]],
    ["a value that ends with a tab", ["x-evil", "1\t"]],
  ])("%s never reaches the app (P1)", async (_what, field) => {
    await using server = await Http2TestServer.start();
    const peer = await server.peer();
    peer.send(headers(1, [...GET, field, ["x-good", "1"]]));
    await peer.until(
      () =>
        peer.frames.some(
          ({ type, stream }) => stream === 1 && (type === FrameType.rstStream || type === FrameType.data),
        ),
      "an answer or a reset",
    );
    for (const { request } of server.sessions.items) {
      expect(request.headers.toWire()).toBe("host: a.example\r\nx-good: 1\r\n");
    }
  });

  it.each<[string, Buffer[]]>([
    ["more DATA than Content-Length says", [frame(FrameType.data, 0, 1, "abcdef")]],
    ["less DATA than Content-Length says", [frame(FrameType.data, END_STREAM, 1, "ab")]],
    ["pseudo-fields in trailers", [frame(FrameType.data, 0, 1, "abc"), headers(1, [[":path", "/"]])]],
    [
      "trailers that do not end the stream",
      [frame(FrameType.data, 0, 1, "abc"), headers(1, [["x", "1"]], END_HEADERS)],
    ],
    ["trailers of one connection", [frame(FrameType.data, 0, 1, "abc"), headers(1, [["connection", "close"]])]],
  ])("%s: the body never passes for whole (H2S-11)", async (_what, frames) => {
    const sinks: CollectingSink[] = [];
    await using server = await Http2TestServer.start((session) => {
      const sink = new CollectingSink();
      sinks.push(sink);
      session.readBody(sink);
    });
    const peer = await server.peer();
    peer.send(headers(1, [...POST, ["content-length", "3"]], END_HEADERS));
    await server.sessions.count(1);
    peer.send(...frames);
    await server.aborts.at(0);
    expect(sinks[0]?.error).toMatchObject({ source: "downstream" });
    expect(sinks[0]?.lastCalls).toBe(1);
    peer.send(windowUpdate(0, 10));
  });
});

describe("malformed frames", () => {
  it.each<[string, Buffer[]]>([
    ["a frame that is too large", [frame(FrameType.data, 0, 1, Buffer.alloc(17_000))]],
    ["HEADERS on stream 0", [headers(0)]],
    ["HEADERS on an even stream", [headers(2)]],
    ["DATA on stream 0", [frame(FrameType.data, 0, 0, "a")]],
    ["DATA on a stream that was never opened", [frame(FrameType.data, 0, 5, "a")]],
    ["SETTINGS of a wrong length", [frame(FrameType.settings, 0, 0, "abc")]],
    ["SETTINGS on a stream", [frame(FrameType.settings, 0, 1)]],
    [
      "SETTINGS with an impossible window",
      [frame(FrameType.settings, 0, 0, Buffer.from([0, 4, 0xff, 0xff, 0xff, 0xff]))],
    ],
    ["PING of a wrong length", [frame(FrameType.ping, 0, 0, "abc")]],
    ["WINDOW_UPDATE of nothing", [windowUpdate(0, 0)]],
    ["WINDOW_UPDATE beyond the limit", [windowUpdate(0, 2 ** 31 - 1), windowUpdate(0, 2 ** 31 - 1)]],
    ["PUSH_PROMISE from a client", [frame(FrameType.pushPromise, END_HEADERS, 1, Buffer.from([0, 0, 0, 2, 0x82]))]],
    ["CONTINUATION without HEADERS", [frame(FrameType.continuation, END_HEADERS, 1, "")]],
    ["another frame in a block of fields", [headers(1, GET, END_STREAM), frame(FrameType.ping, 0, 0, "12345678")]],
    ["padding longer than the frame", [headers(1, POST, END_HEADERS), frame(FrameType.data, PADDED, 1, "\xffa")]],
    ["an HPACK index that is not there", [frame(FrameType.headers, END_HEADERS | END_STREAM, 1, "\xff\xff\x01")]],
    ["an HPACK table that is too large", [frame(FrameType.headers, END_HEADERS | END_STREAM, 1, "\x3f\xff\xff\x7f")]],
    ["an HPACK string longer than the block", [frame(FrameType.headers, END_HEADERS | END_STREAM, 1, "\x10\x7fa")]],
  ])("%s ends the connection, and no other", async (_what, frames) => {
    await using server = await Http2TestServer.start();
    const other = await server.peer();
    const peer = await server.peer();
    await peer.greeted();
    peer.send(...frames);
    expect(await peer.goawayCode()).toBeGreaterThan(0);
    expect(server.refusals.items).toMatchObject([{ reason: "protocol-error" }]);
    other.send(headers(1));
    await other.frame(FrameType.data, 1);
  });

  it("a preface that is none ends the connection, with its reason", async () => {
    await using server = await Http2TestServer.start();
    const peer = await server.peer("nothing");
    peer.socket.write("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n");
    await peer.whenClosed();
    expect(server.refusals.items).toMatchObject([{ reason: "invalid-preface" }]);
    expect(server.sessions.length).toBe(0);
  });

  it("frames on a stream that has ended never reach the app", async () => {
    await using server = await Http2TestServer.start();
    const peer = await server.peer();
    peer.send(headers(1));
    await peer.frame(FrameType.data, 1);
    peer.send(
      frame(FrameType.data, END_STREAM, 1, "late"),
      windowUpdate(1, 10),
      frame(FrameType.priority, 0, 1, "\0\0\0\0\x01"),
    );
    peer.send(headers(3));
    await peer.until(
      () => peer.closed || peer.frames.some(({ stream, type }) => stream === 3 && type === 0),
      "an answer",
    );
    expect(server.sessions.items.every(({ bodyBytesRead }) => bodyBytesRead === 0)).toBe(true);
    expect(server.aborts.items).toEqual([]);
  });
});
