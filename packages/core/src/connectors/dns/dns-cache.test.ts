import { describe, expect, it, vi } from "vitest";
import { FakeClock } from "../../../test/wire/fake-clock.ts";
import { settled } from "../../../test/wire/raw-peer.ts";
import { DnsCache, type DnsCacheOptions } from "./dns-cache.ts";
import type { ResolvedAddress, ResolvedName, Resolver } from "./resolver.ts";

/** A resolver whose answers a test decides. */
class FakeResolver implements Resolver {
  readonly asked: string[] = [];
  answer: () => Promise<ResolvedName> = () => Promise.resolve(known("10.0.0.1"));

  resolve(name: string): Promise<ResolvedName> {
    this.asked.push(name);
    return this.answer();
  }

  fail(code: string): void {
    this.answer = () => Promise.reject(Object.assign(new Error(code), { code }));
  }
}

function known(...addresses: string[]): ResolvedName {
  return { addresses: addresses.map(resolved), ttlMs: 10_000 };
}

function resolved(address: string): ResolvedAddress {
  return { address, family: address.includes(":") ? 6 : 4 };
}

function cached(options: DnsCacheOptions = {}): { cache: DnsCache; resolver: FakeResolver } {
  const resolver = new FakeResolver();
  return { cache: new DnsCache({ ...options, resolver }), resolver };
}

/** The addresses that a look-up gives, as texts. */
async function addresses(cache: DnsCache, name = "a.example"): Promise<string[]> {
  return (await cache.lookup(name)).map(({ address }) => address);
}

