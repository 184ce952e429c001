import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import * as basicAuthentication from "../../examples/modules/basic-authentication.ts";
import * as bodyLimits from "../../examples/modules/body-limits.ts";
import * as compression from "../../examples/modules/compression.ts";
import * as conditionsAndRanges from "../../examples/modules/conditions-and-ranges.ts";
import * as cors from "../../examples/modules/cors.ts";
import * as forwardingHeaders from "../../examples/modules/forwarding-headers.ts";
import * as grpcWeb from "../../examples/modules/grpc-web.ts";
import * as headerRules from "../../examples/modules/header-rules.ts";
import * as ipAccess from "../../examples/modules/ip-access.ts";
import * as mirroring from "../../examples/modules/mirroring.ts";
import * as redirectsAndRewrites from "../../examples/modules/redirects-and-rewrites.ts";
import * as requestDecompression from "../../examples/modules/request-decompression.ts";
import * as requestNames from "../../examples/modules/request-names.ts";
import type { HttpProxyOptions, ProxyHttp } from "../../src/index.ts";
import { okResponse } from "../harness/raw-origin.ts";
import { post } from "../harness/test-proxy.ts";
import { ask, type Outcome, through } from "./through.ts";

const root = join(import.meta.dirname, "../..");
const page = await readFile(join(root, "../../docs/guide/modules.md"), "utf8");
const folder = join(root, "examples/modules");

it("the examples of the page are the files", async () => {
  const blocks = Array.from(page.matchAll(/```ts\n(.*?)```/gs), ([, code]) => code);
  const files = (await readdir(folder)).map((name) => join(folder, name));
  for (const file of files) expect(blocks, file).toContain(await readFile(file, "utf8"));
});

it("the page has each module in its table, with its order", async () => {
  const proxy: Record<string, unknown> = await import("../../src/index.ts");
  const rows = Array.from(page.matchAll(/^\| \[`(\w+)`\]\(#[a-z-]+\) \| [^|]+ \| (-?\d+) \|$/gm));
  const settings: Record<string, unknown> = { cors: { origins: "*" }, basicAuthentication: { users: {} } };
  expect(rows.length).toBeGreaterThan(9);
  for (const [, name = "", order] of rows) {
    const make = proxy[name] as (settings: unknown) => { readonly order?: number };
    expect(make(settings[name] ?? (/^re/.test(name) ? [] : {})).order ?? 0, name).toBe(Number(order));
  }
});

interface Example {
  readonly options: HttpProxyOptions;
  readonly callbacks?: ProxyHttp;
}

/** A request through an example. */
function run({ options, callbacks }: Example, request: string, answer = okResponse("ok")): Promise<Outcome> {
  const { upstreamPeer: _peer, ...others } = callbacks ?? {};
  return through(request, { modules: options.modules, answer, callbacks: others as Partial<ProxyHttp> });
}

describe("the example of", () => {
  it("a module of one's own names requests", async () => {
    const { response, seen } = await run(requestNames, ask("/api/x"));
    expect(seen?.head.headers.get("x-request-id")).toMatch(/^api-[0-9a-f-]{36}$/);
    expect(response.headers.get("x-request-id")).toBe(seen?.head.headers.get("x-request-id"));
    expect((await run(requestNames, ask("/"))).response.headers.get("x-request-id")).toMatch(/^r-/);
  });

  it("forwarding headers says who asks", async () => {
    const { seen } = await run(forwardingHeaders, ask("/", "X-Forwarded-For: 192.0.2.1\r\n"));
    expect(seen?.head.headers.toJSON()).toMatchObject({ "x-forwarded-for": "127.0.0.1", via: "1.1 edge-1" });
  });

  it("compression leaves pages with secrets out", async () => {
    const page = okResponse("prices ".repeat(100), "Content-Type: text/html\r\n");
    const coding = async (path: string) => {
      const { response } = await run(compression, ask(path, "Accept-Encoding: gzip, br;q=0.9\r\n"), page);
      return response.headers.get("content-encoding");
    };
    expect(await coding("/")).toBe("gzip");
    expect(await coding("/account/1")).toBeUndefined();
  });

  it("request decompression hands on what was compressed", async () => {
    const body = gzipSync("hello").toString("latin1");
    const { seen } = await run(requestDecompression, post(body, "Content-Encoding: gzip\r\nConnection: close\r\n"));
    expect(seen?.body).toBe("hello");
  });

  it("gRPC-web lets a page call, and read how it went", async () => {
    const fields = "Origin: https://app.example\r\nContent-Type: application/grpc-web-text\r\nConnection: close\r\n";
    const answer = "HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nGrpc-Status: 5\r\nContent-Length: 0\r\n\r\n";
    const { response, seen } = await run(grpcWeb, post("AAAAAAA=", fields), answer);
    expect(seen?.head.headers.get("content-type")).toBe("application/grpc");
    expect(seen?.body).toBe("\0".repeat(5));
    expect(response.headers.toJSON()).toMatchObject({
      "content-type": "application/grpc-web-text",
      "grpc-status": "5",
      "access-control-expose-headers": "grpc-status, grpc-message",
    });
  });

  it("CORS lets a page read", async () => {
    const { response } = await run(cors, ask("/", "Origin: https://app.example\r\n"));
    expect(response.headers.get("access-control-expose-headers")).toBe("x-total");
  });

  it("basic authentication lets ann in", async () => {
    const field = `Authorization: Basic ${Buffer.from("ann:a password").toString("base64")}\r\n`;
    expect((await run(basicAuthentication, ask("/", field))).response.status).toBe(200);
    expect((await run(basicAuthentication, ask())).response.status).toBe(401);
  });

  it("IP access lets this machine in", async () => {
    expect((await run(ipAccess, ask())).response.status).toBe(200);
  });

  it("redirects and rewrites change paths", async () => {
    const blog = await run(redirectsAndRewrites, ask("/blog/a?b"));
    expect(blog.response.headers.get("location")).toBe("https://blog.example/a?b");
    expect((await run(redirectsAndRewrites, ask("/item-7"))).response.headers.get("location")).toBe("/items/7");
    expect((await run(redirectsAndRewrites, ask("/api/x"))).seen?.head.target).toBe("/v1/x");
  });

  it("body limits makes an exception", async () => {
    const large = post("x".repeat(10_001));
    expect((await run(bodyLimits, large)).response.status).toBe(413);
    expect((await run(bodyLimits, large.replace("POST /", "POST /uploads/"))).response.status).toBe(200);
  });

  it("header rules removes and sets", async () => {
    const answer = okResponse("ok", "Server: x\r\n");
    const { response, seen } = await run(headerRules, ask("/p", "X-Internal-Role: root\r\n"), answer);
    expect(seen?.head.headers.toJSON()).toMatchObject({ "x-path": "/p" });
    expect(seen?.head.headers.has("x-internal-role")).toBe(false);
    expect(response.headers.has("server")).toBe(false);
    expect(response.headers.get("x-content-type-options")).toBe("nosniff");
  });

  it("conditions and ranges serves both", async () => {
    const answer = okResponse("hello", 'ETag: "a"\r\n');
    expect((await run(conditionsAndRanges, ask("/", 'If-None-Match: "a"\r\n'), answer)).response.status).toBe(304);
    const { response } = await run(conditionsAndRanges, ask("/", "Range: bytes=1-2\r\n"), answer);
    expect(response).toMatchObject({ status: 206, body: "el" });
  });

  it("mirroring does not hurt requests whose copies nobody takes", async () => {
    expect((await run(mirroring, ask("/api/x"))).response).toMatchObject({ status: 200, body: "ok" });
  });
});
