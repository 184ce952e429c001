import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Child, freePort } from "./child.ts";
import { readCore, utilizationBetween } from "./core-utilization.ts";
import { loadCore, proxyCore } from "./cores.ts";
import { askFor } from "./load-program.ts";
import type { Peer } from "./peer.ts";
import { cpuMicrosBetween, readCpu, readRssBytes } from "./process-tree.ts";
import type { Sample } from "./sample.ts";
import type { Scenario } from "./scenario.ts";

/** What a scenario sees of a proxy that runs in front of an origin. */
export interface ProxyUnderTest {
  /** Port of 127.0.0.1 that the proxy listens on. */
  readonly port: number;
  /** Length of the measured window. */
  readonly seconds: number;
  /** Length of the load before it. */
  readonly warmUpSeconds: number;
  /** Whether a fixed number of requests is to be a tenth of it. */
  readonly quick: boolean;
  /** Ends whatever the scenario waits for when the benchmark is interrupted. */
  readonly signal: AbortSignal;
  /** Resident memory of the proxy, all its processes together. */
  rssBytes(): number;
  /** How many connections the origin has accepted. */
  originConnections(): Promise<number>;
  /** Opens the measured window. */
  openWindow(): Window;
}

/** A measured window that has begun. */
export interface Window {
  /** Ends the window. */
  close(): WindowFigures;
}

/** What the proxy and the machine spent in a window. */
export interface WindowFigures {
  readonly seconds: number;
  /** CPU time of the proxy. */
  readonly cpuMicros: number;
  readonly proxyUtilization: number;
  readonly loadUtilization: number;
}

/** Length of the windows, and what to do beside measuring. */
export interface MeasurementOptions {
  readonly seconds: number;
  readonly warmUpSeconds: number;
  /** Whether a fixed number of requests is to be a tenth of it. */
  readonly quick: boolean;
  /** Whether a proxy that can do so records where its CPU time goes. */
  readonly cpuProfile: boolean;
  /** Ends the run early, with all it started. */
  readonly signal: AbortSignal;
}

/**
 * One run: starts an origin and the proxy, lets the scenario measure, and ends both. Each run has fresh
 * processes, so that what a just-in-time compiler or an allocator happened to do in one does not colour all.
 */
export async function measureOnce(scenario: Scenario, peer: Peer, options: MeasurementOptions): Promise<Sample> {
  const directory = await mkdtemp(join(tmpdir(), "cirque-bench-"));
  try {
    await using origin = startOrigin(scenario.origin);
    const originPort = portOf(await origin.message());
    const port = await freePort();
    const command = await peer.command({
      listenPort: port,
      originPort,
      directory,
      mode: scenario.mode,
      profileName: options.cpuProfile ? scenario.name : undefined,
    });
    await using proxy = new Child(command, proxyCore);
    await (scenario.mode === "udp" ? proxy.receiving(port) : proxy.listening(port));
    const sample = await scenario.measure({
      port,
      seconds: options.seconds,
      warmUpSeconds: options.warmUpSeconds,
      quick: options.quick,
      signal: options.signal,
      rssBytes: () => readRssBytes(proxy.pid),
      originConnections: async () => (await askFor(origin, ["accepted"])).accepted,
      openWindow: () => openWindow(proxy.pid),
    });
    if (proxy.ended) throw new Error(`the proxy ended under the load: ${proxy.errorText}`);
    return sample;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function startOrigin(name: string): Child {
  const program = fileURLToPath(new URL(`origins/${name}.ts`, import.meta.url));
  return new Child({ program: process.execPath, arguments: [program] }, loadCore, { ipc: true });
}

/**
 * The port that an origin told.
 *
 * @throws Error when it told none
 */
export function portOf(message: unknown): number {
  const port: unknown = typeof message === "object" && message !== null ? Reflect.get(message, "port") : undefined;
  if (typeof port !== "number") throw new Error(`the origin did not tell its port but ${JSON.stringify(message)}`);
  return port;
}

function openWindow(pid: number): Window {
  const startMs = performance.now();
  const core = readCore(loadCore);
  const cpu = readCpu(pid);
  return {
    close() {
      const cpuMicros = cpuMicrosBetween(cpu, readCpu(pid));
      const elapsedMs = performance.now() - startMs;
      return {
        seconds: elapsedMs / 1_000,
        cpuMicros,
        proxyUtilization: cpuMicros / 1_000 / elapsedMs,
        loadUtilization: utilizationBetween(core, readCore(loadCore)),
      };
    },
  };
}
