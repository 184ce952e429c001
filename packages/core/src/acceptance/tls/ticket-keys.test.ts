import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type TLSSocket } from "node:tls";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Program } from "../../../test/server/program.ts";
import { selfSigned } from "../../../test/wire/test-authority.ts";

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cirque-tickets-"));
});

afterEach(() => rmSync(directory, { recursive: true }));

describe("session tickets, with several threads", () => {
  it("are good in all of them", async () => {
    const conf = join(directory, "threads.yaml");
    writeFileSync(conf, "threads: 2\n");
    const env = { ...process.env, ECHO_TLS: JSON.stringify(await selfSigned({})) };
    await using program = await Program.running(["-c", conf], { env });
    const [, port] = await program.line(/^echo 127\.0\.0\.1:([0-9]+)$/m);
    const first = await secured(Number(port));
    const [session] = (await once(first, "session")) as [Buffer];
    const seen = new Set([await threadOf(first)]);
    // The system spreads connections by their ports: in so many tries each thread gets some.
    for (let tries = 0; tries < 64 && seen.size < 2; tries++) {
      const next = await secured(Number(port), session);
      expect(next.isSessionReused()).toBe(true);
      seen.add(await threadOf(next));
    }
    expect([...seen].sort()).toEqual(["1", "2"]);
  });
});

async function secured(port: number, session?: Buffer): Promise<TLSSocket> {
  const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false, ...(session && { session }) });
  await once(socket, "secureConnect");
  return socket;
}

/** Asks which thread serves the connection, and ends it. */
async function threadOf(socket: TLSSocket): Promise<string> {
  socket.write("thread\n");
  const [answer] = await once(socket, "data");
  socket.destroy();
  return String(answer).trim();
}
