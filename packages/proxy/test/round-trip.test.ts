import { expect, test } from "vitest";
import { okResponse, RawOrigin } from "./harness/raw-origin.ts";
import { get, TestProxy } from "./harness/test-proxy.ts";

test("a request goes to the origin that `upstreamPeer` names, and its response comes back", async () => {
  await using origin = await RawOrigin.answering((request) => okResponse(`you asked for ${request.head.target}`));
  await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });

  const response = await proxy.exchange(get("/tea?milk=1"));

  expect(response).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  expect(response).toMatch(/\r\n\r\nyou asked for \/tea\?milk=1$/);
  expect(await proxy.metric('cirque_requests_total{service="http",status="2xx"}')).toBe(1);
});
