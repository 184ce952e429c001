import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { closed, echo, Program } from "../../test/server/program.ts";
import { openCount } from "./open-count.ts";

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cirque-count-"));
});

afterEach(() => rmSync(directory, { recursive: true }));

describe("a limit of connections, with several threads", () => {
  it("holds for all of them together, and is free of those of a thread that died", async () => {
    const conf = join(directory, "threads.yaml");
    writeFileSync(conf, "threads: 2\n");
    await using program = await Program.running(["-c", conf], { env: { ...process.env, ECHO_MAX_CONNECTIONS: "12" } });
    const clients = await Promise.all(Array.from({ length: 12 }, () => program.connect()));
    for (const client of clients) expect(await echo(client, "served")).toBe("served");
    await closed(await program.connect());
    expect(await program.metrics()).toMatch(/^cirque_connections_refused_total\{.*reason="max-connections".*\} 1$/m);

    const [first] = clients;
    first?.write("exit\n");
    await Promise.race(clients.map((client) => closed(client)));
    await expect.poll(async () => answered(program), { timeout: 10_000 }).toBe("again");
    for (const client of clients) client.destroy();
  }, 20_000);
});

describe("openCount", () => {
  it("is of one thread where there is no other, or nothing was declared", () => {
    for (const dataThreads of [1, 4]) {
      const count = openCount("never declared", { index: 1, dataThreads });
      expect([count.add(1), count.add(1), count.total]).toEqual([true, false, 1]);
      count.remove();
      expect(count.total).toBe(0);
    }
  });
});

async function answered(program: Program): Promise<string> {
  const client = await program.connect();
  const answer = await Promise.race([echo(client, "again").catch(() => "reset"), closed(client).then(() => "closed")]);
  client.destroy();
  return answer;
}
