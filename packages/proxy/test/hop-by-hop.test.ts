import { describe, expect, it } from "vitest";
import type { ProxyHttp } from "../src/index.ts";
import { okResponse, RawOrigin } from "./harness/raw-origin.ts";
import { readRequestsStrictly, readResponsesStrictly, type StrictMessage } from "./harness/strict-reader.ts";
import { TestProxy } from "./harness/test-proxy.ts";

type Fields = readonly (readonly [name: string, value: string])[];

/** What the origin and the client are sent when the one says `request` lines and the other `response` lines. */
async function relay(
  { request = "", response = "" },
  filters: Omit<ProxyHttp, "upstreamPeer"> = {},
): Promise<{ request: Fields; responses: readonly StrictMessage[] }> {
  await using origin = await RawOrigin.answering(response === "" ? okResponse("ok") : response);
  await using proxy = await TestProxy.start({ ...filters, upstreamPeer: () => origin.peer() });
  const client = await proxy.client();
  const text = await client.send(`GET / HTTP/1.1\r\nHost: a\r\n${request}\r\n`).until("ok");
  const [sent] = readRequestsStrictly((await origin.connections.at(0)).text).messages;
  return { request: sent?.fields ?? [], responses: readResponsesStrictly(text).messages };
}

describe("fields that are for one connection do not cross the proxy (TR-01; RFC 9110, 7.6.1)", () => {
  it.each([
    ["Connection: keep-alive", "Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n"],
    ["a field that Connection names", "Connection: X-Mine, keep-alive\r\nX-Mine: 1\r\n"],
    ["several fields, named in two Connection fields", "Connection: X-A\r\nX-A: 1\r\nX-B: 2\r\nConnection: x-b,, \r\n"],
    ["a named field that is there twice", "X-A: 1\r\nConnection: x-A\r\nx-a: 2\r\n"],
    ["Proxy-Connection", "Proxy-Connection: keep-alive\r\n"],
    ["Proxy-Authorization", "Proxy-Authorization: Basic eDp5\r\n"],
    ["Upgrade without Connection", "Upgrade: websocket\r\n"],
    ["Upgrade of h2c", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"],
    ["TE with other codings than trailers", "Connection: TE\r\nTE: gzip, trailers\r\n"],
    ["Trailer", "Trailer: X-Sum\r\n"],
  ])("a request with %s", async (_name, lines) => {
    const { request } = await relay({ request: `${lines}X-Kept: yes\r\n` });
    expect(request).toEqual([
      ["Host", "a"],
      ["X-Kept", "yes"],
    ]);
  });

  it("TE: trailers goes on, and Connection names it (RFC 9110, 10.1.4)", async () => {
    const { request } = await relay({ request: "TE: trailers\r\nConnection: TE\r\n" });
    expect(request).toContainEqual(["TE", "trailers"]);
    expect(request).toContainEqual(["Connection", "TE"]);
  });

  it.each([
    ["Connection: keep-alive", "Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n"],
    ["a field that Connection names", "Connection: X-Mine\r\nX-Mine: 1\r\n"],
    ["Connection: close", "Connection: close\r\n"],
    ["Proxy-Connection", "Proxy-Connection: close\r\n"],
    ["Proxy-Authenticate", "Proxy-Authenticate: Basic\r\nProxy-Authentication-Info: x\r\n"],
    ["Upgrade", "Connection: Upgrade\r\nUpgrade: h2c\r\n"],
    ["Trailer", "Trailer: X-Sum\r\n"],
  ])("a response with %s", async (_name, lines) => {
    const { responses } = await relay({ response: okResponse("ok", `Date: now\r\n${lines}X-Kept: yes\r\n`) });
    expect(responses.map(({ fields }) => fields)).toEqual([
      [
        ["Content-Length", "2"],
        ["Date", "now"],
        ["X-Kept", "yes"],
      ],
    ]);
  });

  it("an interim response likewise", async () => {
    const early = "HTTP/1.1 103 Early Hints\r\nConnection: X-Mine\r\nX-Mine: 1\r\nKeep-Alive: x\r\nLink: </a>\r\n\r\n";
    const { responses } = await relay({ response: early + okResponse("ok") });
    expect(responses[0]?.line).toBe("HTTP/1.1 103 Early Hints");
    expect(responses[0]?.fields).toEqual([["Link", "</a>"]]);
  });

  it("filters see neither side's, and what they add of the kind stays with the connection, too", async () => {
    const seen: string[] = [];
    const stray = { connection: "keep-alive, X-Added", "keep-alive": "timeout=9", "x-added": "1" };
    const { request, responses } = await relay(
      {
        request: "Connection: X-Mine\r\nX-Mine: 1\r\n",
        response: okResponse("ok", "Connection: X-Yours\r\nX-Yours: 1\r\n"),
      },
      {
        upstreamRequestFilter: (_session, head) => {
          seen.push(head.headers.toWire());
          for (const [name, value] of Object.entries(stray)) head.headers.set(name, value);
        },
        responseFilter: (_session, head) => {
          seen.push(head.headers.toWire());
          for (const [name, value] of Object.entries(stray)) head.headers.set(name, value);
        },
      },
    );
    expect(seen.join()).not.toMatch(/mine|yours|connection/i);
    for (const fields of [request, responses[0]?.fields ?? []]) {
      const names = fields.map(([name]) => name.toLowerCase());
      expect(names).toContain("x-added");
      expect(names).not.toContain("connection");
      expect(names).not.toContain("keep-alive");
    }
  });
});
