import { promises as dns } from "node:dns";
import { createConfiguration, MetricsRegistry, type ServiceContext, silentLogger, singleThread } from "@cirque/core";
import { LoadBalancer, RoundRobin } from "@cirque/load-balancing";
import { afterAll, beforeAll, expect, it } from "vitest";
import { DemoResolver } from "./demo-resolver.ts";
import { dnsProxy } from "./dns-proxy.ts";

const metrics = new MetricsRegistry();
let resolvers: readonly DemoResolver[];
let services: ReturnType<typeof dnsProxy>;
let client: dns.Resolver;

beforeAll(async () => {
  resolvers = [await DemoResolver.start("one"), await DemoResolver.start("two")];
  const balancer = LoadBalancer.from(
    resolvers.map(({ address }) => address),
    { selection: RoundRobin },
  );
  // A port that is free for UDP and TCP.
  const probe = await DemoResolver.start("probe");
  await probe[Symbol.asyncDispose]();
  services = dnsProxy(createConfiguration(), balancer, probe.address);
  for (const service of services) await service.start(context());
  client = new dns.Resolver({ timeout: 1_000, tries: 3 });
  client.setServers([probe.address]);
});

afterAll(async () => {
  for (const service of services) await service.stop(AbortSignal.abort());
  for (const resolver of resolvers) await resolver[Symbol.asyncDispose]();
});

it("resolves names through the proxy", async () => {
  expect(await client.resolve4("www.demo")).toEqual(["192.0.2.1"]);
  expect(await client.resolve4("a.b.c.DEMO")).toEqual(["192.0.2.1"]);
});

it("asks the resolvers in turn", async () => {
  const answers: string[][] = [];
  for (let question = 0; question < 6; question++) {
    const turn = new dns.Resolver({ timeout: 1_000, tries: 3 });
    turn.setServers(client.getServers());
    answers.push(...(await turn.resolveTxt("who.demo")));
  }
  const said = answers.map(([text]) => text);
  expect(said.filter((text) => text === "resolver one")).toHaveLength(3);
  expect(said.filter((text) => text === "resolver two")).toHaveLength(3);
});

it("passes on that a name does not exist", async () => {
  await expect(client.resolve4("nowhere.example")).rejects.toMatchObject({ code: "ENOTFOUND" });
});

it("takes what is too long for a datagram over TCP", async () => {
  const records = await client.resolveTxt("long.demo");
  expect(records).toHaveLength(20);
  expect(await metrics.exposition()).toMatch(/^cirque_tcp_connections_total\{service="DNS over TCP"\} [1-9]/m);
});

it("answers many questions at once, each its own", async () => {
  const questions = Array.from({ length: 200 }, (_unused, index) => client.resolve4(`host-${index}.demo`));
  const answers = await Promise.all(questions);
  expect(answers).toEqual(questions.map(() => ["192.0.2.1"]));
});

it("forgets each session with its answer", async () => {
  await client.resolve4("www.demo");
  await expect.poll(() => services[0].sessionCount).toBe(0);
  expect(await metrics.exposition()).toMatch(/^cirque_udp_sessions_ended_total\{(?=.*reason="responses").*\} [1-9]/m);
});

function context(): ServiceContext {
  return {
    logger: silentLogger,
    metrics,
    configuration: createConfiguration(),
    thread: singleThread(),
    shutdown: new AbortController().signal,
  };
}
