import { request } from "undici";
import { describe, expect, it } from "vitest";
import { GatewayProcess } from "./gateway/gateway-process.ts";
import { LongRuns } from "./gateway/long-runs.ts";
import { Origin } from "./gateway/origin.ts";
import { SlowNetwork } from "./gateway/slow-network.ts";
import { Traffic } from "./gateway/traffic.ts";

const times = 5;

describe.each([1, 2])("A gateway with %i thread(s)", { timeout: 120_000 }, (threads) => {
  it(`loses nothing in ${times} upgrades and ${times} reloads (P6)`, async () => {
    await using origin = await Origin.start();
    await using gateway = await GatewayProcess.start({ threads, origins: [origin.address], mark: "0" });
    await using traffic = new Traffic(gateway.address);
    await traffic.more(20);
    for (let time = 1; time <= times; time++) {
      const acrossUpgrade = await LongRuns.start(gateway.address);
      const { oldProcessEnded } = await gateway.upgrade();
      await traffic.more(20);
      await acrossUpgrade.finish(origin);
      await oldProcessEnded();
      expect(await processesThatServe(gateway)).toEqual([String(gateway.pid)]);

      const acrossReload = await LongRuns.start(gateway.address);
      await gateway.configure({ mark: `${time}` });
      await gateway.reload();
      expect(await marks(gateway)).toEqual([`${time}`]);
      await traffic.more(20);
      await acrossReload.finish(origin);
    }
    await traffic.stop();
    expect(failures(traffic)).toEqual({});
  });

  it("loses nothing when the new configuration is wrong, and says what is wrong with it", async () => {
    await using origin = await Origin.start();
    await using gateway = await GatewayProcess.start({ threads, origins: [origin.address], mark: "good" });
    await using traffic = new Traffic(gateway.address);
    const across = await LongRuns.start(gateway.address);
    const { pid } = gateway;
    const wrongs = [
      { text: "threads: none\n", reason: /:1:10: threads: expected a whole number/ },
      { text: `threads: ${threads}\norigins: nowhere\n`, reason: /origins: expected a list of addresses/ },
    ];
    for (const { text, reason } of wrongs) {
      await gateway.configure(text);
      await gateway.fails("SIGHUP", /^the configuration was not reloaded, and nothing has changed: /, reason);
      await traffic.more(20);
      await gateway.fails("SIGUSR2", /^the upgrade failed, and this process goes on: /, /exited with code 1/);
      await traffic.more(20);
    }
    expect(await marks(gateway)).toEqual(["good"]);
    expect(await processesThatServe(gateway)).toEqual([String(pid)]);
    await across.finish(origin);
    await traffic.stop();
    expect(failures(traffic)).toEqual({});

    await gateway.configure({ mark: "good again" });
    await gateway.upgrade();
    expect(gateway.pid).not.toBe(pid);
  });
});

it("A gateway loses nothing in upgrades when its clients are far away", { timeout: 60_000 }, async () => {
  await using origin = await Origin.start();
  await using gateway = await GatewayProcess.start({ threads: 1, origins: [origin.address], mark: "" });
  // When the old process stops, a request is on its way on most of these connections.
  await using network = await SlowNetwork.to(gateway.address, 75);
  const traffics = Array.from({ length: 6 }, () => new Traffic(network.address));
  const more = (): Promise<unknown> => Promise.all(traffics.map((traffic) => traffic.more(2)));
  await more();
  for (let time = 0; time < 2; time++) {
    const { oldProcessEnded } = await gateway.upgrade();
    await oldProcessEnded();
    await more();
  }
  await Promise.all(traffics.map((traffic) => traffic.stop()));
  for (const traffic of traffics) expect(failures(traffic)).toEqual({});
});

/** By client, what failed, and what was not answered. */
function failures({ tallies }: Traffic): Record<string, unknown> {
  return Object.fromEntries(
    tallies
      .filter(({ failed, unanswered }) => failed.length + unanswered.length > 0)
      .map(({ client, failed, unanswered }) => [client, { failed, unanswered }]),
  );
}

function marks(gateway: GatewayProcess): Promise<readonly string[]> {
  return fields(gateway, ({ mark }) => String(mark));
}

async function processesThatServe(gateway: GatewayProcess): Promise<readonly string[]> {
  return fields(gateway, (headers) => String(headers["served-by"]).split("/", 1)[0] ?? "");
}

/** What connections, enough to reach every thread, tell; each different value once. */
async function fields(
  { address }: GatewayProcess,
  read: (headers: Awaited<ReturnType<typeof request>>["headers"]) => string,
): Promise<readonly string[]> {
  const values = new Set<string>();
  for (let i = 0; i < 20; i++) {
    const { body, headers } = await request(`http://${address}/`, { reset: true });
    await body.dump();
    values.add(read(headers));
  }
  return [...values];
}
