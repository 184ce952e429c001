import { once } from "node:events";
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { HeaderMap, ResponseHead } from "@cirque/http";
import { describe, expect, it } from "vitest";
import { HttpConnector } from "../src/connectors/http-connector.ts";
import { HttpPeer } from "../src/connectors/http-peer.ts";
import type { Http1ClientSession } from "../src/http1/client-session.ts";
import { CollectingSink } from "./wire/collecting-sink.ts";
import { ask, receive, requestHead } from "./wire/test-origin.ts";
import { answer, TestServer } from "./wire/test-server.ts";

// Sessions against the clients and servers that others wrote: fetch is undici, the rest is node:http.

describe("a client of fetch", () => {
  it("gets a response, and sends a body of unknown length", async () => {
    await using server = await TestServer.start((session) => {
      const sink = new CollectingSink();
      session.readBody(sink);
      void sink.body().then(({ text }) => answer(session, `${session.request.method} ${text}`, 201));
    });
    const body = new ReadableStream({
      start(controller) {
        for (const part of ["one ", "two"]) controller.enqueue(new TextEncoder().encode(part));
        controller.close();
      },
    });
    const response = await fetch(server.origin, { method: "PUT", body, duplex: "half" });
    expect([response.status, await response.text()]).toEqual([201, "PUT one two"]);
  });

  it("sees that a response was cut", async () => {
    for (const headers of [{ "content-length": "10" }, {}]) {
      await using server = await TestServer.start((session) => {
        session.writeHead(new ResponseHead(200, headers), false);
        session.write(Buffer.from("half"));
        session.flush();
        setImmediate(() => session.abort());
      });
      await expect(fetch(server.origin).then((response) => response.text())).rejects.toThrow();
    }
  });
});

describe("a client of node:http", () => {
  it("gets interim responses, chunks and trailers", async () => {
    await using server = await TestServer.start((session) => {
      session.writeInterim(new ResponseHead(100));
      session.writeInterim(new ResponseHead(103, { link: "</a>" }));
      session.writeHead(new ResponseHead(200, { trailer: "x-sum" }), false);
      session.write(Buffer.from("hello"));
      session.end(new HeaderMap({ "x-sum": "1" }));
    });
    const events: string[] = [];
    const client = request(server.origin, { method: "POST", headers: { expect: "100-continue", "content-length": 2 } });
    client.on("continue", () => {
      events.push("continue");
      client.end("ok");
    });
    client.on("information", ({ statusCode }) => events.push(`information ${statusCode}`));
    client.flushHeaders();
    const [response] = (await once(client, "response")) as [IncomingMessage];
    response.resume();
    await once(response, "end");
    expect(events).toEqual(["continue", "information 100", "information 103"]);
    expect(response.trailers).toEqual({ "x-sum": "1" });
  });
});

describe("an origin of node:http", () => {
  it("is asked for whatever a session can ask, on one connection", async () => {
    await using origin = await startOrigin((incoming, response) => {
      if (incoming.method !== "POST") response.end();
      else {
        response.writeHead(200, { trailer: "x-sum" });
        incoming.on("data", (chunk) => response.write(chunk));
        incoming.on("end", () => {
          response.addTrailers({ "x-sum": "1" });
          response.end();
        });
      }
    });
    const connector = new HttpConnector();
    const peer = new HttpPeer(origin.address);
    for (let i = 0; i < 3; i++) {
      const session = (await connector.session(peer)) as Http1ClientSession;
      expect(session.reused).toBe(i > 0);
      session.writeHead(requestHead("POST"), true);
      session.write(Buffer.from("one "));
      session.write(Buffer.from("two"));
      session.end();
      const { head, sink } = await receive(session);
      const { text, trailers } = await sink.body();
      expect([head.status, text, trailers?.get("x-sum")]).toEqual([200, "one two", "1"]);
      connector.release(session, peer);
    }
    for (const method of ["HEAD", "GET", "DELETE"]) {
      const session = (await connector.session(peer)) as Http1ClientSession;
      expect(session.reused).toBe(true);
      const { head, sink } = await ask(session, requestHead(method));
      expect((await sink.body()).text).toBe("");
      expect(head.status).toBe(200);
      connector.release(session, peer);
    }
    connector.close();
  });

  it("can ask to see a request's head first", async () => {
    await using origin = await startOrigin((incoming, response) => {
      incoming.on("data", (chunk) => response.write(chunk));
      incoming.on("end", () => response.end());
    });
    const connector = new HttpConnector();
    const session = (await connector.session(new HttpPeer(origin.address))) as Http1ClientSession;
    session.writeHead(requestHead("POST", { expect: "100-continue", "content-length": "2" }), true);
    session.flush();
    expect((await session.readHead()).status).toBe(100);
    session.write(Buffer.from("ok"));
    session.end();
    const { head, sink } = await receive(session);
    expect([head.status, (await sink.body()).text]).toEqual([200, "ok"]);
    session.close();
  });
});

async function startOrigin(
  listener: (incoming: IncomingMessage, response: ServerResponse) => void,
): Promise<{ address: string } & AsyncDisposable> {
  const server = createServer(listener);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // it listens on a port
  return {
    address: `127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
