import { expect, test } from "vitest";
import { okResponse, RawOrigin } from "./harness/raw-origin.ts";
import { Recorder } from "./harness/recorder.ts";
import { get, TestProxy } from "./harness/test-proxy.ts";

test("a slow `logging` is told of its own request, though the connection with the origin serves the next one", async () => {
  await using origin = await RawOrigin.answering(({ head }) => okResponse("x".repeat(Number(head.path.slice(1)))));
  const gate = Promise.withResolvers<void>();
  const logged = new Recorder<readonly unknown[]>();
  await using proxy = await TestProxy.start({
    upstreamPeer: () => origin.peer(),
    logging: async (session) => {
      if (session.request.path === "/10") await gate.promise;
      logged.add([session.request.path, session.upstream?.reused, session.upstream?.bodyBytesReceived]);
    },
  });
  const first = await proxy.client();
  await first.send(get("/10", "")).until("x".repeat(10));
  await proxy.exchange(get("/20"));
  await logged.count(1);
  gate.resolve();
  await logged.count(2);
  expect(logged.items).toEqual([
    ["/20", true, 20],
    ["/10", false, 10],
  ]);
  expect(origin.connections.length).toBe(1);
});