describe("DnsCache (CONN-07)", () => {
  it("asks once for as long as the answer is good, and gives it at once", async () => {
    using clock = new FakeClock();
    const { cache, resolver } = cached();
    expect(await addresses(cache)).toEqual(["10.0.0.1"]);
    expect(cache.lookup("A.Example")).toEqual([resolved("10.0.0.1")]);
    await clock.pass(9_990);
    expect(cache.lookup("a.example")).not.toBeInstanceOf(Promise);
    expect(resolver.asked).toEqual(["a.example"]);
  });

  it("gives what is a little too old, and asks again meanwhile", async () => {
    using clock = new FakeClock();
    const { cache, resolver } = cached();
    await addresses(cache);
    resolver.answer = async () => known("10.0.0.2");
    await clock.pass(10_010);
    expect(await addresses(cache)).toEqual(["10.0.0.1"]);
    await settled();
    expect(await addresses(cache)).toEqual(["10.0.0.2"]);
    expect(resolver.asked).toHaveLength(2);
  });

  it("waits for the new answer when the old one is much too old", async () => {
    using clock = new FakeClock();
    const { cache, resolver } = cached();
    await addresses(cache);
    resolver.answer = async () => known("10.0.0.2");
    await clock.pass(40_010);
    expect(await addresses(cache)).toEqual(["10.0.0.2"]);
  });

  it.each([
    ["longer than minTtlMs", { minTtlMs: 5_000 }, 0, 5_000],
    ["at most maxTtlMs", { maxTtlMs: 2_000 }, 86_400_000, 2_000],
    ["at most an hour by default", {}, Number.POSITIVE_INFINITY, 3_600_000],
    ["a second at least by default", {}, 0, 1_000],
  ])("believes an answer %s", async (_, options, ttlMs, believedMs) => {
    using clock = new FakeClock();
    const { cache, resolver } = cached({ ...options, staleWhileRefreshMs: 0 });
    resolver.answer = async () => ({ ...known("10.0.0.1"), ttlMs });
    await addresses(cache);
    await clock.pass(believedMs - 10);
    await addresses(cache);
    expect(resolver.asked).toHaveLength(1);
    await clock.pass(20);
    await addresses(cache);
    expect(resolver.asked).toHaveLength(2);
  });

  it("makes one query of many that come at once", async () => {
    const { cache, resolver } = cached();
    const answer = Promise.withResolvers<ResolvedName>();
    resolver.answer = () => answer.promise;
    const waiting = Array.from({ length: 50 }, () => addresses(cache));
    answer.resolve(known("10.0.0.9"));
    expect(new Set((await Promise.all(waiting)).flat())).toEqual(new Set(["10.0.0.9"]));
    expect(resolver.asked).toHaveLength(1);
  });

  it("lets one who leaves go, and the others wait on", async () => {
    const { cache, resolver } = cached();
    const answer = Promise.withResolvers<ResolvedName>();
    resolver.answer = () => answer.promise;
    const leaver = new AbortController();
    const left = cache.lookup("a.example", leaver.signal);
    const stays = addresses(cache);
    leaver.abort(new Error("gone"));
    await expect(left).rejects.toThrow("gone");
    answer.resolve(known("10.0.0.9"));
    expect(await stays).toEqual(["10.0.0.9"]);
    await expect(cache.lookup("b.example", leaver.signal)).rejects.toThrow("gone");
  });

  it("remembers for a second that there is no such name", async () => {
    using clock = new FakeClock();
    const { cache, resolver } = cached();
    resolver.fail("ENOTFOUND");
    for (let i = 0; i < 3; i++) await expect(addresses(cache)).rejects.toMatchObject({ code: "ENOTFOUND" });
    expect(resolver.asked).toHaveLength(1);
    await clock.pass(1_010);
    resolver.answer = async () => known("10.0.0.1");
    expect(await addresses(cache)).toEqual(["10.0.0.1"]);
  });

  it("goes on with what it knew when nobody can tell, for a day (RFC 8767)", async () => {
    using clock = new FakeClock();
    const { cache, resolver } = cached();
    await addresses(cache);
    resolver.fail("ESERVFAIL");
    await clock.pass(60_000);
    expect(await addresses(cache)).toEqual(["10.0.0.1"]);
    expect(await addresses(cache)).toEqual(["10.0.0.1"]);
    expect(resolver.asked).toHaveLength(2);
    await clock.pass(86_400_000);
    await expect(addresses(cache)).rejects.toMatchObject({ code: "ESERVFAIL" });
  });

  it("does not go on with it when the name is gone for certain", async () => {
    using clock = new FakeClock();
    const { cache, resolver } = cached();
    await addresses(cache);
    resolver.fail("ENOTFOUND");
    await clock.pass(60_000);
    await expect(addresses(cache)).rejects.toMatchObject({ code: "ENOTFOUND" });
  });

  it("gives up a resolver that never answers, and asks it anew", async () => {
    using clock = new FakeClock();
    const { cache, resolver } = cached();
    resolver.answer = () => new Promise(() => {});
    const late = addresses(cache);
    late.catch(() => {});
    await clock.pass(5_010);
    await expect(late).rejects.toMatchObject({ code: "ETIMEOUT", message: expect.stringContaining("5000 ms") });
    await clock.pass(1_010);
    resolver.answer = async () => known("10.0.0.1");
    expect(await addresses(cache)).toEqual(["10.0.0.1"]);
  });

  it.each<[string, () => unknown, string]>([
    ["no addresses", () => ({ addresses: [], ttlMs: 1 }), "ENODATA"],
    ["what is no address", () => known("nowhere"), "EBADRESP"],
    ["the wrong family", () => ({ addresses: [{ address: "::1", family: 4 }], ttlMs: 1 }), "EBADRESP"],
    ["a time that is none", () => ({ ...known("10.0.0.1"), ttlMs: Number.NaN }), "EBADRESP"],
    ["nothing", () => ({}), "ENODATA"],
  ])("takes %s from a resolver for a failure", async (_, answer, code) => {
    const { cache, resolver } = cached();
    resolver.answer = async () => answer() as ResolvedName;
    await expect(addresses(cache)).rejects.toMatchObject({ code });
  });

  it("takes a resolver that throws for one that fails", async () => {
    const { cache, resolver } = cached();
    resolver.answer = () => {
      throw new Error("broken");
    };
    await expect(addresses(cache)).rejects.toThrow("broken");
  });

  it("begins with another address each time, and with the first family always", async () => {
    const { cache, resolver } = cached();
    resolver.answer = async () => known("2001:db8::1", "10.0.0.1", "2001:db8::2", "10.0.0.2", "10.0.0.3");
    expect(await addresses(cache)).toEqual(["2001:db8::1", "2001:db8::2", "10.0.0.1", "10.0.0.2", "10.0.0.3"]);
    expect(await addresses(cache)).toEqual(["2001:db8::2", "2001:db8::1", "10.0.0.2", "10.0.0.3", "10.0.0.1"]);
  });

  it("remembers a bounded number of names, and of each a bounded number of addresses", async () => {
    const { cache, resolver } = cached({ maxEntries: 3 });
    for (const name of ["a", "b", "c", "a", "d"]) await addresses(cache, name);
    expect(cache.size).toBe(3);
    await addresses(cache, "a");
    expect(resolver.asked).toEqual(["a", "b", "c", "d"]);
    await addresses(cache, "b");
    expect(resolver.asked).toEqual(["a", "b", "c", "d", "b"]);
    resolver.answer = async () => known(...Array.from({ length: 200 }, (_, i) => `10.0.1.${i}`));
    expect(await addresses(cache, "many")).toHaveLength(64);
    cache.clear();
    expect(cache.size).toBe(0);
  });

  it("refuses numbers that are none", () => {
    expect(() => new DnsCache({ minTtlMs: -1 })).toThrow(/minTtlMs/);
    expect(() => new DnsCache({ timeoutMs: Number.NaN })).toThrow(/timeoutMs/);
  });
});

describe("what a kept connection may still use", () => {
  it("is an address that the newest answer has", async () => {
    using clock = new FakeClock();
    const { cache, resolver } = cached();
    resolver.answer = async () => known("10.0.0.1", "10.0.0.2");
    await addresses(cache);
    expect(cache.holds("a.example", "10.0.0.1")).toBe(true);
    resolver.answer = async () => known("10.0.0.2", "10.0.0.3");
    await clock.pass(10_010);
    // Too old: asked for again behind the back of who asks.
    expect(cache.holds("a.example", "10.0.0.1")).toBe(true);
    await vi.waitFor(() => expect(cache.holds("a.example", "10.0.0.1")).toBe(false));
    expect(cache.holds("a.example", "10.0.0.2")).toBe(true);
    expect(resolver.asked).toHaveLength(2);
  });

  it("is any, of a name that cannot be resolved, or was not asked for", async () => {
    using clock = new FakeClock();
    const { cache, resolver } = cached();
    expect(cache.holds("a.example", "10.0.0.1")).toBe(true);
    await addresses(cache);
    resolver.fail("ENOTFOUND");
    await clock.pass(10_010);
    for (let i = 0; i < 3; i++) {
      expect(cache.holds("a.example", "10.0.0.1")).toBe(true);
      await settled();
    }
    expect(resolver.asked).toHaveLength(2);
  });
});
