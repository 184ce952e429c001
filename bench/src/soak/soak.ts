import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Child, freePort } from "../child.ts";
import { LoadProgram } from "../load-program.ts";
import { probe } from "../probe.ts";
import { readOwnRssBytes } from "../process-tree.ts";
import { portOf } from "../proxy-under-test.ts";
import { DelayHistogram } from "./delay-histogram.ts";
import { readDescriptors } from "./descriptors.ts";
import { planRound, type Round } from "./round.ts";
import { ServerUnderSoak } from "./server-under-soak.ts";

/** How long and with what the soak runs. */
export interface SoakOptions {
  readonly rounds: number;
  readonly threads: number;
  /** Ends it early, with all it started. */
  readonly signal: AbortSignal;
  /** Takes each round as it ends. */
  readonly onRound: (round: Round) => void;
}

/** All that the soak showed. */
export interface SoakOutcome {
  readonly rounds: readonly Round[];
  /** Descriptors before there was any load. */
  readonly descriptorsAtRest: number;
  readonly delayP50Ms: number;
  readonly delayP99Ms: number;
  readonly delayMaxMs: number;
}

/** About how long a round takes. */
export const roundSeconds = 10;

const loadBeforeMs = 4_000;
const loadBetweenMs = 1_000;
/** A client that reads slowly sees late that its server has gone: it first reads what was sent. */
const loadAfterKillMs = 4_000;
const restMs = 1_000;
/** For a wrong file to be read and refused: there is no event to wait for. */
const refusalMs = 500;
const pauseWithinMs = 30_000;

/**
 * Runs Cirque under a steady load through reloads, upgrades and the death of threads, and looks at what it leaves behind.
 *
 * @throws Error when something that has to happen does not, such as a reload or an upgrade
 */
