import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempDisposable } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { EndPoint, Upstream } from "./harness/end-point.ts";
import { Program } from "./harness/program.ts";
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

it.each([1, 2])(
  "a server with %s threads is upgraded under load, and nothing is lost",
  { timeout: 30_000 },
  async (threads) => {
    await using datagrams = await UdpEndPoint.answering((data) => `re: ${data}`);
    await using stream = await Upstream.start("hello");
    await using directory = await mkdtempDisposable(join(tmpdir(), "cirque-l4-"));
    await using program = new Program([join(import.meta.dirname, "harness/both-proxies.ts")], {
      env: {
        UDP: datagrams.address,
        TCP: stream.address,
        THREADS: String(threads),
        PID_FILE: join(directory.path, "pid"),
      },
    });
    const serving = (count: number): Promise<true> =>
      program.until((output) => output.split('"msg":"the server runs"').length > count || undefined);
    await serving(1);
    const portOf = (service: string): number =>
      Number(new RegExp(`"service":"${service}","address":"127\\.0\\.0\\.1:(\\d+)"`).exec(program.output)?.[1]);
    const [udpPort, tcpPort] = [portOf("UDP proxy"), portOf("TCP proxy")];

    let under = true;
    const counts = { datagrams: 0, connections: 0 };
    const ask = async (): Promise<void> => {
      while (under) {
        await using client = await UdpEndPoint.bind();
        client.send(`${counts.datagrams}`, `127.0.0.1:${udpPort}`);
        expect(await client.text()).toMatch(/^re: \d+$/);
        counts.datagrams += 1;
      }
    };
    const call = async (): Promise<void> => {
      while (under) {
        using client = await EndPoint.connect(tcpPort);
        await client.until("hello");
        client.end();
        counts.connections += 1;
      }
    };
    const load = Promise.all([ask(), ask(), call()]);
    using early = await EndPoint.connect(tcpPort);
    await early.until("hello");
    const [first = 0] = program.pids();
    process.kill(first, "SIGUSR2");
    await serving(2);
    const before = { ...counts };
    await expect
      .poll(() => counts.datagrams > before.datagrams + 50 && counts.connections > before.connections + 50)
      .toBe(true);
    under = false;
    await load;

    // The connection from before the upgrade is still carried, by the process that accepted it.
    early.send("still there");
    await expect.poll(() => stream.connections.some(({ text }) => text === "still there")).toBe(true);
    early.socket.resetAndDestroy();
  },
);
