import { once } from "node:events";
import { request as nodeRequest } from "node:http";
import type { Http2Stream } from "node:http2";
import { HttpPeer } from "@cirque/core";
import { Http2Origin } from "@cirque/testing";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { grpcWeb, type HttpProxyOptions, responseCompression } from "../../src/index.ts";
import { okResponse, RawOrigin } from "../harness/raw-origin.ts";
import { TestProxy } from "../harness/test-proxy.ts";
import { through } from "./through.ts";

const modules: HttpProxyOptions["modules"] = [grpcWeb(), responseCompression()];

function frame(message: string | Buffer, flags = 0): Buffer {
  const bytes = Buffer.from(message);
  const header = Buffer.alloc(5);
  header[0] = flags;
  header.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([header, bytes]);
}

/** A call as a page makes it. */
function call(body: Buffer | string, type: string, fields = ""): string {
  const text = typeof body === "string" ? body : body.toString("latin1");
  const head = `POST /shop.Shop/Buy HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\nContent-Type: ${type}\r\n`;
  return `${head}Content-Length: ${text.length}\r\n${fields}\r\n${text}`;
}

/** What an HTTP/1.1 origin that speaks gRPC answers: chunks, and trailers. */
function grpcResponse(chunks: readonly Buffer[], trailers: string, fields = ""): string {
  const head = `HTTP/1.1 200 OK\r\nContent-Type: application/grpc+proto\r\nTransfer-Encoding: chunked\r\n${fields}\r\n`;
  const body = chunks.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk.toString("latin1")}\r\n`).join("");
  return `${head}${body}0\r\n${trailers}\r\n`;
}

const ok = grpcResponse([frame("one"), frame("two")], "Grpc-Status: 0\r\nx-took-bin: AAE=\r\n");
const okWeb = Buffer.concat([
  frame("one"),
  frame("two"),
  frame("grpc-status: 0\r\nx-took-bin: AAE=\r\n", 0x80),
]).toString("latin1");

/** Base64 whose parts may be padded each for itself. */
function fromText(text: string): string {
  const parts = text.match(/[^=]+={0,2}/g) ?? [];
  return parts.map((part) => Buffer.from(part, "base64").toString("latin1")).join("");
}

describe("a call of gRPC-web", () => {
  it("in bytes becomes one of gRPC, and trailers a frame", async () => {
    const request = call(frame("buy"), "application/grpc-web+proto", "Accept-Encoding: gzip\r\nX-Grpc-Web: 1\r\n");
    const { response, seen } = await through(request, { modules, answer: ok });
    expect(seen?.head.headers.toJSON()).toMatchObject({ "content-type": "application/grpc+proto", te: "trailers" });
    expect(seen?.body).toBe(frame("buy").toString("latin1"));
    expect(response.headers.get("content-type")).toBe("application/grpc-web+proto");
    expect(response.headers.get("content-encoding")).toBeUndefined();
    expect(response.body).toBe(okWeb);
    expect(response.trailers?.size ?? 0).toBe(0);
  });

  it("in text is the same in base64, both ways", async () => {
    const request = call(frame("buy").toString("base64"), "application/grpc-web-text");
    const { response, seen } = await through(request, { modules, answer: ok });
    expect(seen?.head.headers.get("content-type")).toBe("application/grpc");
    expect(seen?.head.headers.has("content-length")).toBe(false);
    expect(seen?.body).toBe(frame("buy").toString("latin1"));
    expect(response.headers.get("content-type")).toBe("application/grpc-web-text+proto");
    expect(fromText(response.body)).toBe(okWeb);
  });

  it("gets the form that it accepts", async () => {
    const textPlease = call(frame("buy"), "application/grpc-web", "Accept: application/grpc-web-text\r\n");
    const text = await through(textPlease, { modules, answer: ok });
    expect(text.response.headers.get("content-type")).toBe("application/grpc-web-text+proto");
    expect(fromText(text.response.body)).toBe(okWeb);
    const bytesPlease = call(
      frame("buy").toString("base64"),
      "application/grpc-web-text",
      "Accept: application/grpc-web\r\n",
    );
    expect((await through(bytesPlease, { modules, answer: ok })).response.body).toBe(okWeb);
  });

  it("that fails at once has its status in the head, and no body", async () => {
    const answer =
      "HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nContent-Length: 0\r\nGrpc-Status: 7\r\nGrpc-Message: no\r\n\r\n";
    const { response } = await through(call(frame("x"), "application/grpc-web"), { modules, answer });
    expect(response.headers.toJSON()).toMatchObject({ "grpc-status": "7", "grpc-message": "no" });
    expect(response.body).toBe("");
  });

  it("of an origin that says nothing of how it went is UNKNOWN", async () => {
    const answer = grpcResponse([frame("one")], "");
    const { response } = await through(call(frame("x"), "application/grpc-web"), { modules, answer });
    expect(response.body.slice(frame("one").length)).toMatch(/^\x80[\s\S]{4}grpc-status: 2\r\n/);
  });

  it("gets the answer of what is no gRPC as it is", async () => {
    const answer = okResponse("<h1>busy</h1>", "Content-Type: text/html\r\n").replace("200 OK", "503 Busy");
    const { response } = await through(call(frame("x"), "application/grpc-web-text"), { modules: [grpcWeb()], answer });
    expect(response.status).toBe(400);
    const well = await through(call(frame("x"), "application/grpc-web"), { modules: [grpcWeb()], answer });
    expect(well.response.status).toBe(503);
    expect(well.response.body).toBe("<h1>busy</h1>");
  });
});

describe("what passes by", () => {
  for (const [what, request] of Object.entries({
    "gRPC itself": call(frame("x"), "application/grpc"),
    JSON: call("{}", "application/json"),
    "a type that only begins alike": call("{}", "application/grpc-website"),
    "another method": call(frame("x"), "application/grpc-web").replace("POST", "PUT"),
  })) {
    it(`is ${what}`, async () => {
      const { response, seen } = await through(request, { modules: [grpcWeb()], answer: ok });
      expect(seen?.head.headers.has("te")).toBe(false);
      expect(response.headers.get("content-type")).toBe("application/grpc+proto");
      expect(response.trailers?.get("grpc-status")).toBe("0");
    });
  }

  it("is a call that a callback leaves alone", async () => {
    const module = grpcWeb();
    const { seen } = await through(call(frame("x"), "application/grpc-web"), {
      modules: [module],
      callbacks: {
        earlyRequestFilter(session) {
          session.module(module).enabled = false;
        },
      },
    });
    expect(seen?.head.headers.get("content-type")).toBe("application/grpc-web");
  });
});

describe("a request that is broken is 400", () => {
  for (const [what, body, type] of [
    ["a message that is cut", frame("hello").subarray(0, -1), "application/grpc-web"],
    ["a header that is cut", Buffer.from([0, 0, 0]), "application/grpc-web"],
    ["trailers, which no request has", frame("x: y", 0x80), "application/grpc-web"],
    ["no gRPC", Buffer.from("{}"), "application/grpc-web"],
    ["no base64", Buffer.from("!!!!"), "application/grpc-web-text"],
    ["base64 that is cut", Buffer.from(frame("hello").toString("base64").slice(0, -1)), "application/grpc-web-text"],
    ["bytes for text", frame("x"), "application/grpc-web-text"],
  ] as const) {
    it(what, async () => {
      const { response } = await through(call(body, type), { modules });
      expect(response.status).toBe(400);
    });
  }
});

describe("a response that is broken is cut, so that the client sees it", () => {
  for (const [what, chunks] of Object.entries({
    "it ends inside a message": [frame("hello").subarray(0, -1)],
    "it has trailers of its own": [frame("one"), frame("grpc-status: 0\r\n", 0x80)],
    "it is no gRPC": [Buffer.from("<html>")],
  })) {
    it(`as ${what}`, async () => {
      await using origin = await RawOrigin.answering(grpcResponse(chunks, "grpc-status: 0\r\n"));
      await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() }, { modules });
      const raw = await proxy.exchange(call(frame("x"), "application/grpc-web"));
      expect(raw).not.toMatch(/\r\n0\r\n\r\n$/);
      expect(raw).not.toContain("grpc-status: 0\r\n\r\n0");
    });
  }
});

it("messages come through whole, wherever they are cut", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 5 }),
      fc.integer({ min: 1, max: 200 }),
      fc.boolean(),
      async (messages, size, asText) => {
        const bytes = Buffer.concat(messages.map((message) => frame(Buffer.from(message))));
        const chunks: Buffer[] = [];
        for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.subarray(at, at + size));
        const type = `application/grpc-web${asText ? "-text" : ""}`;
        const body = asText ? bytes.toString("base64") : bytes;
        const answer = grpcResponse(chunks, "grpc-status: 0\r\n");
        const { response, seen } = await through(call(body, type), { modules: [grpcWeb()], answer });
        const expected = Buffer.concat([bytes, frame("grpc-status: 0\r\n", 0x80)]).toString("latin1");
        expect(seen?.body).toBe(bytes.toString("latin1"));
        expect(asText ? fromText(response.body) : response.body).toBe(expected);
      },
    ),
    { numRuns: 25 },
  );
});

for (const type of ["application/grpc-web", "application/grpc-web-text"]) {
  it(`a stream of messages over HTTP/2 is passed on as ${type}, one by one`, async () => {
    const streams: Http2Stream[] = [];
    await using origin = await Http2Origin.start((stream, headers) => {
      expect(headers).toMatchObject({ "content-type": "application/grpc", te: "trailers" });
      stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      stream.resume();
      streams.push(stream);
    });
    await using proxy = await TestProxy.start(
      { upstreamPeer: () => new HttpPeer(origin.address, { http: "2" }) },
      { modules },
    );
    const client = nodeRequest(proxy.origin, { method: "POST", headers: { "content-type": type } });
    const request = frame("watch");
    client.end(type.endsWith("text") ? request.toString("base64") : request);
    const [response] = (await once(client, "response")) as [NodeJS.ReadableStream];
    const ended = once(response, "end");
    const next = async (): Promise<string> => {
      const [data] = (await once(response, "data")) as [Buffer];
      return type.endsWith("text") ? fromText(data.toString()) : data.toString("latin1");
    };
    for (const message of ["first", "second"]) {
      const seen = next();
      streams[0]?.write(frame(message));
      expect(await seen).toBe(frame(message).toString("latin1"));
    }
    const last = next();
    streams[0]?.end();
    expect(await last).toBe(frame("grpc-status: 0\r\n", 0x80).toString("latin1"));
    await ended;
  });
}
