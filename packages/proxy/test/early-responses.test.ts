import { describe, expect, test } from "vitest";
import { okResponse, RawOrigin } from "./harness/raw-origin.ts";
import { readResponses } from "./harness/read-responses.ts";
import { get, TestProxy } from "./harness/test-proxy.ts";

const refusal = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno!";

function upload(length: number, sent: string): string {
  return `POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: ${length}\r\n\r\n${sent}`;
}

describe("an origin that answers before it has the whole request (ERRP-13)", () => {
  for (const afterwards of ["stays", "ends", "resets"] as const) {
    test(`and then ${afterwards}: the response is relayed, the rest of the body dropped, the connection kept`, async () => {
      await using origin = await RawOrigin.start(async (connection) => {
        if (connection.index > 0) {
          await connection.request();
          connection.send(okResponse("next"));
          return;
        }
        await connection.until("begin");
        await connection.sendNow(refusal);
        if (afterwards === "ends") connection.end();
        if (afterwards === "resets") connection.reset();
      });
      await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
      const client = await proxy.client();
      client.send(upload(1000, "begin"));
      await client.until("no!");
      client.send("x".repeat(995));
      client.send(get());
      const { text } = await client.whenClosed();
      expect(readResponses(text, "POST").map(({ status, body }) => `${status} ${body}`)).toEqual([
        "413 no!",
        "200 next",
      ]);
      // The connection with half a request on it is not used again, and has not got the rest.
      expect(origin.connections.length).toBe(2);
      await (await origin.connections.at(0)).whenClosed();
      expect(origin.connections.items[0]?.text).toMatch(/begin$/);
    });
  }

  test("too much is left to come: the client's connection is closed behind the response", async () => {
    await using origin = await RawOrigin.start(async (connection) => {
      await connection.until("begin");
      connection.send(refusal);
    });
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() }, { server: { drainBytes: 1000 } });
    const client = await proxy.client();
    client.send(upload(1_000_000, "begin"));
    await client.until("no!");
    client.send(Buffer.alloc(10_000));
    const { text } = await client.whenClosed();
    expect(readResponses(text, "POST").map(({ status }) => status)).toEqual([413]);
  });

  test("nothing more comes: the client's connection is closed in time", async () => {
    await using origin = await RawOrigin.start(async (connection) => {
      await connection.until("begin");
      connection.send(refusal);
    });
    await using proxy = await TestProxy.start(
      { upstreamPeer: () => origin.peer() },
      { server: { drainTimeoutMs: 20 } },
    );
    const client = await proxy.client();
    client.send(upload(1000, "begin"));
    expect(readResponses(await client.whenEnded(), "POST").map(({ status }) => status)).toEqual([413]);
  });

  test("while it takes nothing more: a large upload gets the response", async () => {
    await using origin = await RawOrigin.start(async (connection) => {
      await connection.until("begin");
      connection.socket.pause();
      await connection.sendNow(refusal);
    });
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
    const client = await proxy.client();
    client.send(upload(50_000_000, "begin"));
    for (let i = 0; i < 40; i++) client.send(Buffer.alloc(1_000_000));
    const text = await client.until("no!");
    expect(readResponses(text, "POST").map(({ status }) => status)).toEqual([413]);
  });

  test("the upload goes on while a long response does", async () => {
    await using origin = await RawOrigin.start(async (connection) => {
      await connection.until("begin");
      connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
      await connection.until("end!");
      connection.send("3\r\nbye\r\n0\r\n\r\n");
    });
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
    const client = await proxy.client();
    client.send(upload(9, "begin"));
    await client.until("hello");
    client.send("end!");
    const [response] = readResponses(await client.until("0\r\n\r\n"), "POST");
    expect(response?.body).toBe("hellobye");
  });
});
