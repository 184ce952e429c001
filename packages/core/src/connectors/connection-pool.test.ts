import { beforeEach, describe, expect, it } from "vitest";
import { FakeClock } from "../../test/wire/fake-clock.ts";
import { ConnectionPool, type Poolable, type UnusableReason } from "./connection-pool.ts";

/** An idle connection whose fate a test decides. */
class Fake implements Poolable {
  readonly name: string;
  usable = true;
  closed = false;
  idleTimeoutMs: number | undefined;
  #onUnusable: ((reason: UnusableReason) => void) | undefined;

  constructor(name: string) {
    this.name = name;
  }

  startIdle(idleTimeoutMs: number, onUnusable: (reason: UnusableReason) => void): void {
    this.idleTimeoutMs = idleTimeoutMs;
    this.#onUnusable = onUnusable;
  }

  stopIdle(): boolean {
    this.#onUnusable = undefined;
    return this.usable;
  }

  close(): void {
    this.closed = true;
  }

  /** Ends while it is idle, as `Poolable` asks: closed first, then told. */
  end(reason: UnusableReason): void {
    const onUnusable = this.#onUnusable;
    this.#onUnusable = undefined;
    this.close();
    onUnusable?.(reason);
  }
}

let reasons: UnusableReason[];
let pool: ConnectionPool<Fake>;

beforeEach(() => {
  reasons = [];
  pool = new ConnectionPool<Fake>({ perKey: 3, total: 5, onUnusable: (reason) => reasons.push(reason) });
});

function put(key: string, name: string, idleTimeoutMs = 1_000): Fake {
  const connection = new Fake(name);
  pool.put(key, connection, idleTimeoutMs);
  return connection;
}

describe("ConnectionPool (POOL-16)", () => {
  it("gives the one that came last, first (POOL-07)", () => {
    for (const name of ["1", "2", "3"]) put("a", name);
    expect([pool.take("a"), pool.take("a"), pool.take("a")].map((one) => one?.name)).toEqual(["3", "2", "1"]);
    expect(pool.take("a")).toBeUndefined();
    expect(pool.size).toBe(0);
  });

  it("keeps keys apart (POOL-01)", () => {
    put("a", "of a");
    expect(pool.take("b")).toBeUndefined();
    expect(pool.take("a")?.name).toBe("of a");
  });

  it("keeps so many of a key; the one that is idle for longest goes", () => {
    const [oldest, ...others] = ["1", "2", "3", "4"].map((name) => put("a", name));
    expect(oldest?.closed).toBe(true);
    expect(others.map(({ closed }) => closed)).toEqual([false, false, false]);
    expect(pool.size).toBe(3);
  });

  it("keeps so many in all; the one that is idle for longest, of whatever key, goes (POOL-06)", () => {
    const oldest = put("b", "oldest");
    for (const key of ["a", "a", "c", "c"]) put(key, key);
    expect(oldest.closed).toBe(false);
    const newest = put("d", "newest");
    expect(oldest.closed).toBe(true);
    expect(newest.closed).toBe(false);
    expect(pool.size).toBe(5);
    expect(pool.take("b")).toBeUndefined();
  });

  it("tells what it evicts nothing, and counts it for no reason of its own", () => {
    for (const name of ["1", "2", "3", "4"]) put("a", name);
    expect(reasons).toEqual([]);
  });

  it("keeps none with an idle time-out of 0, or room for none (PO-06)", () => {
    expect(put("a", "x", 0).closed).toBe(true);
    const none = new ConnectionPool<Fake>({ perKey: 0, total: 5 });
    const connection = new Fake("x");
    none.put("a", connection, 1_000);
    expect(connection.closed).toBe(true);
    expect([pool.size, none.size]).toEqual([0, 0]);
  });

  it("passes the idle time-out on", () => {
    expect(put("a", "x", 1_234).idleTimeoutMs).toBe(1_234);
  });

  it.each(["closed", "idle-timeout", "unexpected-data"] as const)("forgets one that ends: %s (POOL-08)", (reason) => {
    const connections = ["1", "2", "3"].map((name) => put("a", name));
    connections[1]?.end(reason);
    expect(reasons).toEqual([reason]);
    expect(pool.size).toBe(2);
    expect([pool.take("a"), pool.take("a"), pool.take("a")].map((one) => one?.name)).toEqual(["3", "1", undefined]);
  });

  it("passes over one that cannot be used, and closes it", () => {
    const good = put("a", "good");
    const bad = put("a", "bad");
    bad.usable = false;
    expect(pool.take("a")).toBe(good);
    expect(bad.closed).toBe(true);
    expect(pool.size).toBe(0);
  });

  it("has nothing to do with a connection that was taken", () => {
    const connection = put("a", "x");
    pool.take("a");
    connection.end("closed");
    expect(reasons).toEqual([]);
    expect(pool.size).toBe(0);
  });

  it("keeps no key without connections, however many there were (POOL-09)", () => {
    for (let i = 0; i < 1000; i++) {
      const connection = put(`taken ${i}`, "x");
      expect(pool.take(`taken ${i}`)).toBe(connection);
      put(`ended ${i}`, "x").end("closed");
      put(`evicted ${i}`, "x");
    }
    expect(pool.size).toBe(5);
    expect(pool.keys).toBe(5);
  });

  it("closes all when it is cleared, and can be used again", () => {
    const connections = ["a", "a", "b"].map((key) => put(key, key));
    pool.clear();
    expect(connections.every(({ closed }) => closed)).toBe(true);
    expect([pool.size, pool.keys]).toEqual([0, 0]);
    expect(pool.take("a")).toBeUndefined();
    put("a", "again");
    expect(pool.take("a")?.name).toBe("again");
  });

  it.each([
    [-1, 5],
    [5, Number.NaN],
  ])("refuses to keep %d of a key and %d in all", (perKey, total) => {
    expect(() => new ConnectionPool<Fake>({ perKey, total })).toThrow(RangeError);
  });

  it("drops the oldest of all, key by key, in the order in which they came (V9-20)", () => {
    const connections = ["a", "b", "c", "a", "b"].map((key, index) => put(key, `${key}${index}`));
    pool.take("a");
    connections.push(put("a", "again"));
    const dropped = ["new 1", "new 2", "new 3", "new 4", "new 5"].map((key) => {
      put(key, key);
      return connections.flatMap(({ closed, name }) => (closed ? name : []));
    });
    expect(dropped).toEqual([
      ["a0"],
      ["a0", "b1"],
      ["a0", "b1", "c2"],
      ["a0", "b1", "c2", "b4"],
      ["a0", "b1", "c2", "b4", "again"],
    ]);
    expect(pool.size).toBe(5);
  });

  it("closes one that does not fit, and gives the next", () => {
    const fits = put("a", "fits");
    const other = put("a", "other");
    expect(pool.take("a", ({ name }) => name === "fits")).toBe(fits);
    expect(other.closed).toBe(true);
  });

  it("evicts the oldest of a key when it is told to", () => {
    const [oldest, newest] = ["1", "2"].map((name) => put("a", name));
    expect(pool.evict("a")).toBe(true);
    expect([oldest?.closed, newest?.closed]).toEqual([true, false]);
    expect(pool.evict("b")).toBe(false);
    expect([pool.has("a"), pool.has("b")]).toEqual([true, false]);
  });
});

