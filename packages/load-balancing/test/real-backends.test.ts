import {
  backgroundService,
  createConfiguration,
  MetricsRegistry,
  type ServiceContext,
  silentLogger,
  singleThread,
} from "@cirque/core";
import { describe, expect, it, vi } from "vitest";
import { type Backend, LoadBalancer, RoundRobin, TcpHealthCheck } from "../src/index.ts";
import { TcpBackend } from "./tcp-backend.ts";

describe("A balancer in front of real backends", () => {
  it("leaves out a backend that dies, and takes it back when it returns", async () => {
    await using fleet = await Fleet.start(3);
    const [victim] = fleet.backends as [TcpBackend];
    for (let death = 0; death < 3; death += 1) {
      const died = fleet.nextChange();
      await victim.stop();
      await expect(died).resolves.toEqual([victim.address, false]);
      expect(fleet.shares(300)).toEqual([0, 150, 150]);
      const returned = fleet.nextChange();
      await victim.restart();
      await expect(returned).resolves.toEqual([victim.address, true]);
      expect(fleet.shares(300)).toEqual([100, 100, 100]);
    }
  });

  it("leaves out an address where nobody ever listened", async () => {
    const nobody = await TcpBackend.start();
    await nobody.stop();
    await using fleet = await Fleet.start(2, nobody);
    await expect(fleet.firstChange).resolves.toEqual([nobody.address, false]);
    expect(fleet.shares(100)).toEqual([50, 50, 0]);
  });

  it("selects nobody when all are dead, and recovers", async () => {
    await using fleet = await Fleet.start(2);
    for (const backend of fleet.backends) await backend.stop();
    await vi.waitUntil(() => fleet.upstreams.select() === undefined);
    await fleet.backends[1]?.restart();
    await vi.waitUntil(() => fleet.upstreams.select() !== undefined);
    expect(fleet.shares(10)).toEqual([0, 10]);
  });

  it("keeps no connection open, and stops with the server", async () => {
    const fleet = await Fleet.start(2);
    const [first] = fleet.backends as [TcpBackend];
    await vi.waitUntil(() => first.accepted >= 20);
    await fleet.stop();
    await vi.waitUntil(() => first.connections.size === 0);
    await fleet[Symbol.asyncDispose]();
  });
});

/** Backends, with a balancer in front of them that runs as a service and checks all the time. */
class Fleet implements AsyncDisposable {
  static async start(number: number, ...more: readonly TcpBackend[]): Promise<Fleet> {
    const started = await Promise.all(Array.from({ length: number }, () => TcpBackend.start()));
    const fleet = new Fleet([...started, ...more]);
    await fleet.#service.start(fleet.#context);
    return fleet;
  }

  readonly backends: readonly TcpBackend[];
  readonly upstreams: LoadBalancer;
  readonly firstChange: Promise<readonly [string, boolean]>;
  readonly #service;
  readonly #shutdown = new AbortController();
  readonly #context: ServiceContext;
  #change = Promise.withResolvers<readonly [string, boolean]>();

  private constructor(backends: readonly TcpBackend[]) {
    this.backends = backends;
    this.firstChange = this.#change.promise;
    this.upstreams = LoadBalancer.from(
      backends.map(({ address }) => address),
      { selection: RoundRobin, logger: silentLogger },
    );
    this.upstreams.healthCheck = new TcpHealthCheck({
      healthChanged: (backend: Backend, healthy) => this.#change.resolve([backend.address, healthy]),
    });
    this.upstreams.healthCheckFrequencyMs = 2;
    this.#service = backgroundService("health check", this.upstreams);
    this.#context = {
      logger: silentLogger,
      metrics: new MetricsRegistry(),
      configuration: createConfiguration(),
      thread: singleThread(),
      shutdown: this.#shutdown.signal,
    };
  }

  /** The next change of health. */
  nextChange(): Promise<readonly [string, boolean]> {
    this.#change = Promise.withResolvers();
    return this.#change.promise;
  }

  /** How many of so many choices fall to each backend. */
  shares(choices: number): number[] {
    const chosen = Array.from({ length: choices }, () => this.upstreams.select()?.address);
    return this.backends.map(({ address }) => chosen.filter((each) => each === address).length);
  }

  /** Stops the service only. */
  async stop(): Promise<void> {
    this.#shutdown.abort();
    await this.#service.stop(new AbortController().signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    for (const backend of this.backends) await backend.stop();
  }
}
