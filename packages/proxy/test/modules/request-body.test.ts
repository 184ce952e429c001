import { describe, expect, it } from "vitest";
import type { HttpModuleFactory, ProxyHttp } from "../../src/index.ts";
import { okResponse, RawOrigin } from "../harness/raw-origin.ts";
import { settled } from "../harness/raw-peer.ts";
import { readResponses } from "../harness/read-responses.ts";
import { Recorder } from "../harness/recorder.ts";
import { TestProxy } from "../harness/test-proxy.ts";

/** A module that keeps each piece in hand until the test lets it go. */
function holding(): { readonly module: HttpModuleFactory; readonly held: Recorder<() => void> } {
  const held = new Recorder<() => void>();
  const module: HttpModuleFactory = {
    name: "holding",
    create: () => ({
      requestBodyFilter: (_session, chunk) =>
        new Promise((resolve) => {
          chunk.data = chunk.data && Buffer.from(chunk.data.toString().toUpperCase());
          held.add(resolve);
        }),
    }),
  };
  return { module, held };
}

const chunkedPut = "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
const again: Partial<ProxyHttp> = {
  errorWhileProxy: (_peer, _session, error) => Object.assign(error, { retry: true }),
};

describe("a piece of a request body that a module has in hand when an attempt fails", () => {
  for (const when of ["before", "while"] as const) {
    it(`goes to the next origin, in its place, when it is let go of ${when} that one is asked`, async () => {
      const { module, held } = holding();
      const bodies: string[] = [];
      await using origin = await RawOrigin.start(async (connection) => {
        if (connection.index === 0) return;
        bodies.push((await connection.request()).body);
        connection.send(okResponse("done"));
      });
      const peerAsked = new Recorder<PromiseWithResolvers<void>>();
      await using proxy = await TestProxy.start(
        {
          ...again,
          async upstreamPeer() {
            const asked = Promise.withResolvers<void>();
            peerAsked.add(asked);
            if (peerAsked.length > 1) await asked.promise;
            return origin.peer();
          },
        },
        { modules: [module] },
      );
      const client = await proxy.client();
      client.send(`${chunkedPut}1\r\na\r\n`);
      (await held.at(0))();
      const first = await origin.connections.at(0);
      await first.until("A");
      client.send("1\r\nb\r\n");
      await held.count(2);
      first.reset();
      const second = await peerAsked.at(1);
      if (when === "before") held.items[1]?.();
      await settled();
      second.resolve();
      if (when === "while") {
        const connection = await origin.connections.at(1);
        await connection.until("A");
        held.items[1]?.();
      }
      client.send("1\r\nc\r\n0\r\n\r\n");
      (await held.at(2))();
      (await held.at(3))();
      const [response] = readResponses((await client.whenClosed()).text, "PUT");
      expect(response).toMatchObject({ status: 200, body: "done" });
      expect(bodies).toEqual(["ABC"]);
    });
  }
});

it("the end of a request body that a module has in hand when an attempt fails ends the next attempt's", async () => {
  const { module, held } = holding();
  const bodies: string[] = [];
  await using origin = await RawOrigin.start(async (connection) => {
    if (connection.index === 0) return;
    bodies.push((await connection.request()).body);
    connection.send(okResponse("done"));
  });
  await using proxy = await TestProxy.start({ ...again, upstreamPeer: () => origin.peer() }, { modules: [module] });
  const client = await proxy.client();
  client.send(`${chunkedPut}1\r\na\r\n0\r\n\r\n`);
  (await held.at(0))();
  await held.count(2);
  const first = await origin.connections.at(0);
  await first.until("A");
  first.reset();
  await (await origin.connections.at(1)).until("A");
  held.items[1]?.();
  expect(readResponses((await client.whenClosed()).text, "PUT")).toMatchObject([{ status: 200, body: "done" }]);
  expect(bodies).toEqual(["A"]);
});

it("a module that never settles costs its own request, and not for ever", async () => {
  await using origin = await RawOrigin.start();
  const { module } = holding();
  await using proxy = await TestProxy.start(
    { upstreamPeer: () => origin.peer() },
    { modules: [module], callbackTimeoutMs: 50 },
  );
  const text = await proxy.exchange(`${chunkedPut}1\r\na\r\n0\r\n\r\n`);
  expect(readResponses(text, "PUT")).toMatchObject([{ status: 500 }]);
});

it("a module that throws on a request body fails that request, and the origin does not take it for whole", async () => {
  await using origin = await RawOrigin.start();
  const failing: HttpModuleFactory = {
    name: "failing",
    create: () => ({
      requestBodyFilter() {
        throw new Error("a mistake");
      },
    }),
  };
  await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() }, { modules: [failing] });
  const text = await proxy.exchange(`${chunkedPut}1\r\na\r\n0\r\n\r\n`);
  expect(readResponses(text, "PUT")).toMatchObject([{ status: 500 }]);
  for (const connection of origin.connections.items) {
    await connection.when(() => connection.ended || connection.closed, "the end");
    expect(connection.text).not.toContain("\r\n0\r\n\r\n");
  }
});
