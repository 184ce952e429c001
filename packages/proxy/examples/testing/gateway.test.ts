import { connectRefused, testProxy } from "@cirque/proxy/testing";
import { expect, it } from "vitest";
import { gateway } from "./gateway.ts";

it("a request without a key does not get to an origin", async () => {
  const proxy = testProxy(gateway, { origin: () => new Response("tea\n") });
  const { response, originRequests } = await proxy.fetch("http://a.example/tea");
  expect(response.status).toBe(401);
  expect(originRequests).toEqual([]);
});

it("the key is for the gateway alone", async () => {
  const proxy = testProxy(gateway, { origin: (request) => Response.json({ path: new URL(request.url).pathname }) });
  const { response, originRequests } = await proxy.fetch("http://a.example/tea", { headers: { "x-key": "1" } });
  expect(await response.json()).toEqual({ path: "/tea" });
  expect(originRequests[0]?.request.headers.has("x-key")).toBe(false);
});

it("the second origin is asked when the first is down", async () => {
  const proxy = testProxy(gateway, {
    connect(peer) {
      if (peer.address === "10.0.0.1:80") throw connectRefused(peer);
    },
    origin: (_request, peer) => new Response(peer.address),
  });
  const { response, session, log } = await proxy.fetch("http://a.example/", { headers: { "x-key": "1" } });
  expect(await response.text()).toBe("10.0.0.2:80");
  expect(session.attempts).toBe(2);
  expect(log[0]?.error?.code).toBe("ConnectRefused");
});
