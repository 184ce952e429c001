import { getEventListeners } from "node:events";
import { silentLogger } from "@cirque/core";
import { describe, expect, it, vi } from "vitest";
import { allocatedBytesPerCall } from "../test/allocated-bytes.ts";
import { Backend } from "./backend.ts";
import { Backends } from "./backends.ts";
import type { ServiceDiscovery } from "./discovery/service-discovery.ts";
import { StaticDiscovery } from "./discovery/static-discovery.ts";
import { LoadBalancer } from "./load-balancer.ts";
import type { BackendSelection, SelectionBuilder } from "./selection/backend-selection.ts";
import { RoundRobin } from "./selection/round-robin.ts";

const addresses = ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"] as const;
const [a, b, c] = addresses.map((address) => new Backend(address)) as [Backend, Backend, Backend];

describe("LoadBalancer.from", () => {
  it("can be used at once, with addresses and backends", () => {
    const upstreams = LoadBalancer.from(["127.0.0.1:1", new Backend("127.0.0.1:2", { weight: 2 })], {
      selection: RoundRobin,
    });
    expect(picks(upstreams, 6).sort()).toEqual([
      ...Array<string>(2).fill("127.0.0.1:1"),
      ...Array<string>(4).fill("127.0.0.1:2"),
    ]);
  });

  it("takes turns when nothing else was asked for", () => {
    expect(picks(LoadBalancer.from(addresses), 4)).toEqual([...addresses, addresses[0]]);
  });

  it("hands out the data of the user", () => {
    const upstreams = LoadBalancer.from([new Backend("127.0.0.1:1", { ext: { sni: "a.test" } })]);
    expect(upstreams.select()?.ext?.sni).toBe("a.test");
  });

  it("refuses a malformed address", () => {
    expect(() => LoadBalancer.from(["127.0.0.1"])).toThrow(expect.objectContaining({ code: "InvalidArgument" }));
  });

  it("selects nobody from an empty set, and from one that weighs nothing", () => {
    expect(LoadBalancer.from([]).select()).toBeUndefined();
    const weightless = LoadBalancer.from([new Backend("127.0.0.1:1", { weight: 0 })], { failOpen: true });
    expect(weightless.select()).toBeUndefined();
    expect(weightless.selectWith(undefined, 10, () => true)).toBeUndefined();
  });
});

describe("LoadBalancer.select", () => {
  it("falls over to the next ready backend, and shares an ill one's turns evenly", () => {
    const upstreams = LoadBalancer.from(addresses);
    upstreams.backends.setEnable(b, false);
    expect(picks(upstreams, 6)).toEqual([a, c, a, c, a, c].map(({ address }) => address));
    upstreams.backends.setEnable(b, true);
    expect(new Set(picks(upstreams, 3))).toEqual(new Set(addresses));
  });

  it("selects nobody when nobody is ready", () => {
    const upstreams = LoadBalancer.from(addresses);
    for (const backend of [a, b, c]) upstreams.backends.setEnable(backend, false);
    expect(upstreams.select()).toBeUndefined();
  });

  it("looks at no more candidates than it was told to", () => {
    const upstreams = LoadBalancer.from(addresses, { selection: inOrder });
    upstreams.backends.setEnable(a, false);
    upstreams.backends.setEnable(b, false);
    expect([0, 1, 2, 3, Number.NaN].map((most) => upstreams.select(undefined, most)?.address)).toEqual([
      undefined,
      undefined,
      undefined,
      c.address,
      undefined,
    ]);
  });

  it("finds the last of many backends", () => {
    const many = Array.from({ length: 1_000 }, (_, index) => new Backend(`127.0.0.1:${index + 1}`));
    const upstreams = LoadBalancer.from(many);
    for (const backend of many.slice(0, -1)) upstreams.backends.setEnable(backend, false);
    expect(new Set(picks(upstreams, 5))).toEqual(new Set(["127.0.0.1:1000"]));
  });

  it("hands the key to the selection", () => {
    const keys: unknown[] = [];
    const selection: SelectionBuilder = {
      build: () => ({
        first: (key) => keys.push(key) - 1,
        others: () => [],
      }),
    };
    const upstreams = LoadBalancer.from(addresses, { selection });
    const bytes = new Uint8Array([1]);
    expect([upstreams.select("a"), upstreams.select(bytes), upstreams.select()].map((each) => each?.address)).toEqual(
      addresses,
    );
    expect(keys).toEqual(["a", bytes, undefined]);
  });

  it("survives a selection that yields positions out of range", () => {
    const selection: SelectionBuilder = {
      build: () => ({ first: () => 17, others: () => [-1, 3, 0.5, Number.NaN, 1] }),
    };
    expect(LoadBalancer.from(addresses, { selection }).select()?.address).toBe(b.address);
  });

  it("allocates nothing while the first candidate is ready", () => {
    const upstreams = LoadBalancer.from([new Backend("127.0.0.1:1", { weight: 3 }), "127.0.0.1:2", "127.0.0.1:3"]);
    expect(allocatedBytesPerCall(() => upstreams.select())).toBeLessThan(1);
  });
});