describe("who follows kept connections (V9-14)", () => {
  it("is told how long each was idle, and what became of it", async () => {
    using clock = new FakeClock();
    await clock.pass(0);
    const told: [string, string, number][] = [];
    pool = new ConnectionPool<Fake>({
      perKey: 2,
      total: 5,
      observer: {
        onTaken: ({ name }, idleMs) => told.push(["taken", name, idleMs]),
        onDropped: ({ name }, idleMs, reason) => told.push([reason, name, idleMs]),
      },
    });
    put("a", "1");
    await clock.pass(100);
    put("a", "2");
    await clock.pass(50);
    pool.take("a");
    put("a", "3");
    put("a", "4");
    put("b", "5").end("idle-timeout");
    put("b", "6").usable = false;
    pool.take("b");
    await clock.pass(10);
    pool.clear();
    expect(told).toEqual([
      ["taken", "2", 50],
      ["evicted", "1", 150],
      ["idle-timeout", "5", 0],
      ["unfit", "6", 0],
      ["cleared", "3", 10],
      ["cleared", "4", 10],
    ]);
  });

  it("may throw: that is a warning, and no connection is lost", async () => {
    const warnings: string[] = [];
    const onWarning = (warning: Error): number => warnings.push(warning.message);
    process.on("warning", onWarning);
    const fail = (): never => {
      throw new Error("a fault of ours");
    };
    pool = new ConnectionPool<Fake>({ perKey: 1, total: 5, observer: { onTaken: fail, onDropped: fail } });
    const taken = put("a", "1");
    expect(pool.take("a")).toBe(taken);
    put("a", "2");
    put("a", "3");
    expect(pool.size).toBe(1);
    await new Promise(setImmediate);
    process.off("warning", onWarning);
    expect(warnings).toEqual([expect.stringContaining("a fault of ours"), expect.stringContaining("a fault of ours")]);
  });
});
