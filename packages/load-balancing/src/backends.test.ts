import { silentLogger } from "@cirque/core";
import { describe, expect, it, vi } from "vitest";
import { Backend } from "./backend.ts";
import { Backends } from "./backends.ts";
import type { Discovered, ServiceDiscovery } from "./discovery/service-discovery.ts";
import { StaticDiscovery } from "./discovery/static-discovery.ts";
import type { HealthCheck } from "./health/health-check.ts";

const a = new Backend("127.0.0.1:1");
const b = new Backend("127.0.0.1:2");
const c = new Backend("127.0.0.1:3");

describe("Backends: the set", () => {
  it("is empty until the discovery was asked", async () => {
    const backends = new Backends(new StaticDiscovery([a, b]));
    expect(backends.current.backends).toEqual([]);
    await expect(backends.update()).resolves.toBe(true);
    expect(backends.current.backends).toEqual([a, b]);
  });

  it("is the same object for as long as nothing changes, whatever the order", async () => {
    const { backends, discover } = discovered([a, b]);
    await backends.update();
    const set = backends.current;
    discover.mockResolvedValue({ backends: [new Backend(b.address), new Backend(a.address)] });
    await expect(backends.update()).resolves.toBe(false);
    expect(backends.current).toBe(set);
  });

  it.each([
    ["a backend more", [a, b, c]],
    ["a backend less", [a]],
    ["another backend", [a, c]],
    ["another weight", [a, new Backend(b.address, { weight: 2 })]],
    ["other data", [a, new Backend(b.address, { ext: {} })]],
  ])("changes with %s", async (_change, list: readonly Backend[]) => {
    const { backends, discover } = discovered([a, b]);
    await backends.update();
    discover.mockResolvedValue({ backends: list });
    await expect(backends.update()).resolves.toBe(true);
    expect(backends.current.backends).toEqual(list);
  });

  it("holds an address once, with what was said of it last", async () => {
    const { backends } = discovered([a, new Backend(a.address, { weight: 7 }), b, b]);
    await backends.update();
    expect(backends.current.backends.map(({ address, weight }) => [address, weight])).toEqual([
      [a.address, 7],
      [b.address, 1],
    ]);
  });

  it.each<[string, () => Promise<Discovered> | Discovered]>([
    ["fails", () => Promise.reject(new Error("no answer"))],
    [
      "throws",
      () => {
        throw new Error("no answer");
      },
    ],
    ["finds nothing", () => ({ backends: [] })],
    ["hangs", () => new Promise<never>(() => {})],
    ["answers garbage", () => undefined as unknown as Discovered],
    ["answers with something else than backends", () => ({ backends: ["127.0.0.1:1"] }) as unknown as Discovered],
  ])("keeps the last good set and says why when the discovery %s", async (_fault, fault) => {
    const { backends, discover } = discovered([a, b], { timeoutMs: 20 });
    await backends.update();
    const set = backends.current;
    discover.mockImplementationOnce(fault);
    await expect(backends.update()).rejects.toMatchObject({
      code: "InternalError",
      message: expect.stringContaining("2 stay in use"),
      cause: expect.any(Error),
    });
    expect(backends.current).toBe(set);
    await expect(backends.update()).resolves.toBe(false);
  });

  it("may be empty from the start", async () => {
    const { backends } = discovered([]);
    await expect(backends.update()).resolves.toBe(false);
    expect(backends.current.backends).toEqual([]);
  });

  it("refuses a time-out of the discovery that is none", () => {
    expect(() => discovered([a], { timeoutMs: 0 })).toThrow(expect.objectContaining({ code: "InvalidArgument" }));
  });
});

