import { HttpPeer } from "@cirque/core";
import { describe, expect, it } from "vitest";
import { bodyLimits, byteRanges, type HttpProxyOptions, type ProxyHttp } from "../../src/index.ts";
import { type TestRequestInit, testProxy } from "../../src/testing/index.ts";
import { RawOrigin } from "../harness/raw-origin.ts";
import { readResponses } from "../harness/read-responses.ts";
import { TestProxy } from "../harness/test-proxy.ts";
import { TracedCallbacks } from "../harness/traced-callbacks.ts";

/** What a client and an origin see of one request: the same, whether there are sockets between them or not. */
interface Seen {
  readonly status: number;
  readonly body: string;
  readonly length: string | null;
  readonly origin: readonly string[];
  readonly calls: readonly string[];
}

interface Case {
  readonly name: string;
  readonly callbacks?: Omit<Partial<ProxyHttp>, "upstreamPeer">;
  readonly options?: HttpProxyOptions;
  readonly request?: TestRequestInit & { readonly body?: string };
  readonly answer?: { readonly status?: number; readonly headers?: Record<string, string>; readonly body?: string };
}

const upper = (text: Buffer | undefined): Buffer | undefined => text && Buffer.from(text.toString().toUpperCase());

const cases: readonly Case[] = [
  { name: "a GET" },
  { name: "a HEAD", request: { method: "HEAD" }, answer: { headers: { "content-length": "5" }, body: "" } },
  { name: "a POST", request: { method: "POST", body: "tea" } },
  { name: "a 204", answer: { status: 204, body: "" } },
  { name: "a 304 with a length", answer: { status: 304, headers: { "content-length": "7" }, body: "" } },
  { name: "a status without a name", answer: { status: 599 } },
  { name: "a client of HTTP/1.0", request: { version: "1.0" } },
  { name: "an answer of a filter", callbacks: { requestFilter: () => new Response("no", { status: 403 }) } },
  {
    name: "a filter that throws",
    callbacks: {
      requestFilter() {
        throw new Error("a mistake");
      },
    },
  },
  { name: "a filter that refuses origins", callbacks: { proxyUpstreamFilter: () => false } },
  {
    name: "bodies that filters change, without a length",
    request: { method: "POST", body: "tea" },
    callbacks: {
      upstreamRequestFilter: (_session, request) => void request.headers.delete("content-length"),
      requestBodyFilter(_session, chunk) {
        chunk.data = upper(chunk.data);
      },
      responseFilter: (_session, response) => void response.headers.delete("content-length"),
      responseBodyFilter(_session, chunk) {
        if (chunk.end) chunk.data = Buffer.from("!");
      },
    },
  },
  {
    name: "a filter that makes the body longer than its length",
    callbacks: {
      responseBodyFilter(_session, chunk) {
        if (chunk.data !== undefined) chunk.data = Buffer.concat([chunk.data, chunk.data]);
      },
    },
  },
  {
    name: "a filter that cuts the request body",
    request: { method: "POST", body: "tea" },
    callbacks: {
      requestBodyFilter(_session, chunk) {
        chunk.data = undefined;
      },
    },
  },
  {
    name: "a filter that sets a length that is none",
    callbacks: { responseFilter: (_session, response) => void response.headers.set("content-length", "many") },
  },
  {
    name: "a filter that adds a framing of its own",
    callbacks: { responseFilter: (_session, response) => void response.headers.set("transfer-encoding", "gzip") },
  },
  {
    name: "a filter that takes the Host away",
    callbacks: { upstreamRequestFilter: (_session, request) => void request.headers.delete("host") },
  },
  {
    name: "a filter that makes the status that of an interim response",
    callbacks: {
      responseFilter(_session, response) {
        response.status = 199;
      },
    },
  },
  {
    name: "modules",
    options: { modules: [byteRanges(), bodyLimits({ requestBytes: 10 })] },
    request: { headers: { range: "bytes=1-2" } },
  },
  {
    name: "a body that is too large",
    options: { modules: [bodyLimits({ requestBytes: 2 })] },
    request: { method: "POST", body: "tea" },
  },
  {
    name: "fields of the connection",
    request: { headers: { connection: "x-a", "x-a": "1", "keep-alive": "timeout=5" } },
  },
];

describe("what is seen in memory is what is seen on the wire:", () => {
  it.each(cases)("$name", async (example) => {
    expect(await inMemory(example)).toEqual(await onTheWire(example));
  });
});

async function inMemory({ callbacks, options, request, answer = {} }: Case): Promise<Seen> {
  const traced = new TracedCallbacks<void>({ upstreamPeer: () => new HttpPeer("10.0.0.1:80"), ...callbacks });
  const { status = 200, headers = {}, body = "hello" } = answer;
  const proxy = testProxy(traced.callbacks, {
    ...options,
    origin: async (asked) => {
      await asked.text();
      return new Response(status === 204 || status === 304 ? null : body, { status, headers });
    },
  });
  const { response, originRequests } = await proxy.fetch("http://a.example/path", request);
  const origin = await Promise.all(
    originRequests
      .filter(({ complete }) => complete)
      .map(async ({ request: seen }) =>
        summary(seen.method, new URL(seen.url).pathname, seen.headers, await seen.text()),
      ),
  );
  return {
    status: response.status,
    body: await response.text(),
    length: response.headers.get("content-length"),
    origin,
    calls: orderOf(traced.names),
  };
}

async function onTheWire({ callbacks, options = {}, request = {}, answer = {} }: Case): Promise<Seen> {
  const { status = 200, headers = {}, body = "hello" } = answer;
  const seen: string[] = [];
  await using origin = await RawOrigin.answering((asked) => {
    seen.push(summary(asked.head.method, asked.head.path, asked.head.headers.toHeaders(), asked.body.toString()));
    const lines = { ...(body !== "" && { "content-length": String(body.length) }), ...headers };
    const fields = Object.entries(lines).map(([name, value]) => `${name}: ${value}\r\n`);
    return `HTTP/1.1 ${status} x\r\n${fields.join("")}\r\n${body}`;
  });
  const traced = new TracedCallbacks<void>({ upstreamPeer: () => origin.peer(), ...callbacks });
  await using proxy = await TestProxy.start(traced.callbacks, options);
  const { method = "GET", version = "1.1", body: sent } = request;
  const fields = {
    ...(request.headers as Record<string, string>),
    ...(sent && { "content-length": `${sent.length}` }),
  };
  const { connection, ...others } = fields as Record<string, string>;
  const lines = Object.entries(others).map(([name, value]) => `${name}: ${value}\r\n`);
  const close = `Connection: ${connection === undefined ? "" : `${connection}, `}close\r\n`;
  const text = await proxy.exchange(
    `${method} /path HTTP/${version}\r\nHost: a.example\r\n${close}${lines.join("")}\r\n${sent ?? ""}`,
  );
  await traced.called("logging");
  const [response] = readResponses(text, method);
  return {
    status: response?.status ?? 0,
    body: response?.body ?? "",
    length: response?.headers.get("content-length") ?? null,
    origin: seen,
    calls: orderOf(traced.names),
  };
}

function summary(method: string, path: string, headers: Headers, body: string): string {
  const fields = [...headers.entries()].filter(([name]) => name !== "transfer-encoding");
  return `${method} ${path} ${fields.map((field) => field.join("=")).join(" ")} ${body}`;
}

/** The calls, but for the last ones, which only a connection makes, and repetitions. */
function orderOf(names: readonly string[]): string[] {
  const kept = names.filter((name) => name !== "persistConnectionContext");
  return kept.filter((name, index) => name !== kept[index - 1]);
}
