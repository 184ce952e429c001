import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { DnsServer } from "../../../test/wire/dns-server.ts";
import { AutomaticResolver } from "./automatic-resolver.ts";
import { NameServerResolver } from "./name-server-resolver.ts";
import type { ResolvedName, Resolver } from "./resolver.ts";
import { SystemResolver } from "./system-resolver.ts";

function asking(server: DnsServer): NameServerResolver {
  return new NameServerResolver({ servers: [server.address], timeoutMs: 300, tries: 1 });
}

describe("NameServerResolver", () => {
  it("gives the addresses of both families, and the shorter time to live", async () => {
    await using server = await DnsServer.start();
    server.answers.set("a.example A", { addresses: ["10.0.0.1", "10.0.0.2"], ttl: 30 });
    server.answers.set("a.example AAAA", { addresses: ["2001:db8::1"], ttl: 20 });
    expect(await asking(server).resolve("a.example")).toEqual({
      addresses: [
        { address: "2001:db8::1", family: 6 },
        { address: "10.0.0.1", family: 4 },
        { address: "10.0.0.2", family: 4 },
      ],
      ttlMs: 20_000,
    });
  });

  it.each(["A", "AAAA"])("does with %s records alone", async (type) => {
    await using server = await DnsServer.start();
    const address = type === "A" ? "10.0.0.1" : "2001:db8::1";
    server.answers.set(`a.example ${type}`, { addresses: [address], ttl: 7 });
    server.answers.set(`a.example ${type === "A" ? "AAAA" : "A"}`, { addresses: [], ttl: 7 });
    expect(await asking(server).resolve("a.example")).toEqual({
      addresses: [{ address, family: type === "A" ? 4 : 6 }],
      ttlMs: 7_000,
    });
  });

  it("is not held up by AAAA records that fail", async () => {
    await using server = await DnsServer.start();
    server.set("a.example", ["10.0.0.1"], 9);
    server.answers.set("a.example AAAA", "server-failure");
    expect(await asking(server).resolve("a.example")).toEqual({
      addresses: [{ address: "10.0.0.1", family: 4 }],
      ttlMs: 9_000,
    });
  });

  it("is not held up by AAAA records that do not come; it is asked again soon", async () => {
    await using server = await DnsServer.start();
    server.set("a.example", ["10.0.0.1"], 9);
    server.answers.set("a.example AAAA", "silence");
    const resolver = new NameServerResolver({ servers: [server.address], timeoutMs: 60_000, tries: 1 });
    expect(await resolver.resolve("a.example")).toEqual({
      addresses: [{ address: "10.0.0.1", family: 4 }],
      ttlMs: 0,
    });
  });

  it.each([
    ["no-such-name", "ENOTFOUND"],
    ["server-failure", "ESERVFAIL"],
    ["silence", "ETIMEOUT"],
    ["garbage", "EBADRESP"],
  ] as const)("fails upon %s with %s", async (answer, code) => {
    await using server = await DnsServer.start();
    server.fail("a.example", answer);
    await expect(asking(server).resolve("a.example")).rejects.toMatchObject({ code });
  });

  it("fails with ENODATA for a name without addresses", async () => {
    await using server = await DnsServer.start();
    server.set("a.example", []);
    await expect(asking(server).resolve("a.example")).rejects.toMatchObject({ code: "ENODATA" });
  });

  it("cannot say that there is no address when half of the question failed", async () => {
    await using server = await DnsServer.start();
    server.set("a.example", []);
    server.answers.set("a.example A", "server-failure");
    await expect(asking(server).resolve("a.example")).rejects.toMatchObject({ code: "ESERVFAIL" });
  });

  it("refuses a server that is no address", () => {
    expect(() => new NameServerResolver({ servers: ["not an address"] })).toThrow(/Invalid IP/);
  });
});

it("SystemResolver knows this machine, and says for how long", async () => {
  const { addresses, ttlMs } = await new SystemResolver({ ttlMs: 3_000 }).resolve("localhost");
  expect(addresses.length).toBeGreaterThan(0);
  expect(addresses.every(({ address }) => address === "127.0.0.1" || address === "::1")).toBe(true);
  expect(ttlMs).toBe(3_000);
  await expect(new SystemResolver().resolve("no-such-name.invalid")).rejects.toMatchObject({
    code: expect.stringMatching(/^(ENOTFOUND|EAI_AGAIN)$/),
  });
});

describe("AutomaticResolver", () => {
  const system: Resolver = { resolve: async (name) => answered(`of the system: ${name}`) };

  function answered(address: string): ResolvedName {
    return { addresses: [{ address, family: 4 }], ttlMs: 1_000 };
  }

  async function address(resolver: Resolver, name: string): Promise<string | undefined> {
    return (await resolver.resolve(name)).addresses[0]?.address;
  }

  it("asks name servers for names of the DNS", async () => {
    await using server = await DnsServer.start();
    server.set("a.example", ["10.0.0.1"]);
    const resolver = new AutomaticResolver({ nameServers: asking(server), system });
    expect(await address(resolver, "a.example")).toBe("10.0.0.1");
  });

  it.each(["localhost", "api.localhost", "printer.local", "db"])("asks the system alone for %s", async (name) => {
    await using server = await DnsServer.start();
    const resolver = new AutomaticResolver({ nameServers: asking(server), system });
    expect(await address(resolver, name)).toBe(`of the system: ${name}`);
    expect(server.questions.length).toBe(0);
  });

  it("asks the system for names in the hosts file, also when it has changed", async () => {
    await using server = await DnsServer.start();
    server.set("b.example", ["10.0.0.2"]);
    const folder = mkdtempSync(join(tmpdir(), "cirque-"));
    const hostsFile = join(folder, "hosts");
    writeFileSync(hostsFile, "# names\n10.9.9.9\tA.example other # not b.example\n\n");
    const resolver = new AutomaticResolver({ nameServers: asking(server), system, hostsFile });
    expect(await address(resolver, "a.example")).toBe("of the system: a.example");
    expect(await address(resolver, "b.example")).toBe("10.0.0.2");
    writeFileSync(hostsFile, "10.9.9.9 b.example and.another.one\n");
    expect(await address(resolver, "b.example")).toBe("of the system: b.example");
    rmSync(folder, { recursive: true });
    expect(await address(resolver, "b.example")).toBe("10.0.0.2");
  });

  it("asks the system for names that the name servers do not know, unless they are complete", async () => {
    await using server = await DnsServer.start();
    const resolver = new AutomaticResolver({ nameServers: asking(server), system });
    expect(await address(resolver, "service.namespace")).toBe("of the system: service.namespace");
    await expect(resolver.resolve("service.namespace.")).rejects.toMatchObject({ code: "ENOTFOUND" });
  });

  it("asks the system when no name server can be reached, and not when one fails", async () => {
    const refusing: Resolver = { resolve: () => Promise.reject(Object.assign(new Error(), { code: "ECONNREFUSED" })) };
    expect(await address(new AutomaticResolver({ nameServers: refusing, system }), "a.example")).toContain("system");
    await using server = await DnsServer.start();
    server.fail("a.example", "server-failure");
    const resolver = new AutomaticResolver({ nameServers: asking(server), system });
    await expect(resolver.resolve("a.example")).rejects.toMatchObject({ code: "ESERVFAIL" });
  });
});
