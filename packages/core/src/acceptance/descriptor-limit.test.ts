import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { closed, echo, Program } from "../../test/server/program.ts";
import { DescriptorLimit } from "./descriptor-limit.ts";

describe("a server whose clients take all the file descriptors they may have", () => {
  it("closes those beyond at once, counts and logs them, and loses nobody else", async () => {
    await using program = await Program.running([], { shellPrefix: "ulimit -n 64" });
    const clients = await Promise.all(Array.from({ length: 100 }, () => program.connect()));
    const first = clients[0];
    if (first === undefined) throw new Error("there is no client");
    let closedCount = 0;
    for (const client of clients) void closed(client).then(() => closedCount++);
    await program.errorLine(/file descriptors in use; raise its limit/);
    // Whatever was accepted is served, and what shows the server is reached, on the descriptors that are kept back.
    expect(await echo(first, "served")).toBe("served");
    const metrics = await program.metrics();
    const refused = Number(
      /^cirque_connections_refused_total\{.*reason="file-descriptors".*\} (\d+)$/m.exec(metrics)?.[1],
    );
    const accepted = Number(/^cirque_connections_accepted_total\{.*service="echo".*\} (\d+)$/m.exec(metrics)?.[1]);
    expect(accepted).toBe(100);
    expect(refused).toBeGreaterThan(36);
    await expect.poll(() => closedCount).toBe(refused);

    for (const client of clients.slice(1)) client.destroy();
    await expect.poll(async () => answered(program)).toBe("again");
    first.destroy();
  });

  it("does not keep trying to accept: it is idle while nobody asks for anything", async () => {
    await using program = await Program.running([], { shellPrefix: "ulimit -n 64" });
    const clients = await Promise.all(Array.from({ length: 100 }, () => program.connect()));
    await program.errorLine(/file descriptors in use/);
    await echo(clients[0] as (typeof clients)[0], "settled");
    const before = processorTicks(program.process.pid);
    await delay(500);
    // A loop without pause would have used fifty.
    expect(processorTicks(program.process.pid) - before).toBeLessThan(25);
    for (const client of clients) client.destroy();
  });
});

describe("DescriptorLimit", () => {
  it.each([
    [64, 55, 56],
    [1_024, 921, 922],
    [1_048_576, 1_047_575, 1_047_576],
  ])("of %i lets descriptor %i pass, and not %i", (limit, passing, refused) => {
    const descriptors = new DescriptorLimit(limit);
    const withDescriptor = (fd: number): never => ({ _handle: { fd } }) as never;
    expect(() => descriptors.check(withDescriptor(passing))).not.toThrow();
    expect(() => descriptors.check(withDescriptor(refused))).toThrow(`${refused} file descriptors in use`);
    expect(() => descriptors.check({} as never)).not.toThrow();
  });
});

/** What a new client gets for a line, in the moment. */
async function answered(program: Program): Promise<string> {
  const client = await program.connect();
  const answer = await Promise.race([echo(client, "again").catch(() => "reset"), closed(client).then(() => "closed")]);
  client.destroy();
  return answer;
}

/** The processor time that a process has used, in hundredths of a second. */
function processorTicks(pid = 0): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "latin1")
    .replace(/^.*\) /, "")
    .split(" ");
  return Number(fields[11]) + Number(fields[12]);
}
