import { expect, it, vi } from "vitest";
import { GatewayProcess } from "./gateway/gateway-process.ts";
import { Origin } from "./gateway/origin.ts";
import { ThreadClient } from "./gateway/thread-client.ts";

it("what the health check of the main thread finds holds in all data threads", { timeout: 60_000 }, async () => {
  await using living = await Origin.start();
  const dying = await Origin.start();
  const { address, port } = dying;
  await using gateway = await GatewayProcess.start({ threads: 2, origins: [living.address, address], mark: "" });
  const clients = (await ThreadClient.ofBoth(gateway.address, 1)).flat();
  await using _disposable = disposing(clients);
  for (const client of clients) expect(await originsOf(client)).toEqual([living.address, address].sort());

  const before = gateway.log.length;
  await dying[Symbol.asyncDispose]();
  await gateway.log.next(before, ({ msg, backend }) => msg === "backend is not healthy" && backend === address);
  // The threads are told at this moment; a request may be a little faster.
  for (const client of clients) await vi.waitUntil(async () => (await client.get()).headers.attempts === "1");
  for (const client of clients) {
    for (let i = 0; i < 50; i++) {
      const { status, headers } = await client.get();
      expect({ status, attempts: headers.attempts, origin: headers.origin }).toEqual({
        status: 200,
        attempts: "1",
        origin: living.address,
      });
    }
  }

  await using _revived = await Origin.start(port);
  for (const client of clients) {
    await vi.waitUntil(async () => (await client.get()).headers.origin === address, { timeout: 20_000 });
  }
});

/** The origins that answer this client, sorted. */
async function originsOf(client: ThreadClient): Promise<readonly unknown[]> {
  const origins = new Set<unknown>();
  for (let i = 0; i < 10; i++) origins.add((await client.get()).headers.origin);
  return [...origins].sort();
}

function disposing(clients: readonly ThreadClient[]): AsyncDisposable {
  const stack = new AsyncDisposableStack();
  for (const client of clients) stack.use(client);
  return stack;
}