describe("Backends: who is ready", () => {
  it("is everyone until told otherwise", async () => {
    const backends = await setOf(a, b);
    expect(backends.ready(a)).toBe(true);
  });

  it("is a stranger only when there is no health check", async () => {
    const backends = await setOf(a);
    expect(backends.ready(c)).toBe(true);
    backends.healthCheck = checking(() => {});
    expect(backends.ready(c)).toBe(false);
    expect(backends.ready(a)).toBe(true);
  });

  it("follows setEnable, known by address", async () => {
    const backends = await setOf(a, b);
    backends.setEnable(new Backend(a.address, { weight: 9 }), false);
    expect([backends.ready(a), backends.ready(b)]).toEqual([false, true]);
    backends.setEnable(c, false);
    backends.setEnable(a, true);
    expect(backends.ready(a)).toBe(true);
  });

  it("follows the discovery, which leaves those alone that it does not name", async () => {
    const { backends, discover } = discovered([a, b, c]);
    await backends.update();
    backends.setEnable(c, false);
    const enabled = new Map([
      [a.address, false],
      [b.address, true],
      ["127.0.0.1:9", false],
    ]);
    discover.mockResolvedValue({ backends: [a, b, c], enabled });
    const set = backends.current;
    await expect(backends.update()).resolves.toBe(false);
    expect([a, b, c].map((each) => backends.ready(each))).toEqual([false, true, false]);
    expect(backends.current).toBe(set);
  });

  it("stays as it was when the set changes, also for a backend that gets another weight", async () => {
    const { backends, discover } = discovered([a, b]);
    await backends.update();
    backends.healthCheck = failingFor(a);
    await backends.runHealthCheck();
    backends.setEnable(b, false);
    const heavier = new Backend(a.address, { weight: 5 });
    discover.mockResolvedValue({ backends: [c, heavier, b] });
    await backends.update();
    expect([heavier, b, c].map((each) => backends.ready(each))).toEqual([false, false, true]);
  });

  it("is a backend that left and came back", async () => {
    const { backends, discover } = discovered([a, b]);
    await backends.update();
    backends.healthCheck = failingFor(a);
    await backends.runHealthCheck();
    discover.mockResolvedValueOnce({ backends: [b] });
    await backends.update();
    await backends.update();
    expect(backends.ready(a)).toBe(true);
  });

  it("is everyone again when the health check is taken away", async () => {
    const backends = await setOf(a, b);
    backends.healthCheck = failingFor(a, b);
    await backends.runHealthCheck();
    expect(backends.ready(a)).toBe(false);
    backends.healthCheck = undefined;
    expect(backends.ready(a)).toBe(true);
  });
});

