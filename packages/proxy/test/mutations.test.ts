import { describe, expect, it } from "vitest";
import { MALFORMED_REQUESTS } from "./corpora/malformed-requests.ts";
import { MALFORMED_BODIES, MALFORMED_HEADS } from "./corpora/malformed-responses.ts";
import { okResponse, RawOrigin } from "./harness/raw-origin.ts";
import { settled } from "./harness/raw-peer.ts";
import { readRequestsStrictly, readResponsesStrictly } from "./harness/strict-reader.ts";
import { get, post, postChunks, TestProxy } from "./harness/test-proxy.ts";

const REQUESTS: readonly string[] = [
  get("/a?b=c", ""),
  post("hello", ""),
  postChunks("5;x=y\r\nhello\r\n0\r\nX-T: u\r\n\r\n", ""),
  "GET http://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n",
  "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
  "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
  "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\nbytes",
  ...Object.values(MALFORMED_REQUESTS).flatMap((requests) =>
    requests.map(([, bytes]) => bytes).filter((bytes) => bytes.length < 500),
  ),
];

const RESPONSES: readonly string[] = [
  okResponse("hello"),
  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nX-T: u\r\n\r\n",
  "HTTP/1.0 200 OK\r\n\r\nhello",
  "HTTP/1.1 204 No Content\r\n\r\n",
  "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
  `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${okResponse("hello")}`,
  "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\nbytes",
  ...[...MALFORMED_HEADS, ...MALFORMED_BODIES].map(([, bytes]) => bytes).filter((bytes) => bytes.length < 500),
];

/** Numbers in [0, 1) that are the same in each run. */
function sequence(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const PIECES = [
  "\r",
  "\n",
  "\r\n",
  "\0",
  " ",
  "\t",
  ":",
  ",",
  ";",
  "0",
  "\xa0",
  "chunked",
  "Content-Length: 5\r\n",
  "+",
  "\r\n\r\n",
];

/** One to three small changes: bytes put in, taken out, doubled, swapped for others, or spliced with another message. */
function mutated(messages: readonly string[], random: () => number): string {
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
  let message = pick(messages);
  const changes = 1 + Math.floor(random() * 3);
  for (let change = 0; change < changes; change++) {
    const at = Math.floor(random() * message.length);
    const to = at + 1 + Math.floor(random() * 8);
    const [before, middle, after] = [message.slice(0, at), message.slice(at, to), message.slice(to)];
    const other = pick(messages);
    message = pick([
      before + pick(PIECES) + middle + after,
      before + after,
      before + middle + middle + after,
      before + String.fromCharCode(Math.floor(random() * 256)) + middle.slice(1) + after,
      before + other.slice(Math.floor(random() * other.length)),
      message + other,
    ]);
  }
  return message;
}

/** The answers of one connection, by the letter; the methods of its requests are those that reached the origin. */
function checkResponses(text: string, methods: readonly string[]): void {
  // A change of protocol: from there on the bytes are anybody's.
  const http = text.includes("HTTP/1.1 101 ")
    ? text.slice(0, text.indexOf("\r\n\r\n", text.indexOf(" 101 ")) + 4)
    : text;
  readResponsesStrictly(http, ...methods);
}

describe("whatever is sent, what leaves the proxy is HTTP by the letter (P1)", () => {
  it("requests with small changes", async () => {
    const random = sequence(20_260_401);
    await using origin = await RawOrigin.answering((request) => okResponse(request.body));
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
    for (let round = 0; round < 400; round++) {
      const bytes = mutated(REQUESTS, random);
      const seen = origin.connections.items.map((connection) => connection.text.length);
      const client = await proxy.client();
      client.send(bytes);
      await settled();
      const { text } = await client.end().whenClosed();
      const methods = origin.connections.items.flatMap(({ text: sent }, index) => {
        const { messages } = readRequestsStrictly(sent);
        const old = readRequestsStrictly(sent.slice(0, seen[index] ?? 0)).messages.length;
        return messages.slice(old).map(({ line }) => line.split(" ")[0] ?? "");
      });
      expect(() => checkResponses(text, methods), JSON.stringify({ bytes, text })).not.toThrow();
    }
    expect(proxy.logger.messages("error")).toEqual([]);
  });

  it("responses with small changes", async () => {
    const random = sequence(20_260_402);
    let response = "";
    await using origin = await RawOrigin.start(async (connection) => {
      await connection.request();
      connection.send(response).end();
    });
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
    for (let round = 0; round < 400; round++) {
      response = mutated(RESPONSES, random);
      const upgrade = response.includes("101") ? "Connection: Upgrade\r\nUpgrade: chat\r\n" : "Connection: close\r\n";
      const text = await proxy.exchange(get("/", upgrade));
      expect(() => checkResponses(text, ["GET"]), JSON.stringify({ response, text })).not.toThrow();
    }
  });
});
