import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { expect, it } from "vitest";
import { TestUdpProxy, threadSockets } from "./harness/test-udp-proxy.ts";
import { UdpEndPoint } from "./harness/udp-end-point.ts";

it("an upgrade loses no datagram: the next process reads on where this one stops, which delivers its replies", async () => {
  await using upstream = await UdpEndPoint.bind();
  const sockets = threadSockets();
  const former = await TestUdpProxy.start(
    { upstreamPeer: () => ({ address: upstream.address }) },
    { responses: 1, drainIdleTimeoutMs: 60_000 },
    { sockets },
  );
  const { address } = former;
  await using early = await UdpEndPoint.bind();
  early.send("asked before", address);
  const before = await upstream.next();

  const next = fork(join(import.meta.dirname, "harness/inheriting-udp-proxy.ts"), [upstream.address], {
    execArgv: ["--conditions=@cirque/source"],
    stdio: ["ignore", "ignore", "inherit", sockets.bound[0]?.descriptor ?? "ignore", "ipc"],
  });
  try {
    const [ready] = await once(next, "message");
    expect(ready).toEqual({ address });
    const stopped = former.service.stop(new AbortController().signal);
    expect(sockets.bound).toEqual([]);

    const clients = await Promise.all(Array.from({ length: 50 }, () => UdpEndPoint.bind()));
    for (const client of clients) client.send("asked after", address);
    for (const _client of clients) {
      const { data, from } = await upstream.next();
      upstream.send(`re: ${data}`, `127.0.0.1:${from.port}`);
    }
    for (const client of clients) {
      expect(await client.text()).toBe("re: asked after");
      await client[Symbol.asyncDispose]();
    }

    upstream.send("re: asked before", `127.0.0.1:${before.from.port}`);
    const reply = await early.next();
    expect(String(reply.data)).toBe("re: asked before");
    expect(`${reply.from.address}:${reply.from.port}`).toBe(address);
    await stopped;
    expect(await former.metric("cirque_udp_sessions_total")).toBe(1);
  } finally {
    next.kill("SIGKILL");
    await once(next, "close");
  }
});
