import { readdir, readFile, readlink } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { GatewayProcess } from "./gateway/gateway-process.ts";
import { Origin } from "./gateway/origin.ts";

// The system tells this in /proc, which only Linux has.
describe.runIf(process.platform === "linux")("The process of a gateway", { timeout: 60_000 }, () => {
  it("leaves its sockets to no program that it starts, also when it has inherited them (V9-21)", async () => {
    await using origin = await Origin.start();
    await using gateway = await GatewayProcess.start({ threads: 2, origins: [origin.address], mark: "" });
    await expectPrivateSockets(gateway.pid);
    const { oldProcessEnded } = await gateway.upgrade();
    await oldProcessEnded();
    await expectPrivateSockets(gateway.pid);
  });
});

/** The sockets of a process, standard descriptors left out: a program that it starts now would inherit none. */
async function expectPrivateSockets(pid: number): Promise<void> {
  const inheritable = new Map<string, boolean>();
  for (const descriptor of await readdir(`/proc/${pid}/fd`)) {
    // Some are closed meanwhile.
    const target = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => "");
    const info = await readFile(`/proc/${pid}/fdinfo/${descriptor}`, "utf8").catch(() => "");
    const flags = /^flags:\s+([0-7]+)$/m.exec(info)?.[1];
    if (!target.startsWith("socket:") || Number(descriptor) <= 2 || flags === undefined) continue;
    inheritable.set(descriptor, (Number.parseInt(flags, 8) & closeOnExec) === 0);
  }
  // Two for the proxy, one for the metrics.
  expect(inheritable.size).toBeGreaterThanOrEqual(3);
  expect([...inheritable].filter(([, is]) => is)).toEqual([]);
}

/** `O_CLOEXEC`, see proc_pid_fdinfo(5). */
const closeOnExec = 0o2000000;