describe("Backends: health checks", () => {
  it("does nothing without a check", async () => {
    const backends = await setOf(a);
    await backends.runHealthCheck();
    expect(backends.ready(a)).toBe(true);
  });

  it("turns a backend by the thresholds, and tells it once", async () => {
    const backends = await setOf(a, b);
    const healthStatusChange = vi.fn();
    let ill = true;
    backends.healthCheck = {
      check: (backend) => {
        if (ill && backend.address === a.address) throw new Error("ill");
      },
      healthThreshold: (success) => (success ? 3 : 2),
      healthStatusChange,
    };
    await rounds(backends, 1);
    expect(backends.ready(a)).toBe(true);
    await rounds(backends, 4);
    expect(backends.ready(a)).toBe(false);
    expect(healthStatusChange.mock.calls).toEqual([[a, false]]);
    ill = false;
    await rounds(backends, 2);
    expect(backends.ready(a)).toBe(false);
    await rounds(backends, 4);
    expect(backends.ready(a)).toBe(true);
    expect(healthStatusChange.mock.calls).toEqual([
      [a, false],
      [a, true],
    ]);
  });

  it.each([
    ["throws", () => Promise.reject(new Error("ill"))],
    ["throws at once", throwAtOnce],
    ["throws nothing in particular", () => Promise.reject(undefined)],
    ["hangs", () => new Promise<never>(() => {})],
  ])("calls a backend ill whose check %s, and no other", async (_fault, fault: () => Promise<void> | void) => {
    const backends = await setOf(a, b, c);
    backends.healthCheck = checking((backend) => (backend === b ? fault() : undefined), { timeoutMs: 20 });
    for (const parallel of [true, false]) {
      await backends.runHealthCheck({ parallel });
      expect([a, b, c].map((each) => backends.ready(each))).toEqual([true, false, true]);
    }
  });

  it("reports a result as soon as it is there, whatever the others do", async () => {
    const backends = await setOf(a, b);
    const hung = Promise.withResolvers<void>();
    const told = Promise.withResolvers<Backend>();
    backends.healthCheck = {
      check: (backend) => (backend === a ? hung.promise : Promise.reject(new Error("ill"))),
      healthThreshold: () => 1,
      healthStatusChange: (backend) => told.resolve(backend),
    };
    const round = backends.runHealthCheck();
    await expect(told.promise).resolves.toBe(b);
    expect(backends.ready(b)).toBe(false);
    hung.resolve();
    await round;
    expect(backends.ready(a)).toBe(true);
  });

  it("checks up to 64 at the same time, or one after another", async () => {
    const many = Array.from({ length: 100 }, (_, index) => new Backend(`127.0.0.1:${index + 1}`));
    const backends = await setOf(...many);
    let running = 0;
    let most = 0;
    let checked = 0;
    backends.healthCheck = checking(async () => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
      checked += 1;
    });
    await backends.runHealthCheck();
    expect([most, checked]).toEqual([64, 100]);
    most = 0;
    await backends.runHealthCheck({ parallel: false });
    expect([most, checked]).toEqual([1, 200]);
  });

  it("says nothing of a backend whose check was cut by the stop of the server", async () => {
    const backends = await setOf(a, b);
    const stop = new AbortController();
    const signals: AbortSignal[] = [];
    backends.healthCheck = checking((_backend, signal) => {
      signals.push(signal);
      return new Promise<never>(() => {});
    });
    const round = backends.runHealthCheck({ parallel: false, signal: stop.signal });
    stop.abort();
    await round;
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
    expect([backends.ready(a), backends.ready(b)]).toEqual([true, true]);
  });

  it("takes no notice of a result that comes after its backend left", async () => {
    const { backends, discover } = discovered([a, b]);
    await backends.update();
    const late = Promise.withResolvers<void>();
    const healthStatusChange = vi.fn();
    backends.healthCheck = { check: () => late.promise, healthThreshold: () => 1, healthStatusChange };
    const round = backends.runHealthCheck();
    discover.mockResolvedValue({ backends: [b] });
    await backends.update();
    late.reject(new Error("ill"));
    await round;
    expect(healthStatusChange.mock.calls).toEqual([[b, false]]);
  });

  it("takes no notice of a result of a check that was replaced meanwhile", async () => {
    const backends = await setOf(a);
    const late = Promise.withResolvers<void>();
    backends.healthCheck = checking(() => late.promise);
    const round = backends.runHealthCheck();
    backends.healthCheck = checking(() => {});
    late.reject(new Error("ill"));
    await round;
    expect(backends.ready(a)).toBe(true);
  });

  it("survives a check that throws when it is told the outcome, and logs it", async () => {
    const backends = await setOf(a, b);
    const error = vi.fn();
    backends.logger = { ...silentLogger, error };
    backends.healthCheck = {
      check: () => Promise.reject(new Error("ill")),
      healthThreshold: () => 1,
      healthStatusChange: (backend) => {
        if (backend === a) throw new Error("at once");
        return Promise.reject(new Error("later"));
      },
    };
    await backends.runHealthCheck();
    expect([backends.ready(a), backends.ready(b)]).toEqual([false, false]);
    expect(error.mock.calls.map(([fields]) => fields.err.message).sort()).toEqual(["at once", "later"]);
  });

  it("logs what changed and why, by the name that the check has for the backend", async () => {
    const backends = await setOf(a);
    const warn = vi.fn();
    const info = vi.fn();
    backends.logger = { ...silentLogger, warn, info };
    let ill = true;
    backends.healthCheck = {
      ...checking(() => (ill ? Promise.reject(new Error("disk full")) : undefined)),
      backendSummary: ({ address }) => `shard 7 at ${address}`,
    };
    await rounds(backends, 3);
    ill = false;
    await rounds(backends, 3);
    const backend = "shard 7 at 127.0.0.1:1";
    expect(warn.mock.calls).toEqual([[{ backend, reason: "Error: disk full" }, "backend is not healthy"]]);
    expect(info.mock.calls).toEqual([[{ backend }, "backend is healthy again"]]);
  });

  it("refuses a check whose time-out is none", async () => {
    const backends = await setOf(a);
    expect(() => {
      backends.healthCheck = checking(() => {}, { timeoutMs: Number.POSITIVE_INFINITY });
    }).toThrow(expect.objectContaining({ code: "InvalidArgument" }));
  });
});

function discovered(list: readonly Backend[], more: { readonly timeoutMs?: number } = {}) {
  const discover = vi.fn<ServiceDiscovery["discover"]>(() => ({ backends: list }));
  return { backends: new Backends({ discover, ...more }), discover };
}

async function setOf(...list: readonly Backend[]): Promise<Backends> {
  const backends = new Backends(new StaticDiscovery(list));
  await backends.update();
  return backends;
}

function checking(check: HealthCheck["check"], more: { readonly timeoutMs?: number } = {}): HealthCheck {
  return { check, healthThreshold: () => 1, ...more };
}

function failingFor(...ill: readonly Backend[]): HealthCheck {
  const addresses = new Set(ill.map(({ address }) => address));
  return checking(({ address }) => {
    if (addresses.has(address)) throw new Error("ill");
  });
}

async function rounds(backends: Backends, number: number): Promise<void> {
  for (let round = 0; round < number; round += 1) await backends.runHealthCheck();
}

function throwAtOnce(): never {
  throw new Error("ill");
}
