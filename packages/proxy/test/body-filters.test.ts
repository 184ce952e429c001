import { once } from "node:events";
import { describe, expect, test } from "vitest";
import type { BodyChunk, MaybePromise, ProxyHttp } from "../src/index.ts";
import { type OriginConnection, okResponse, RawOrigin } from "./harness/raw-origin.ts";
import { readResponses } from "./harness/read-responses.ts";
import { get, post, postChunks, TestProxy } from "./harness/test-proxy.ts";
import { TracedCallbacks } from "./harness/traced-callbacks.ts";

const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n";

/** What can be done to a piece of a body, by name. */
const changes: Record<string, { readonly change: (text: string) => string | undefined; readonly result: string }> = {
  "changes pieces": { change: (text) => text.toUpperCase(), result: "ABCDEF" },
  "drops pieces": { change: () => undefined, result: "" },
  "lets pieces grow": { change: (text) => text.replaceAll(/./g, "$&$&"), result: "aabbccddeeff" },
  "empties pieces": { change: () => "", result: "" },
};

function filterOf(change: (text: string) => string | undefined, mode: "sync" | "async") {
  const run = (chunk: BodyChunk): void => {
    if (chunk.data === undefined) return;
    const changed = change(chunk.data.toString());
    chunk.data = changed === undefined ? undefined : Buffer.from(changed);
  };
  return (chunk: BodyChunk): MaybePromise<void> => {
    if (mode === "sync") return run(chunk);
    return new Promise((resolve) => setImmediate(resolve)).then(() => run(chunk));
  };
}

for (const mode of ["sync", "async"] as const) {
  for (const [what, { change, result }] of Object.entries(changes)) {
    for (const name of ["upstreamResponseBodyFilter", "responseBodyFilter"] as const) {
      test(`\`${name}\`, ${mode}, ${what}`, async () => {
        await using origin = await RawOrigin.answering(chunked);
        const filter = filterOf(change, mode);
        await using proxy = await TestProxy.start({
          upstreamPeer: () => origin.peer(),
          [name]: (_session: unknown, chunk: BodyChunk) => filter(chunk),
        });

        const [response] = readResponses(await proxy.exchange(get()));

        expect(response?.body).toBe(result);
      });
    }

    test(`\`requestBodyFilter\`, ${mode}, ${what}; without a length, the body is sent in chunks`, async () => {
      await using origin = await RawOrigin.answering(({ head, body }) =>
        okResponse(`${head.headers.get("transfer-encoding")} ${body}`),
      );
      const filter = filterOf(change, mode);
      await using proxy = await TestProxy.start({
        upstreamPeer: () => origin.peer(),
        upstreamRequestFilter: (_session, request) => {
          request.headers.delete("content-length");
        },
        requestBodyFilter: (_session, chunk) => filter(chunk),
      });

      const [fromChunks] = readResponses(await proxy.exchange(postChunks("3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n")));
      const [fromLength] = readResponses(await proxy.exchange(post("abcdef")));

      expect(fromChunks?.body).toBe(`chunked ${result}`);
      expect(fromLength?.body).toBe(`chunked ${result}`);
    });
  }

  test(`the last call of a filter, ${mode}, may add to the body, in both directions`, async () => {
    await using origin = await RawOrigin.answering(({ body }) => `${okResponse(`<${body}>`)}`);
    const add =
      (text: string) =>
      (chunk: BodyChunk): MaybePromise<void> => {
        if (chunk.end) chunk.data = Buffer.from(text);
        return mode === "async" ? Promise.resolve() : undefined;
      };
    await using proxy = await TestProxy.start({
      upstreamPeer: () => origin.peer(),
      upstreamRequestFilter: (_session, request) => {
        request.headers.delete("content-length");
      },
      requestBodyFilter: (_session, chunk) => add(" with milk")(chunk),
      responseFilter: (_session, response) => {
        response.headers.delete("content-length");
      },
      upstreamResponseBodyFilter: (_session, chunk) => add(", first")(chunk),
      responseBodyFilter: (_session, chunk) => {
        if (chunk.end) chunk.data = Buffer.concat([chunk.data ?? Buffer.alloc(0), Buffer.from(", second")]);
      },
    });

    const [response] = readResponses(await proxy.exchange(post("tea")));

    expect(response?.body).toBe("<tea with milk>, first, second");
  });
}

