import { silentLogger, singleThread } from "@cirque/core";
import { describe, expect, it, vi } from "vitest";
import { Backend, Backends, LoadBalancer, StaticDiscovery } from "./index.ts";

describe("backends in several threads", () => {
  it("have the set and the health that the main thread has found out", () => {
    const main = LoadBalancer.from(["127.0.0.1:1", "127.0.0.1:2"]);
    const data = LoadBalancer.from(["127.0.0.1:1", "127.0.0.1:2"]);
    const known = data.backends.current;
    main.backends.setEnable(new Backend("127.0.0.1:1"), false);
    data.backends.adopt(structuredClone(main.backends.snapshot()));
    expect(data.backends.current).toBe(known);
    expect([data.select()?.address, data.select()?.address]).toEqual(["127.0.0.1:2", "127.0.0.1:2"]);

    main.backends.replace({ backends: [new Backend("127.0.0.1:2"), new Backend("127.0.0.1:3", { weight: 2 })] });
    data.backends.adopt(structuredClone(main.backends.snapshot()));
    expect(data.backends.current.backends).toEqual(main.backends.current.backends);
  });

  it("get the user's data where it can be copied, and keep their own where not", () => {
    const main = new Backends(new StaticDiscovery([]));
    const data = new Backends(new StaticDiscovery([]));
    const check = (): boolean => true;
    main.replace({
      backends: [new Backend("127.0.0.1:1", { ext: { zone: "a" } }), new Backend("127.0.0.1:2", { ext: check })],
    });
    data.replace({ backends: [new Backend("127.0.0.1:2", { ext: check })] });
    const own = data.current.backends[0];
    data.adopt(structuredClone(main.snapshot()));
    expect(data.current.backends.map(({ ext }) => ext)).toEqual([{ zone: "a" }, check]);
    expect(data.current.backends[1]).toBe(own);
    const before = data.current;
    data.adopt(structuredClone(main.snapshot()));
    expect(data.current).toBe(before);
  });

  it("are published once for the changes of one moment, and taken over by who follows", async () => {
    const published: unknown[] = [];
    const thread = {
      ...singleThread(),
      dataThreads: 2,
      publish: (value: unknown) => void published.push(structuredClone(value)),
    };
    const main = LoadBalancer.from(["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"]);
    const shutdown = new AbortController();
    await main.startWithReadyNotifier(shutdown.signal, () => {}, { logger: silentLogger, thread });
    const before = published.length;
    main.backends.setEnable(new Backend("127.0.0.1:1"), false);
    main.backends.setEnable(new Backend("127.0.0.1:2"), false);
    await vi.waitUntil(() => published.length > before);
    expect(published.length).toBe(before + 1);

    const data = LoadBalancer.from(["127.0.0.1:1"]);
    const onPublished = (listener: (value: unknown) => void): void => listener(published.at(-1));
    data.follow(shutdown.signal, { thread: { ...singleThread(), onPublished } });
    expect(data.backends.current.backends).toHaveLength(3);
    expect([data.select()?.address, data.select()?.address]).toEqual(["127.0.0.1:3", "127.0.0.1:3"]);

    shutdown.abort();
    main.backends.setEnable(new Backend("127.0.0.1:3"), false);
    await Promise.resolve();
    expect(published.length).toBe(before + 1);
  });
});
