import { once } from "node:events";
import { connect, type IncomingHttpHeaders, type OutgoingHttpHeaders } from "node:http2";
import { text } from "node:stream/consumers";
import { describe, expect, it } from "vitest";
import {
  byteRanges,
  conditionalRequests,
  forwardingHeaders,
  type HttpProxyOptions,
  type ProxyHttp,
} from "../../src/index.ts";
import { okResponse, RawOrigin } from "../harness/raw-origin.ts";
import { TestProxy } from "../harness/test-proxy.ts";

interface Answer {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly trailers: IncomingHttpHeaders;
}

/** One request of a client that speaks HTTP/2, to an origin that speaks HTTP/1.1. */
async function ask(
  fields: OutgoingHttpHeaders,
  modules: HttpProxyOptions["modules"] = [],
  callbacks: Partial<ProxyHttp> = {},
): Promise<Answer & { readonly seen: string }> {
  await using origin = await RawOrigin.answering(okResponse("hello", 'ETag: "a"\r\n'));
  await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer(), ...callbacks }, { modules });
  const client = connect(proxy.origin);
  try {
    const stream = client.request({ ":authority": "a.example", ":path": "/", ...fields });
    let trailers: IncomingHttpHeaders = {};
    stream.on("trailers", (received) => {
      trailers = received;
    });
    const [headers] = (await once(stream, "response")) as [IncomingHttpHeaders];
    const body = await text(stream);
    return { headers, body, trailers, seen: origin.connections.items[0]?.text ?? "" };
  } finally {
    client.destroy();
  }
}

describe("for a client that speaks HTTP/2", () => {
  it("conditions and ranges are the same", async () => {
    const modules = [conditionalRequests(), byteRanges()];
    expect(await ask({ "if-none-match": '"a"' }, modules)).toMatchObject({ headers: { ":status": 304 }, body: "" });
    expect(await ask({ range: "bytes=1-2" }, modules)).toMatchObject({ headers: { ":status": 206 }, body: "el" });
    expect(await ask({ range: "bytes=9-" }, modules)).toMatchObject({ headers: { ":status": 416 }, body: "" });
  });

  it("forwarding headers name host and version", async () => {
    const { headers, seen } = await ask({}, [forwardingHeaders({ via: "edge-1" })]);
    expect(seen).toContain("X-Forwarded-Host: a.example\r\n");
    expect(seen).toContain("Via: 2 edge-1\r\n");
    expect(headers.via).toBe("1.1 edge-1");
  });

  it("trailers can be added behind any body, and those that frame are dropped", async () => {
    const { body, trailers } = await ask({}, [], {
      responseTrailerFilter: (_session, added) => void added.append("x-sum", "1").append("content-length", "9"),
    });
    expect(body).toBe("hello");
    expect(Object.entries(trailers)).toEqual([["x-sum", "1"]]);
  });

  it("an answer of a callback passes the modules", async () => {
    const { headers, body } = await ask({ range: "bytes=0-0" }, [byteRanges()], {
      requestFilter: () => new Response("mine"),
    });
    expect(headers[":status"]).toBe(206);
    expect(body).toBe("m");
  });
});