describe("a filter that changes the length and leaves content-length:", () => {
  for (const name of ["upstreamResponseBodyFilter", "responseBodyFilter"] as const) {
    test(`\`${name}\` makes it shorter: the response is seen to be cut`, async () => {
      await using origin = await RawOrigin.answering(okResponse("0123456789"));
      const traced = new TracedCallbacks<unknown>({
        upstreamPeer: () => origin.peer(),
        [name]: (_session: unknown, chunk: BodyChunk) => {
          chunk.data = chunk.data?.subarray(0, 4);
        },
      });
      await using proxy = await TestProxy.start(traced.callbacks);

      const response = await proxy.exchange(get("/", ""));
      await traced.called("logging");

      expect(response).toMatch(/\r\nContent-Length: 10\r\n.*\r\n\r\n0123$/s);
      expect(await proxy.metric('cirque_requests_aborted_total{service="http"}')).toBe(1);
    });

    test(`\`${name}\` makes it longer: the surplus is not sent, and the next response is read right`, async () => {
      await using origin = await RawOrigin.answering(okResponse("0123456789"));
      await using proxy = await TestProxy.start({
        upstreamPeer: () => origin.peer(),
        [name]: (_session: unknown, chunk: BodyChunk) => {
          if (chunk.data !== undefined) chunk.data = Buffer.concat([chunk.data, Buffer.from("HTTP/1.1 200 forged")]);
        },
      });

      const responses = readResponses(await proxy.exchange(get("/1", "") + get("/2")));

      expect(responses.map((response) => response.body)).toEqual(["0123456789", "0123456789"]);
    });
  }

  test("`requestBodyFilter` makes it shorter: the origin sees a cut, and the client gets 500", async () => {
    await using origin = await RawOrigin.start();
    await using proxy = await TestProxy.start({
      upstreamPeer: () => origin.peer(),
      requestBodyFilter: (_session, chunk) => {
        chunk.data = chunk.data?.subarray(0, 1);
      },
    });

    const response = await proxy.exchange(post("tea"));

    expect(response).toMatch(/^HTTP\/1\.1 500 /);
    const { text } = await (await origin.connections.at(0)).whenClosed();
    expect(text).not.toMatch(/\r\n\r\n.{3}/s);
    expect(text === "" || text.includes("Content-Length: 3\r\n")).toBe(true);
  });

  test("`requestBodyFilter` makes it longer: the surplus never reaches the origin", async () => {
    await using origin = await RawOrigin.answering(({ body }) => okResponse(body));
    await using proxy = await TestProxy.start({
      upstreamPeer: () => origin.peer(),
      requestBodyFilter: (_session, chunk) => {
        if (chunk.data !== undefined)
          chunk.data = Buffer.concat([chunk.data, Buffer.from("GET /forged HTTP/1.1\r\n\r\n")]);
      },
    });

    const responses = readResponses(await proxy.exchange(post("tea", "") + post("cup")));

    expect(responses.map((response) => response.body)).toEqual(["tea", "cup"]);
    expect((await origin.connections.at(0)).text).not.toContain("forged");
  });
});

test("pieces keep their order though filters take their time, and one piece is in a filter at a time", async () => {
  await using origin = await RawOrigin.start(async (connection) => {
    await connection.request();
    connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (let i = 0; i < 20; i++) await connection.sendNow(`1\r\n${String.fromCharCode(97 + i)}\r\n`);
    connection.send("0\r\n\r\n");
  });
  let inside = 0;
  let most = 0;
  let calls = 0;
  await using proxy = await TestProxy.start({
    upstreamPeer: () => origin.peer(),
    responseBodyFilter: async () => {
      most = Math.max(most, ++inside);
      for (let turn = calls++ % 5; turn > 0; turn--) await new Promise((resolve) => setImmediate(resolve));
      inside--;
    },
  });

  const [response] = readResponses(await proxy.exchange(get()));

  expect(response?.body).toBe("abcdefghijklmnopqrst");
  expect(most).toBe(1);
});