describe("LoadBalancer.failOpen", () => {
  it("takes turns among all that are enabled when nobody is healthy", async () => {
    const upstreams = LoadBalancer.from(addresses, { failOpen: true });
    upstreams.healthCheck = allIll;
    await upstreams.runHealthCheck();
    expect(picks(upstreams, 3).sort()).toEqual(addresses);
    upstreams.backends.setEnable(b, false);
    expect(new Set(picks(upstreams, 10))).toEqual(new Set([a.address, c.address]));
    upstreams.failOpen = false;
    expect(upstreams.select()).toBeUndefined();
  });

  it("changes nothing while somebody is ready", async () => {
    const upstreams = LoadBalancer.from(addresses, { failOpen: true });
    upstreams.healthCheck = {
      ...allIll,
      check: (backend) => (backend.address === c.address ? undefined : allIll.check()),
    };
    await upstreams.runHealthCheck();
    expect(new Set(picks(upstreams, 10))).toEqual(new Set([c.address]));
  });
});

describe("LoadBalancer.selectWith", () => {
  it("lets the caller decide, and tells who is ready", () => {
    const upstreams = LoadBalancer.from(addresses, { selection: inOrder });
    upstreams.backends.setEnable(a, false);
    const seen: [string, boolean][] = [];
    const chosen = upstreams.selectWith("key", 10, (backend, ready) => {
      seen.push([backend.address, ready]);
      return backend.address === c.address;
    });
    expect(chosen?.address).toBe(c.address);
    expect(seen).toEqual([
      [a.address, false],
      [b.address, true],
      [c.address, true],
    ]);
  });

  it("can take one that is not ready rather than none", () => {
    const upstreams = LoadBalancer.from(addresses, { selection: inOrder });
    for (const backend of [a, b, c]) upstreams.backends.setEnable(backend, false);
    expect(upstreams.selectWith(undefined, 10, (_backend, ready) => ready)).toBeUndefined();
    expect(upstreams.selectWith(undefined, 10, () => true)?.address).toBe(a.address);
  });

  it("shows each candidate once, and no more than it was told to", () => {
    const upstreams = LoadBalancer.from(addresses);
    const seen: string[] = [];
    const refuse = (backend: Backend): boolean => seen.push(backend.address) < 0;
    expect(upstreams.selectWith(undefined, 100, refuse)).toBeUndefined();
    expect(seen).toEqual(addresses);
    expect(upstreams.selectWith(undefined, 2, refuse)).toBeUndefined();
    expect(seen).toHaveLength(5);
    expect(upstreams.selectWith(undefined, 0, refuse)).toBeUndefined();
    expect(seen).toHaveLength(5);
  });

  it("may select again while it decides", () => {
    const upstreams = LoadBalancer.from(addresses);
    const inner: string[] = [];
    const outer = upstreams.selectWith(undefined, 10, (backend) => {
      inner.push(upstreams.select()?.address ?? "none");
      return backend.address === b.address;
    });
    expect(outer?.address).toBe(b.address);
    expect(inner).not.toContain("none");
    const after = picks(upstreams, 30);
    for (const address of addresses) {
      expect(Math.abs(after.filter((each) => each === address).length - 10)).toBeLessThanOrEqual(1);
    }
  });

  it("loses no backend when the decision throws", () => {
    const upstreams = LoadBalancer.from(addresses);
    const fail = (backend: Backend): boolean => {
      if (backend.address === c.address) throw new Error("undecided");
      return false;
    };
    expect(() => upstreams.selectWith(undefined, 10, fail)).toThrow("undecided");
    expect(new Set(picks(upstreams, 3))).toEqual(new Set(addresses));
  });
});

