import { once } from "node:events";
import { describe, expect, it, vi } from "vitest";
import { closed, echo, Program } from "../../test/server/program.ts";

// Each test starts processes, which takes its time on a busy machine.
vi.setConfig({ testTimeout: 30_000 });

describe("a server's process", () => {
  it("lives on when user code throws or leaves a rejection alone, logs and counts it", async () => {
    await using program = await Program.running();
    const client = await program.connect();
    client.write("throw\n");
    await program.errorLine(/"thrown by the handler".*"an exception was not caught"/);
    expect(await echo(client, "reject")).toBe("reject");
    await program.errorLine(/"rejected by the handler".*"a rejection was not handled"/);
    expect(await echo(client, "alive")).toBe("alive");
    const metrics = await program.metrics();
    expect(metrics).toContain('cirque_uncaught_errors_total{kind="exception"} 1\n');
    expect(metrics).toContain('cirque_uncaught_errors_total{kind="rejection"} 1\n');
  });

  it("serves again after it ran out of file descriptors", async () => {
    await using program = await Program.running([], { shellPrefix: "ulimit -n 48" });
    const clients = await Promise.all(Array.from({ length: 64 }, () => program.connect()));
    // Those beyond the limit are closed by the server, since it cannot accept them.
    await Promise.race(clients.map((client) => closed(client)));
    for (const client of clients) client.destroy();
    let answer = "";
    while (answer !== "served") {
      const client = await program.connect();
      answer = await Promise.race([echo(client, "served").catch(() => "reset"), closed(client).then(() => "closed")]);
      client.destroy();
    }
    expect(program.process.exitCode).toBeNull();
    expect(await program.metrics()).toMatch(/cirque_connections_accepted_total\{service="echo".*\} \d+/);
  });

  it("lives on when its log cannot be written", async () => {
    await using program = await Program.running([], { shellPrefix: "exec 2>/dev/full" });
    await throwOnce(program);
    const client = await program.connect();
    expect(await echo(client, "alive")).toBe("alive");
    client.destroy();
    program.process.kill("SIGTERM");
    expect(await program.exited()).toMatchObject({ code: 0, signal: null });
  });

  it("serves, and leaves, while whoever reads its log is stuck", async () => {
    await using program = await Program.running();
    program.process.stderr?.pause();
    const client = await program.connect();
    // Each leaves a record with a stack: more than the pipe has room for.
    for (let count = 0; count < 1_000; count++) expect(await echo(client, "reject")).toBe("reject");
    client.destroy();
    program.process.kill("SIGTERM");
    await once(program.process, "exit");
    expect(program.process.exitCode).toBe(0);
    program.process.stderr?.resume();
  });

  it("lives on when nobody reads its log any more", async () => {
    await using program = await Program.running();
    program.process.stderr?.destroy();
    await throwOnce(program);
    const client = await program.connect();
    expect(await echo(client, "alive")).toBe("alive");
    client.destroy();
    program.process.kill("SIGTERM");
    expect(await program.exited()).toMatchObject({ code: 0, signal: null });
  });
});

/** Makes user code throw, and returns when the server has counted it. */
async function throwOnce(program: Program): Promise<void> {
  const client = await program.connect();
  client.write("throw\n");
  while (!(await program.metrics()).includes('cirque_uncaught_errors_total{kind="exception"} 1\n'));
  client.destroy();
}