test("a body that ends with the connection is whole, though its filter is slow and the origin has closed long since", async () => {
  await using origin = await RawOrigin.start(async (connection) => {
    await connection.request();
    connection.send("HTTP/1.1 200 OK\r\n\r\nabc").socket.destroySoon();
  });
  await using proxy = await TestProxy.start({
    upstreamPeer: () => origin.peer(),
    responseBodyFilter: async (_session, chunk) => {
      const [connection] = origin.connections.items;
      if (connection !== undefined && !connection.closed) await once(connection.socket, "close");
      if (chunk.data !== undefined) chunk.data = Buffer.from(chunk.data.toString().toUpperCase());
    },
  });
  const [response] = readResponses(await proxy.exchange(get()));

  expect(response?.body).toBe("ABC");
});

for (const name of ["upstreamResponseBodyFilter", "responseBodyFilter"] as const) {
  for (const mode of ["sync", "async"] as const) {
    test(`a number of \`${name}\`, ${mode}, pauses the body for so many milliseconds`, async () => {
      await using origin = await RawOrigin.answering(chunked);
      const times: number[] = [];
      await using proxy = await TestProxy.start({
        upstreamPeer: () => origin.peer(),
        [name]: (_session: unknown, chunk: BodyChunk): MaybePromise<number> => {
          times.push(performance.now());
          const pause = chunk.end ? 0 : 30;
          return mode === "sync" ? pause : Promise.resolve(pause);
        },
      });

      const [response] = readResponses(await proxy.exchange(get()));

      expect(response?.body).toBe("abcdef");
      expect(times.length).toBeGreaterThanOrEqual(2);
      // A timer may fire a millisecond early.
      expect((times.at(-1) ?? 0) - (times[0] ?? 0)).toBeGreaterThanOrEqual(28 * (times.length - 1));
    });
  }
}

test("a number that is none, or not positive, is no pause", async () => {
  for (const value of [Number.NaN, -5, 0, "7" as unknown as number]) {
    await using origin = await RawOrigin.answering(chunked);
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer(), responseBodyFilter: () => value });

    expect(readResponses(await proxy.exchange(get()))[0]?.body).toBe("abcdef");
  }
});

describe("back-pressure", () => {
  const mebibyte = "x".repeat(1024 * 1024);

  /** Sends without end; resolves when the kernel has taken nothing for a while, with what was sent. */
  async function sendUntilFull(connection: Pick<OriginConnection, "socket">): Promise<number> {
    let sent = 0;
    for (;;) {
      const taken = connection.socket.write(mebibyte);
      sent += mebibyte.length;
      if (sent > 256 * mebibyte.length) return sent;
      if (taken) continue;
      const drained = await Promise.race([
        once(connection.socket, "drain").then(() => true),
        new Promise<false>((resolve) => setTimeout(resolve, 100, false)),
      ]);
      if (!drained) return sent;
    }
  }

  test("a response is read no faster than its filter goes", async () => {
    const held = Promise.withResolvers<void>();
    await using origin = await RawOrigin.start(async (connection) => {
      await connection.request();
      connection.send(`HTTP/1.1 200 OK\r\nContent-Length: ${1024 * mebibyte.length}\r\n\r\n`);
    });
    const callbacks: ProxyHttp = { upstreamPeer: () => origin.peer(), responseBodyFilter: () => held.promise };
    await using proxy = await TestProxy.start(callbacks);
    const client = await proxy.client();

    client.send(get());
    const connection = await origin.connections.at(0);
    await connection.request();
    const sent = await sendUntilFull(connection);

    expect(sent).toBeLessThan(64 * mebibyte.length);
    held.resolve();
    await client.bytes(sent - 2 * mebibyte.length);
  });

  test("a request body is read no faster than its filter goes", async () => {
    const held = Promise.withResolvers<void>();
    await using origin = await RawOrigin.start();
    await using proxy = await TestProxy.start({
      upstreamPeer: () => origin.peer(),
      requestBodyFilter: () => held.promise,
    });
    const client = await proxy.client();

    client.send(`POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: ${1024 * mebibyte.length}\r\n\r\n`);
    const sent = await sendUntilFull(client);

    expect(sent).toBeLessThan(64 * mebibyte.length);
    held.resolve();
    await (await origin.connections.at(0)).bytes(sent - 2 * mebibyte.length);
  });
});