describe("LoadBalancer.update", () => {
  it("selects from what was found, and builds the selection only when the set changed", async () => {
    const discover = vi.fn<ServiceDiscovery["discover"]>(() => ({ backends: [a] }));
    const build = vi.fn<SelectionBuilder["build"]>((backends, previous) => RoundRobin.build(backends, previous));
    const upstreams = new LoadBalancer(new Backends({ discover }), { selection: { build } });
    expect(upstreams.select()).toBeUndefined();
    await upstreams.update();
    await upstreams.update();
    expect(build).toHaveBeenCalledTimes(2);
    expect(upstreams.select()).toBe(a);
    discover.mockReturnValue({ backends: [b, c], enabled: new Map([[b.address, false]]) });
    await upstreams.update();
    expect(build).toHaveBeenCalledTimes(3);
    expect(build).toHaveBeenLastCalledWith([b, c], build.mock.results[1]?.value);
    expect(picks(upstreams, 2)).toEqual([c.address, c.address]);
    discover.mockReturnValue({ backends: [c, b], enabled: new Map([[b.address, true]]) });
    await upstreams.update();
    expect(build).toHaveBeenCalledTimes(3);
    expect(picks(upstreams, 2).sort()).toEqual([b.address, c.address]);
  });

  it("keeps the selection when the discovery fails, and when the new one cannot be built", async () => {
    const discover = vi.fn<ServiceDiscovery["discover"]>(() => ({ backends: [a] }));
    const build = vi.fn<SelectionBuilder["build"]>((backends) => RoundRobin.build(backends));
    const upstreams = new LoadBalancer(new Backends({ discover }), { selection: { build } });
    await upstreams.update();
    discover.mockImplementationOnce(() => Promise.reject(new Error("no answer")));
    await expect(upstreams.update()).rejects.toThrow("1 stay in use");
    expect(upstreams.select()).toBe(a);
    discover.mockReturnValue({ backends: [b] });
    build.mockImplementationOnce(() => {
      throw new Error("no selection");
    });
    await expect(upstreams.update()).rejects.toThrow("no selection");
    expect(upstreams.select()).toBe(a);
  });

  it("follows a set that was replaced by hand, and shares one set with another balancer", () => {
    const backends = new Backends(new StaticDiscovery([a]));
    const one = new LoadBalancer(backends);
    const other = new LoadBalancer(backends, { selection: inOrder });
    backends.replace({ backends: [b] });
    expect([one.select(), other.select()]).toEqual([b, b]);
    expect(other.selectWith(undefined, 5, () => true)).toBe(b);
  });
});

describe("LoadBalancer: frequencies", () => {
  it.each([0, -1, Number.NaN, 2 ** 31])("refuses %s", (frequency) => {
    const upstreams = LoadBalancer.from(addresses);
    const refusal = expect.objectContaining({
      code: "InvalidArgument",
      message: expect.stringContaining("FrequencyMs"),
    });
    expect(() => {
      upstreams.healthCheckFrequencyMs = frequency;
    }).toThrow(refusal);
    expect(() => {
      upstreams.updateFrequencyMs = frequency;
    }).toThrow(refusal);
    expect([upstreams.healthCheckFrequencyMs, upstreams.updateFrequencyMs]).toEqual([undefined, undefined]);
  });

  it("can be taken away", () => {
    const upstreams = LoadBalancer.from(addresses);
    upstreams.updateFrequencyMs = 5;
    upstreams.updateFrequencyMs = undefined;
    expect(upstreams.updateFrequencyMs).toBeUndefined();
  });
});

