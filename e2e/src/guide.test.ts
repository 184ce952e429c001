import { request } from "undici";
import { describe, expect, it, vi } from "vitest";
import { Origin } from "./gateway/origin.ts";
import { ThreadClient } from "./gateway/thread-client.ts";
import { GuideProgram, guidePage } from "./guide-program.ts";
import { runToEnd } from "./load-balancer-program.ts";

const atOnce = { timeout: 60_000 };

describe("docs/guide/threads.md", atOnce, () => {
  it("has a program whose threads all follow what its main thread finds out", async () => {
    await using origin = await Origin.start();
    const settings = `threads: 2\norigin: ${origin.address}\n`;
    await using program = await GuideProgram.start("threads.md", settings, { "blocked.txt": "/private" });
    const address = await program.address();
    expect(program.printed).toBe("once, in the main thread\n");
    // By chance, so many connections reach both threads.
    const everywhere = async (path: string): Promise<ReadonlySet<number>> => {
      const statuses = new Set<number>();
      for (let i = 0; i < 30; i++) {
        await using client = new ThreadClient(address);
        statuses.add((await client.get(path)).status);
      }
      return statuses;
    };
    await vi.waitUntil(async () => equal(await everywhere("/private"), [403]), { timeout: 20_000 });
    expect(await everywhere("/public")).toEqual(new Set([200]));
    await program.write("blocked.txt", "/public");
    await vi.waitUntil(async () => equal(await everywhere("/public"), [403]), { timeout: 20_000 });
    expect(await everywhere("/private")).toEqual(new Set([200]));
  });
});

describe("docs/guide/signals-and-upgrade.md", atOnce, () => {
  it("has a program that reloads, refuses what is wrong, and is upgraded", async () => {
    await using first = await Origin.start();
    await using second = await Origin.start();
    await using program = await GuideProgram.start("signals-and-upgrade.md", `origin: ${first.address}\n`);
    const address = await program.address();
    const originPort = async (): Promise<string> => {
      const { body, headers } = await request(`http://${address}/`, { reset: true });
      await body.dump();
      return String(headers["x-port"]);
    };
    expect(await originPort()).toBe(`${first.port}`);

    await program.write("cirque.yaml", `origin: ${second.address}\n`);
    program.signal("SIGHUP");
    await program.log.next(0, ({ msg }) => msg === "the configuration was reloaded");
    expect(await originPort()).toBe(`${second.port}`);

    await program.write("cirque.yaml", "origin: nowhere\n");
    program.signal("SIGHUP");
    await program.log.next(0, ({ msg }) =>
      msg.startsWith("the configuration was not reloaded, and nothing has changed: "),
    );
    program.signal("SIGUSR2");
    await program.log.next(0, ({ msg }) => msg.startsWith("the upgrade failed, and this process goes on: "));
    expect(await originPort()).toBe(`${second.port}`);

    await program.write("cirque.yaml", `origin: ${first.address}\n`);
    program.signal("SIGUSR2");
    await program.ended();
    expect(await originPort()).toBe(`${first.port}`);
  });

  it("names the signals that the program itself names", async () => {
    const table = (await guidePage("signals-and-upgrade.md")).split("\n\n")[1] ?? "";
    const { stdout } = await runToEnd("--help");
    expect(signalsIn(table)).toEqual(signalsIn(stdout));
  });
});

function signalsIn(text: string): readonly string[] {
  return [...new Set(text.match(/\bSIG[A-Z0-9]+/g))].sort();
}

function equal(found: ReadonlySet<number>, expected: readonly number[]): boolean {
  return found.size === expected.length && expected.every((value) => found.has(value));
}
