import { createHash } from "node:crypto";
import { once } from "node:events";
import {
  createServer,
  type IncomingMessage,
  Agent as NodeAgent,
  request as nodeRequest,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { HttpPeer } from "@cirque/core";
import { Agent, fetch, request } from "undici";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TestProxy } from "./harness/test-proxy.ts";

let server: Server;
let proxy: TestProxy<void>;

/** Answers with what it was sent, after a digest of it; in a length or in chunks, as the path says. */
beforeAll(async () => {
  server = createServer((incoming, outgoing) => {
    bodyOf(incoming).then(
      (body) => echo(body, incoming, outgoing),
      () => outgoing.destroy(),
    );
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const peer = new HttpPeer(`127.0.0.1:${(server.address() as AddressInfo).port}`); // it listens on a port
  proxy = await TestProxy.start({ upstreamPeer: () => peer });
});

afterAll(async () => {
  await proxy[Symbol.asyncDispose]();
  server.close();
  server.closeAllConnections();
});

function echo(body: Buffer, incoming: IncomingMessage, outgoing: ServerResponse): void {
  outgoing.setHeader("x-method", incoming.method ?? "");
  outgoing.setHeader("x-digest", createHash("sha256").update(body).digest("hex"));
  if (incoming.url?.startsWith("/sized")) outgoing.setHeader("content-length", body.length);
  if (incoming.url?.startsWith("/close")) outgoing.setHeader("connection", "close");
  for (let at = 0; at < body.length; at += 10_000) outgoing.write(body.subarray(at, at + 10_000));
  outgoing.end();
}

async function bodyOf(incoming: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of incoming) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** A body that is told from all others. */
function body(index: number): Buffer {
  return Buffer.alloc((index * 7919) % 150_000, `body ${index};`);
}

function path(index: number): string {
  return `/${["sized", "chunks", "close"][index % 3]}/${index}`;
}

describe("clients and origins of others, hundreds of requests at a time, get each their own", () => {
  it("undici, with pipelining off", async () => {
    const agent = new Agent({ connections: 20 });
    await Promise.all(
      Array.from({ length: 300 }, async (_, index) => {
        const sent = body(index);
        const {
          statusCode,
          headers,
          body: received,
        } = await request(`${proxy.origin}${path(index)}`, {
          method: index % 2 === 0 ? "POST" : "PUT",
          body: index % 5 === 0 ? Readable.from(inPieces(sent)) : sent,
          dispatcher: agent,
        });
        expect([statusCode, headers["x-digest"]]).toEqual([200, createHash("sha256").update(sent).digest("hex")]);
        expect(Buffer.from(await received.arrayBuffer()).equals(sent)).toBe(true);
      }),
    );
    await agent.close();
  });

  it("undici, pipelining", async () => {
    const agent = new Agent({ connections: 4, pipelining: 10 });
    const answers = await Promise.all(
      Array.from({ length: 200 }, async (_, index) => {
        const { headers, body: received } = await request(`${proxy.origin}/sized/${index}`, { dispatcher: agent });
        await received.dump();
        return headers["x-method"];
      }),
    );
    expect(answers).toEqual(Array.from({ length: 200 }, () => "GET"));
    await agent.close();
  });

  it("fetch", async () => {
    await Promise.all(
      Array.from({ length: 60 }, async (_, index) => {
        const sent = body(index);
        const response = await fetch(`${proxy.origin}${path(index)}`, { method: "POST", body: sent });
        expect(Buffer.from(await response.arrayBuffer()).equals(sent)).toBe(true);
      }),
    );
  });

  it("node:http, with trailers", async () => {
    const agent = new NodeAgent({ keepAlive: true, maxSockets: 10 });
    await Promise.all(
      Array.from({ length: 100 }, async (_, index) => {
        const sent = body(index);
        const outgoing = nodeRequest(`${proxy.origin}${path(index)}`, { method: "POST", agent });
        outgoing.setHeader("transfer-encoding", "chunked");
        outgoing.write(sent);
        outgoing.addTrailers({ "x-sum": "1" });
        outgoing.end();
        const [incoming] = (await once(outgoing, "response")) as [IncomingMessage];
        expect((await bodyOf(incoming)).equals(sent)).toBe(true);
      }),
    );
    agent.destroy();
  });
});

function* inPieces(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += 7_000) yield bytes.subarray(at, at + 7_000);
}