describe("LoadBalancer as a background task", () => {
  it("discovers, is ready, checks, and ends when there is no frequency", async () => {
    const events: string[] = [];
    const discover: ServiceDiscovery["discover"] = async () => {
      events.push("discover");
      return { backends: [a] };
    };
    const upstreams = new LoadBalancer(new Backends({ discover }), { logger: silentLogger });
    upstreams.healthCheck = { check: () => void events.push("check"), healthThreshold: () => 1 };
    await upstreams.startWithReadyNotifier(new AbortController().signal, () => events.push("ready"));
    expect(events).toEqual(["discover", "ready", "check"]);
  });

  it("goes on at its frequencies until the server stops, and then ends at once", async () => {
    const stop = new AbortController();
    let updates = 0;
    let checks = 0;
    const both = Promise.withResolvers<void>();
    const counted = (): void => {
      if (updates >= 3 && checks >= 3) both.resolve();
    };
    const upstreams = new LoadBalancer(
      new Backends({
        discover: () => {
          updates += 1;
          counted();
          return { backends: [a] };
        },
      }),
      { logger: silentLogger },
    );
    upstreams.healthCheck = {
      check: () => {
        checks += 1;
        counted();
      },
      healthThreshold: () => 1,
    };
    upstreams.updateFrequencyMs = 1;
    upstreams.healthCheckFrequencyMs = 1;
    const task = upstreams.startWithReadyNotifier(stop.signal, () => {});
    await both.promise;
    stop.abort();
    await task;
    expect(getEventListeners(stop.signal, "abort")).toEqual([]);
  });

  it("ends at once when it stops in the middle of a pause, a check or a discovery", async () => {
    const hour = 3_600_000;
    const pausing = LoadBalancer.from([a], { logger: silentLogger });
    pausing.healthCheckFrequencyMs = hour;
    pausing.updateFrequencyMs = hour;
    const checking = LoadBalancer.from([a], { logger: silentLogger });
    const checked = Promise.withResolvers<void>();
    checking.healthCheck = {
      check: () => {
        checked.resolve();
        return new Promise<never>(() => {});
      },
      healthThreshold: () => 1,
      timeoutMs: hour,
    };
    const discover = vi.fn(() => new Promise<never>(() => {}));
    const discovering = new LoadBalancer(new Backends({ discover, timeoutMs: hour }), { logger: silentLogger });
    const stop = new AbortController();
    const ready = vi.fn();
    const tasks = [
      pausing.startWithReadyNotifier(stop.signal, () => {}),
      checking.startWithReadyNotifier(stop.signal, () => {}),
      discovering.startWithReadyNotifier(stop.signal, ready),
    ];
    await checked.promise;
    stop.abort();
    await Promise.all(tasks);
    expect(checking.select()).toBe(a);
    expect(ready).not.toHaveBeenCalled();
  });

  it("checks at its frequency while a discovery hangs", async () => {
    const stop = new AbortController();
    const discover = vi.fn<ServiceDiscovery["discover"]>(() => new Promise<never>(() => {}));
    discover.mockReturnValueOnce({ backends: [a] });
    const upstreams = new LoadBalancer(new Backends({ discover }), { logger: silentLogger });
    upstreams.updateFrequencyMs = 1;
    upstreams.healthCheckFrequencyMs = 1;
    const often = Promise.withResolvers<void>();
    let checksWhileHung = 0;
    upstreams.healthCheck = {
      check: () => {
        if (discover.mock.calls.length > 1) checksWhileHung += 1;
        if (checksWhileHung === 3) often.resolve();
      },
      healthThreshold: () => 1,
    };
    const task = upstreams.startWithReadyNotifier(stop.signal, () => {});
    await often.promise;
    stop.abort();
    await task;
    expect(discover).toHaveBeenCalledTimes(2);
  });

  it("logs a discovery that fails, keeps the set, and goes on", async () => {
    const stop = new AbortController();
    const error = vi.fn();
    const recovered = Promise.withResolvers<void>();
    const discover = vi.fn<ServiceDiscovery["discover"]>(() => {
      recovered.resolve();
      return { backends: [b] };
    });
    discover.mockReturnValueOnce({ backends: [a] }).mockRejectedValueOnce(new Error("no answer"));
    const upstreams = new LoadBalancer(new Backends({ discover }));
    upstreams.updateFrequencyMs = 1;
    const task = upstreams.startWithReadyNotifier(stop.signal, () => {}, { logger: { ...silentLogger, error } });
    await recovered.promise;
    await vi.waitUntil(() => upstreams.select() === b);
    stop.abort();
    await task;
    expect(error).toHaveBeenCalledTimes(1);
    expect(error.mock.calls[0]).toMatchObject([{ err: { cause: { message: "no answer" } } }, /discovery of backends/]);
  });

  it("is ready although the first discovery failed, and tries again until one succeeded", async () => {
    vi.useFakeTimers();
    try {
      const discover = vi.fn<ServiceDiscovery["discover"]>(() => ({ backends: [a] }));
      discover.mockRejectedValueOnce(new Error("no answer")).mockRejectedValueOnce(new Error("no answer"));
      const upstreams = new LoadBalancer(new Backends({ discover }), { logger: silentLogger });
      const ready = vi.fn();
      const task = upstreams.startWithReadyNotifier(new AbortController().signal, ready);
      await vi.waitUntil(() => ready.mock.calls.length === 1);
      expect(upstreams.select()).toBeUndefined();
      await vi.advanceTimersByTimeAsync(2_000);
      await task;
      expect(discover).toHaveBeenCalledTimes(3);
      expect(upstreams.select()).toBe(a);
    } finally {
      vi.useRealTimers();
    }
  });
});

const inOrder: SelectionBuilder = {
  build: (backends): BackendSelection => ({
    first: () => (backends.length > 0 ? 0 : -1),
    others: () => backends.keys().drop(1),
  }),
};

const allIll = {
  check: (): never => {
    throw new Error("ill");
  },
  healthThreshold: (): number => 1,
};

function picks(upstreams: LoadBalancer, number: number): string[] {
  return Array.from({ length: number }, () => upstreams.select()?.address ?? "none");
}
