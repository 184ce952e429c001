import { describe, expect, it, vi } from "vitest";
import { CounterWatch } from "./gateway/counter-watch.ts";
import { GatewayProcess } from "./gateway/gateway-process.ts";
import { downloadBytes, Origin } from "./gateway/origin.ts";
import { SteadyLoad } from "./gateway/steady-load.ts";
import { ThreadClient } from "./gateway/thread-client.ts";

// P11: what happens in one thread, or in one callback, others do not notice.
describe("A gateway with 2 threads under load", { timeout: 60_000 }, () => {
  it("loses with a thread that dies only what is in flight on it, and replaces it", async () => {
    await using scene = await Scene.start();
    const { clients, gateway, origin } = scene;
    await using onFirst = new SteadyLoad(clients.first.load);
    await using onSecond = new SteadyLoad(clients.second.load);
    await using counters = new CounterWatch(gateway);
    const [dying, living] = await Promise.all([
      clients.first.download.send("/download"),
      clients.second.download.send("/download"),
    ]);
    await Promise.all([onFirst.more(100), onSecond.more(100)]);
    const before = gateway.log.length;
    await expect(clients.first.victims[0]?.get("/exit")).rejects.toThrow();
    const died = await gateway.log.next(before, ({ msg }) => msg.startsWith("the data thread died"));
    expect(died.thread).toBe(1);
    await expect(dying.body.arrayBuffer()).rejects.toThrow();
    await onSecond.more(100);
    await gateway.log.next(before, ({ msg, thread }) => msg === "the data thread serves again" && thread === 1);

    origin.finishDownloads();
    expect((await living.body.arrayBuffer()).byteLength).toBe(downloadBytes);
    const failedBefore = onFirst.failed.length;
    await Promise.all([onFirst.more(100), onSecond.more(100)]);
    // Both serve: this ends only when each has answered.
    for (const [client] of await ThreadClient.ofBoth(gateway.address, 1)) await client?.[Symbol.asyncDispose]();
    await Promise.all([onFirst.stop(), onSecond.stop()]);
    expect(onSecond.failed).toEqual([]);
    expect(onFirst.failed).toHaveLength(failedBefore);

    // A request is counted when it is over, which is a moment after its client has the answer.
    const succeeded = onFirst.succeeded + onSecond.succeeded;
    await vi.waitUntil(async () => (await servedRequests(gateway)) >= succeeded);
    await counters.stop();
    expect(counters.fallen).toEqual([]);
    expect(await restarts(gateway)).toEqual([1, 0]);
  });

  it("fails only the request whose callback throws, rejects or never settles", async () => {
    await using scene = await Scene.start();
    const { clients, gateway, origin } = scene;
    await using load = new SteadyLoad([...clients.first.load, ...clients.second.load]);
    await using counters = new CounterWatch(gateway);
    const download = await clients.first.download.send("/download");
    for (const [index, path] of ["/throw", "/reject", "/hang"].entries()) {
      expect(await clients.first.victims[index]?.get(path)).toMatchObject({ status: 500 });
      await load.more(20);
    }
    origin.finishDownloads();
    expect((await download.body.arrayBuffer()).byteLength).toBe(downloadBytes);
    await load.stop();
    expect(load.failed).toEqual([]);
    // They have kept their connections, and so their thread.
    for (const client of clients.first.load) expect(await client.thread()).toBe(1);
    await counters.stop();
    expect(counters.fallen).toEqual([]);
    expect(await restarts(gateway)).toEqual([0, 0]);
  });
});

/** Clients of one thread. */
interface ClientsOfThread {
  readonly download: ThreadClient;
  /** For requests that fail, and take their connection along. */
  readonly victims: readonly ThreadClient[];
  readonly load: readonly ThreadClient[];
}

/** An origin, a gateway with two threads in front of it, and clients of each. */
class Scene implements AsyncDisposable {
  static async start(): Promise<Scene> {
    await using starting = new AsyncDisposableStack();
    const origin = starting.use(await Origin.start());
    const gateway = starting.use(await GatewayProcess.start({ threads: 2, origins: [origin.address], mark: "" }));
    const [first, second] = await ThreadClient.ofBoth(gateway.address, 6);
    for (const client of [...first, ...second]) starting.use(client);
    return new Scene(origin, gateway, { first: dealOut(first), second: dealOut(second) }, starting.move());
  }

  readonly origin: Origin;
  readonly gateway: GatewayProcess;
  readonly clients: { readonly first: ClientsOfThread; readonly second: ClientsOfThread };
  readonly #stack: AsyncDisposableStack;

  private constructor(origin: Origin, gateway: GatewayProcess, clients: Scene["clients"], stack: AsyncDisposableStack) {
    this.origin = origin;
    this.gateway = gateway;
    this.clients = clients;
    this.#stack = stack;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}

/** How often each thread was replaced. */
async function restarts(gateway: GatewayProcess): Promise<(number | undefined)[]> {
  const counters = await gateway.counters();
  return [1, 2].map((thread) => counters.get(`cirque_thread_restarts_total{thread="${thread}"}`));
}

/** How many requests were answered well, by all threads, those that died included. */
async function servedRequests(gateway: GatewayProcess): Promise<number> {
  const served = Array.from(await gateway.counters()).filter(([series]) =>
    /^cirque_requests_total\{.*"2xx"/.test(series),
  );
  return served.reduce((sum, [, value]) => sum + value, 0);
}

function dealOut([download, ...others]: readonly ThreadClient[]): ClientsOfThread {
  return { download: required(download), victims: others.slice(0, 3), load: others.slice(3) };
}

function required<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("a client is missing");
  return value;
}
