import { describe, expect, it, vi } from "vitest";
import { closed, echo, Program } from "../../test/server/program.ts";

// Each test starts processes, which takes its time on a busy machine.
vi.setConfig({ testTimeout: 30_000 });

describe("a server's process", () => {
  it("leaves at once on SIGTERM when nothing is in flight", async () => {
    await using program = await Program.running();
    program.process.kill("SIGTERM");
    expect(await program.exited()).toMatchObject({ code: 0, signal: null });
  });

  it("finishes on SIGTERM what is in flight, accepts nothing new, and leaves when it is done", async () => {
    await using program = await Program.running();
    const client = await program.connect();
    await echo(client, "before");
    program.process.kill("SIGTERM");
    await program.errorLine(/stopping when what is in flight is finished/);
    const refused = await program.connect().catch((error) => error);
    expect(refused).toMatchObject({ code: "ECONNREFUSED" });
    expect(await echo(client, "still served")).toBe("still served");
    client.end();
    expect(await program.exited()).toMatchObject({ code: 0, signal: null });
  });

  it("drops what is in flight on a second SIGTERM", async () => {
    await using program = await Program.running();
    const client = await program.connect();
    await echo(client, "before");
    program.process.kill("SIGTERM");
    await program.errorLine(/stopping when what is in flight is finished/);
    program.process.kill("SIGTERM");
    await closed(client);
    expect(await program.exited()).toMatchObject({ code: 0, signal: null });
  });

  it("drops what is in flight on SIGINT after SIGTERM", async () => {
    await using program = await Program.running();
    const client = await program.connect();
    await echo(client, "before");
    program.process.kill("SIGTERM");
    await program.errorLine(/stopping when what is in flight is finished/);
    program.process.kill("SIGINT");
    expect(await program.exited()).toMatchObject({ code: 0, signal: null });
  });

  it("drops what is in flight on SIGINT", async () => {
    await using program = await Program.running();
    const client = await program.connect();
    await echo(client, "before");
    program.process.kill("SIGINT");
    await closed(client);
    const { code, stderr } = await program.exited();
    expect(code).toBe(0);
    expect(stderr).not.toContain("in flight");
  });

  it("stops on SIGTERM while a service is not ready yet", async () => {
    await using program = new Program([], { env: { ...process.env, NEVER_READY: "1" } });
    await program.errorLine(/"listening"/);
    program.process.kill("SIGTERM");
    expect(await program.exited()).toMatchObject({ code: 0, signal: null });
  });
});