export async function runSoak(options: SoakOptions): Promise<SoakOutcome> {
  const directory = await mkdtemp(join(tmpdir(), "cirque-soak-"));
  try {
    const program = fileURLToPath(new URL("../origins/http1.ts", import.meta.url));
    await using origin = new Child({ program: process.execPath, arguments: [program] }, undefined, { ipc: true });
    const originPort = portOf(await origin.message());
    const configurationFile = join(directory, "cirque.yaml");
    await writeConfiguration(configurationFile, options.threads, 0);
    const listenPort = await freePort();
    await using server = await ServerUnderSoak.start({ configurationFile, listenPort, originPort });
    await using load = await LoadProgram.start("soak", listenPort);
    const soak = new Soak(options, server, load, { configurationFile, listenPort, originPort });
    return await soak.run();
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

interface Places {
  readonly configurationFile: string;
  readonly listenPort: number;
  readonly originPort: number;
}

interface Counts {
  readonly requests: number;
  readonly failed: number;
  readonly resent: number;
  /** Connections at the end. */
  readonly open: number;
}

class Soak {
  readonly #options: SoakOptions;
  readonly #server: ServerUnderSoak;
  readonly #load: LoadProgram;
  readonly #places: Places;
  readonly #delays = new DelayHistogram();

  constructor(options: SoakOptions, server: ServerUnderSoak, load: LoadProgram, places: Places) {
    this.#options = options;
    this.#server = server;
    this.#load = load;
    this.#places = places;
    server.onEvent(({ delaysMs }) => this.#delays.add(delaysMs ?? []));
  }

  async run(): Promise<SoakOutcome> {
    await this.#wait(restMs);
    const descriptorsAtRest = readDescriptors(this.#server.pid, this.#places.originPort).all;
    const rounds: Round[] = [];
    for (let number = 1; number <= this.#options.rounds; number++) {
      const round = await this.#round(number);
      rounds.push(round);
      this.#options.onRound(round);
    }
    return {
      rounds,
      descriptorsAtRest,
      delayP50Ms: this.#delays.quantile(0.5),
      delayP99Ms: this.#delays.quantile(0.99),
      delayMaxMs: this.#delays.quantile(1),
    };
  }

  async #round(number: number): Promise<Round> {
    const { rounds, threads } = this.#options;
    const plan = planRound(number, rounds, threads);
    this.#load.tell({ pause: false });
    await this.#wait(loadBeforeMs);
    await this.#reload(number, plan.wrongFile);
    await this.#wait(loadBetweenMs);
    const former = plan.upgrade ? await this.#server.upgrade() : undefined;
    await this.#wait(loadBetweenMs);
    let counts = await this.#counts();
    let failedByKill = 0;
    if (plan.kill !== undefined) {
      await this.#kill(plan.kill);
      await this.#wait(loadAfterKillMs);
      const afterKill = await this.#counts();
      failedByKill = afterKill.failed;
      counts = sum(counts, { ...afterKill, failed: 0 });
    }
    await this.#wait(loadBetweenMs);
    counts = sum(counts, await this.#pause());
    if (former !== undefined) await this.#server.ended(former);
    await this.#wait(restMs);
    const { all, toPort } = readDescriptors(this.#server.pid, this.#places.originPort);
    return {
      number,
      pid: this.#server.pid,
      requests: counts.requests,
      failed: counts.failed,
      resent: counts.resent,
      failedByKill,
      failures: this.#load.takeErrorText(),
      killed: plan.kill !== undefined,
      upgraded: plan.upgrade,
      rssBytes: readOwnRssBytes(this.#server.pid),
      descriptors: all - toPort,
      pooled: toPort,
    };
  }

  /** Reloads, and waits until each thread has the new settings. */
  async #reload(number: number, wrongFile: boolean): Promise<void> {
    const { threads } = this.#options;
    const { configurationFile } = this.#places;
    if (wrongFile) {
      await writeFile(configurationFile, "threads: [\n");
      this.#server.signal("SIGHUP");
      await this.#wait(refusalMs);
    }
    await writeConfiguration(configurationFile, threads, number);
    const { pid } = this.#server;
    const isReloaded = (event: { readonly event: string; readonly pid: number }): boolean =>
      event.event === "reloaded" && event.pid === pid;
    const places = threads === 1 ? 1 : threads + 1;
    await this.#server.events(isReloaded, places, "reload", () => this.#server.signal("SIGHUP"));
  }

  /** Ends a data thread, and waits until its successor serves. */
  async #kill(thread: number): Promise<void> {
    const { pid } = this.#server;
    const { listenPort } = this.#places;
    await this.#server.events(
      (event) => event.event === "serving" && event.pid === pid && event.thread === thread,
      1,
      `replacing thread ${thread}`,
      async () => {
        const request = `GET /soak/end-thread/${thread} HTTP/1.1\r\nHost: soak\r\nConnection: close\r\n\r\n`;
        for (;;) {
          this.#options.signal.throwIfAborted();
          // Each connection goes to a thread that the system chooses. The one that ends does not answer.
          try {
            await probe(listenPort, request);
          } catch {
            return;
          }
        }
      },
    );
  }

  /** Lets the load end what it does, and waits until it has no connection. @returns what it has counted until then. */
  async #pause(): Promise<Counts> {
    this.#load.tell({ pause: true });
    const deadline = performance.now() + pauseWithinMs;
    let counts = await this.#counts();
    while (counts.open > 0) {
      if (performance.now() > deadline) throw new Error(`the load still has ${counts.open} connections after a pause`);
      await this.#wait(50);
      counts = sum(counts, await this.#counts());
    }
    return counts;
  }

  /** What the load has counted since the last time. */
  #counts(): Promise<Counts> {
    return this.#load.figures("requests", "failed", "resent", "open");
  }

  async #wait(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.#options.signal });
  }
}

/** Each time another file: a grace period that does not matter tells them apart. */
async function writeConfiguration(file: string, threads: number, number: number): Promise<void> {
  await writeFile(file, `threads: ${threads}\ngracePeriodMs: ${30_000 + number}\n`);
}

function sum(left: Counts, right: Counts): Counts {
  return {
    requests: left.requests + right.requests,
    failed: left.failed + right.failed,
    resent: left.resent + right.resent,
    open: right.open,
  };
}
