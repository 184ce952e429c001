import { once } from "node:events";
import { type ClientHttp2Session, type ClientHttp2Stream, constants } from "node:http2";
import { ResponseHead } from "@cirque/http";
import { expect, it } from "vitest";
import { END_HEADERS, FrameType, GET, headers, rstStream } from "../../test/http2/frames.ts";
import { answer, ask, Http2TestServer } from "../../test/http2/http2-server.ts";
import type { ServerSession } from "../session/server-session.ts";

it("an extended CONNECT is a WebSocket request of HTTP/1.1, and its 101 opens the tunnel (H2S-10)", async () => {
  await using server = await Http2TestServer.start((session) => {
    expect(() => session.upgrade(new ResponseHead(200))).toThrow("101");
    session.upgrade(switching());
    echo(session);
  });
  const client = server.client();
  const stream = await open(client);
  const [response] = (await once(stream, "response")) as [Record<string, string>];
  expect(response).toMatchObject({ ":status": 200, "sec-websocket-protocol": "chat" });
  expect(Object.keys(response)).not.toEqual(expect.arrayContaining(["sec-websocket-accept"]));
  expect(response).not.toHaveProperty("upgrade");
  stream.write("ping");
  expect(String((await once(stream, "data"))[0])).toBe("ping");
  stream.end("last");
  let rest = "";
  for await (const chunk of stream) rest += String(chunk);
  expect(rest).toBe("last");
  const session = await server.sessions.at(0);
  expect(session.request.headers.toWire()).toMatch(
    /^host: [^\r]+\r\nsec-websocket-version: 13\r\nConnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: [\w+/]{22}==\r\n$/i,
  );
  expect(session).toMatchObject({ method: "GET", upgradeRequested: true, bodyBytesRead: 8, bodyBytesSent: 8 });
  await expect.poll(() => session.requestEnded && session.responseEnded).toBe(true);
  expect(server.aborts.items).toEqual([]);
  expect(client.destroyed).toBe(false);
});

it("what the client sends before the tunnel is open waits for it", async () => {
  await using server = await Http2TestServer.start(async (session) => {
    await new Promise((resolve) => setTimeout(resolve, 20));
    session.upgrade(switching());
    echo(session);
  });
  const stream = await open(server.client());
  stream.write("early");
  expect(String((await once(stream, "data"))[0])).toBe("early");
  stream.close();
});

it("a tunnel that is cut on one side is reset on the other", async () => {
  const sessions: ServerSession[] = [];
  await using server = await Http2TestServer.start((session) => {
    sessions.push(session);
    session.upgrade(switching());
    echo(session);
  });
  const peer = await server.peer();
  peer.send(headers(1, CONNECT, END_HEADERS));
  await peer.frame(FrameType.headers, 1);
  peer.send(rstStream(1));
  expect(await server.aborts.at(0)).toMatchObject({ code: "ConnectionClosed" });
  const client = server.client();
  const cut = await open(client);
  await once(cut, "response");
  sessions[1]?.abort();
  let ended = false;
  cut.on("end", () => {
    ended = cut.rstCode === 0;
  });
  await new Promise((resolve) => cut.on("close", resolve));
  expect([cut.rstCode, ended]).toEqual([constants.NGHTTP2_INTERNAL_ERROR, false]);
});

it.each([
  [404, 404, "no"],
  [200, 502, ""],
])("an answer with %i in place of the tunnel comes as %i", async (status, seen, text) => {
  await using server = await Http2TestServer.start((session) => answer(session, "no", status));
  const client = server.client();
  const stream = await open(client);
  const [response] = (await once(stream, "response")) as [Record<string, unknown>];
  let body = "";
  for await (const chunk of stream) body += String(chunk);
  expect([response[":status"], body]).toEqual([seen, text]);
  stream.destroy();
  await expect.poll(() => server.sessions.items.length).toBe(1);
  expect(server.aborts.items).toEqual([]);
});

it("is for WebSockets alone, and can be switched off", async () => {
  await using server = await Http2TestServer.start();
  const client = server.client();
  await once(client, "remoteSettings");
  const fields = [":method", "CONNECT", ":scheme", "http", ":authority", "a", ":path", "/"];
  expect(await ask(client, [...fields, ":protocol", "connect-udp"])).toMatchObject({ status: 501 });
  expect(server.refusals.items).toMatchObject([{ reason: "unknown-protocol", status: 501 }]);
  await using without = await Http2TestServer.start(undefined, { http2: { extendedConnect: false } });
  const other = without.client();
  await once(other, "remoteSettings");
  expect(other.remoteSettings.enableConnectProtocol).toBe(false);
});

const CONNECT: readonly (readonly [string, string])[] = [
  [":method", "CONNECT"],
  [":protocol", "websocket"],
  ...GET.slice(1),
];

function switching(): ResponseHead {
  return new ResponseHead(101, [
    ["Upgrade", "websocket"],
    ["Connection", "Upgrade"],
    ["Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="],
    ["Sec-WebSocket-Protocol", "chat"],
  ]);
}

function echo(session: ServerSession): void {
  session.readBody({
    onData: (chunk) => void session.write(chunk),
    onEnd: () => session.end(),
    onError() {},
  });
}

async function open(client: ClientHttp2Session): Promise<ClientHttp2Stream> {
  if (!client.remoteSettings.enableConnectProtocol) await once(client, "remoteSettings");
  const stream = client.request(
    { ":method": "CONNECT", ":protocol": "websocket", ":path": "/chat", "sec-websocket-version": "13" },
    { endStream: false },
  );
  stream.on("error", () => {});
  return stream;
}
