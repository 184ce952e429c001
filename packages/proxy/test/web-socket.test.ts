import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { HttpPeer } from "@cirque/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { RawOrigin } from "./harness/raw-origin.ts";
import { Recorder } from "./harness/recorder.ts";
import { TestProxy } from "./harness/test-proxy.ts";

const logged = new Recorder<number | undefined>();
const server = createServer();
const webSockets = new WebSocketServer({ noServer: true, maxPayload: 8 * 1024 * 1024 });
let proxy: TestProxy<void>;

beforeAll(async () => {
  server.on("upgrade", (request, socket, head) => {
    if (request.url === "/forbidden") {
      socket.end("HTTP/1.1 403 Forbidden\r\nX-Why: because\r\nContent-Length: 9\r\n\r\nforbidden");
      return;
    }
    webSockets.handleUpgrade(request, socket, head, (webSocket) => webSockets.emit("connection", webSocket, request));
  });
  webSockets.on("connection", (webSocket: WebSocket, request: { readonly url?: string }) => {
    webSocket.on("message", (data, binary) => webSocket.send(data, { binary }));
    if (request.url === "/bye") webSocket.close(4001, "see you");
    if (request.url === "/die") webSocket.terminate();
    if (request.url === "/hello") webSocket.send("hello before you said anything");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // it listens on a port
  const peer = new HttpPeer(`127.0.0.1:${port}`);
  proxy = await TestProxy.start({
    upstreamPeer: () => peer,
    logging: (session) => logged.add(session.response?.status),
  });
});

afterAll(async () => {
  await proxy[Symbol.asyncDispose]();
  webSockets.close();
  server.close();
  server.closeAllConnections();
});

function connect(path = "/echo", protocols: string | string[] = [], port = proxy.port): WebSocket {
  return new WebSocket(`ws://127.0.0.1:${port}${path}`, protocols, { perMessageDeflate: path === "/deflate" });
}

async function open(path?: string, protocols?: string | string[]): Promise<WebSocket> {
  const webSocket = connect(path, protocols);
  await once(webSocket, "open");
  return webSocket;
}

async function closed(webSocket: WebSocket): Promise<readonly [code: number, reason: string]> {
  const [code, reason] = await once(webSocket, "close");
  return [Number(code), String(reason)];
}

async function echoed(webSocket: WebSocket, data: string | Buffer): Promise<readonly [data: Buffer, binary: boolean]> {
  const message = once(webSocket, "message");
  webSocket.send(data);
  const [received, binary] = await message;
  return [received as Buffer, binary as boolean];
}

describe("a WebSocket through the proxy", () => {
  it("carries text and binary messages", async () => {
    const webSocket = await open();
    const [text, isBinary] = await echoed(webSocket, "grüße");
    expect([text.toString(), isBinary]).toEqual(["grüße", false]);
    const bytes = Buffer.from([0, 1, 13, 10, 255]);
    expect(await echoed(webSocket, bytes)).toEqual([bytes, true]);
    webSocket.close();
    await closed(webSocket);
  });

  it("carries messages of 1 MiB, and compressed ones", async () => {
    const large = Buffer.alloc(1024 * 1024, "cirque");
    for (const path of ["/echo", "/deflate"]) {
      const webSocket = await open(path);
      const [received] = await echoed(webSocket, large);
      expect(received.equals(large)).toBe(true);
      webSocket.terminate();
    }
  });

  it("carries many messages in order", async () => {
    const webSocket = await open();
    const received: string[] = [];
    const all = new Promise<void>((resolve) => {
      webSocket.on("message", (data) => {
        if (received.push(String(data)) === 1000) resolve();
      });
    });
    const sent = Array.from({ length: 1000 }, (_, index) => `message ${index}`);
    for (const message of sent) webSocket.send(message);
    await all;
    expect(received).toEqual(sent);
    webSocket.terminate();
  });

  it("carries ping and pong", async () => {
    const webSocket = await open();
    const pong = once(webSocket, "pong");
    webSocket.ping("are you there");
    expect(String((await pong)[0])).toBe("are you there");
    webSocket.terminate();
  });

  it("carries the close codes of the client and of the origin", async () => {
    const mine = await open();
    mine.close(4000, "enough");
    expect(await closed(mine)).toEqual([4000, "enough"]);
    expect(await closed(connect("/bye"))).toEqual([4001, "see you"]);
  });

  it("gets what the origin says first", async () => {
    const webSocket = connect("/hello");
    const [data] = await once(webSocket, "message");
    expect(String(data)).toBe("hello before you said anything");
    webSocket.terminate();
  });

  it("is told of the sub-protocol that the origin chose", async () => {
    const webSocket = await open("/echo", ["graphql-ws", "chat"]);
    expect(webSocket.protocol).toBe("graphql-ws");
    webSocket.terminate();
  });

  it("ends when the origin dies", async () => {
    expect(await closed(connect("/die"))).toEqual([1006, ""]);
  });

  it("gets the origin's refusal, with fields and body", async () => {
    const webSocket = connect("/forbidden");
    webSocket.on("error", () => {});
    const [, response] = await once(webSocket, "unexpected-response");
    let body = "";
    for await (const chunk of response) body += chunk;
    expect([response.statusCode, response.headers["x-why"], body]).toEqual([403, "because", "forbidden"]);
    webSocket.terminate();
  });

  it("gets 502 when no origin is there", async () => {
    await using dead = await RawOrigin.start((connection) => void connection.end());
    await using other = await TestProxy.start({ upstreamPeer: () => dead.peer() });
    const webSocket = connect("/", [], other.port);
    webSocket.on("error", () => {});
    const [, response] = await once(webSocket, "unexpected-response");
    expect(response.statusCode).toBe(502);
    webSocket.terminate();
  });

  it("is logged once, when it is over, with status 101", async () => {
    const before = logged.length;
    const webSocket = await open();
    await echoed(webSocket, "one");
    expect(logged.length).toBe(before);
    webSocket.close();
    await closed(webSocket);
    expect(await logged.at(before)).toBe(101);
  });

  it("is one of hundreds at a time, each with its own messages", async () => {
    const webSockets = await Promise.all(Array.from({ length: 100 }, () => open()));
    const answers = await Promise.all(webSockets.map((webSocket, index) => echoed(webSocket, `mine ${index}`)));
    expect(answers.map(([data]) => String(data))).toEqual(webSockets.map((_, index) => `mine ${index}`));
    for (const webSocket of webSockets) webSocket.terminate();
  });
});
