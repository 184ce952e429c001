import { HttpPeer } from "@cirque/core";
import { describe, expect, test } from "vitest";
import type { HttpProxyOptions, ProxyHttp } from "../src/index.ts";
import { type OriginScript, okResponse, RawOrigin, refusingAddress } from "./harness/raw-origin.ts";
import { readResponses } from "./harness/read-responses.ts";
import { get, post, TestProxy } from "./harness/test-proxy.ts";

const RETRIES = 'cirque_upstream_retries_total{service="http"}';
const refused = await refusingAddress();

/** A proxy in front of one origin that behaves as the script says. */
async function inFrontOf(script: OriginScript, callbacks: Partial<ProxyHttp> = {}, options: HttpProxyOptions = {}) {
  const origin = await RawOrigin.start(script);
  const proxy = await TestProxy.start({ upstreamPeer: () => origin.peer(), ...callbacks }, options);
  return {
    origin,
    proxy,
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]();
      await origin[Symbol.asyncDispose]();
    },
  };
}

/** Answers the first request of the first connection, and closes it when the second comes; then answers everything. */
const dyingAtReuse: OriginScript = async (connection) => {
  const { body } = await connection.request();
  connection.send(okResponse(`${connection.index}:${body}`));
  if (connection.index === 0) {
    await connection.requestHead();
    connection.end();
    return;
  }
  for (;;) connection.send(okResponse(`${connection.index}:${(await connection.request()).body}`));
};

/** Reads each request, and closes without an answer; but answers on connection `last`. */
function answeringOnConnection(last: number): OriginScript {
  return async (connection) => {
    const { body } = await connection.request();
    if (connection.index === last) connection.send(okResponse(`${connection.index}:${body}`));
    else connection.end();
  };
}

const again: Partial<ProxyHttp> = {
  errorWhileProxy: (_peer, _session, error) => {
    error.retry = true;
    return error;
  },
};

function outcome(text: string): string {
  const [response] = readResponses(text);
  return response === undefined ? "none" : `${response.status} ${response.body}`;
}

describe("no connection (ERRP-01, ERRP-02)", () => {
  for (const [method, request, body] of [
    ["GET", get(), ""],
    ["POST", post("data"), "data"],
  ] as const) {
    test(`${method}: the next peer is asked; the log and the metric say so`, async () => {
      await using world = await inFrontOf(answeringOnConnection(0));
      const tried: string[] = [];
      await using proxy = await TestProxy.start({
        upstreamPeer: (session) => (session.attempts < 3 ? new HttpPeer(refused) : world.origin.peer()),
        failToConnect: (_session, peer, _ctx, error) => {
          tried.push(`${peer.address} ${error.code}`);
          return error;
        },
      });
      expect(outcome(await proxy.exchange(request))).toBe(`200 0:${body}`);
      expect(tried).toEqual([`${refused} ConnectRefused`, `${refused} ConnectRefused`]);
      expect(await proxy.metric(RETRIES)).toBe(2);
      const warnings = proxy.logger.records.filter(({ level }) => level === "warn");
      expect(warnings.map(({ fields }) => [fields.attempt, fields.peer])).toEqual([
        [1, refused],
        [2, refused],
      ]);
      expect(proxy.logger.messages("error")).toEqual([]);
    });
  }

  test("after the last attempt the request fails, and the log says how often it was tried", async () => {
    let asked = 0;
    const upstreamPeer = () => {
      asked++;
      return new HttpPeer(refused);
    };
    await using proxy = await TestProxy.start({ upstreamPeer }, { maxAttempts: 5 });
    expect(outcome(await proxy.exchange(get()))).toMatch(/^502 /);
    expect(asked).toBe(5);
    const failures = proxy.logger.records.filter(({ level }) => level === "error");
    expect(failures.map(({ fields }) => [fields.status, fields.attempts, fields.request])).toEqual([
      [502, 5, "GET a.example/"],
    ]);
  });

  test("`failToConnect` can forbid another attempt, or throw, or say another status", async () => {
    let asked = 0;
    await using proxy = await TestProxy.start({
      upstreamPeer: () => {
        asked++;
        return new HttpPeer(refused);
      },
      failToConnect: (session, _peer, _ctx, error) => {
        if (session.request.path === "/throw") throw new Error("a mistake");
        error.retry = false;
        return error;
      },
    });
    expect(outcome(await proxy.exchange(get()))).toMatch(/^502 /);
    expect(outcome(await proxy.exchange(get("/throw")))).toMatch(/^500 /);
    expect(asked).toBe(2);
  });
});

describe("a kept connection that the origin closes at the moment of reuse (ERRP-03)", () => {
  test("GET: it is asked again, on a fresh connection", async () => {
    const reuse: boolean[] = [];
    await using world = await inFrontOf(dyingAtReuse, {
      connectedToUpstream: (_session, reused) => void reuse.push(reused),
    });
    expect(outcome(await world.proxy.exchange(get()))).toBe("200 0:");
    expect(outcome(await world.proxy.exchange(get()))).toBe("200 1:");
    expect(reuse).toEqual([false, true, false]);
    expect(await world.proxy.metric(RETRIES)).toBe(1);
  });

  test("PUT: it is asked again, with its body", async () => {
    await using world = await inFrontOf(dyingAtReuse);
    await world.proxy.exchange(get());
    expect(outcome(await world.proxy.exchange(post("all of it").replace("POST", "PUT")))).toBe("200 1:all of it");
  });

  for (const method of ["POST", "PATCH", "M-OWN"]) {
    test(`${method}: never sent twice, whatever a callback says (promise P7)`, async () => {
      await using world = await inFrontOf(dyingAtReuse, again);
      await world.proxy.exchange(get());
      expect(outcome(await world.proxy.exchange(post("pay").replace("POST", method)))).toMatch(/^502 /);
      expect(world.origin.connections.length).toBe(1);
    });
  }

  test("GET: no other attempt once an interim response has come", async () => {
    await using world = await inFrontOf(async (connection) => {
      await connection.request();
      connection.send(okResponse("first"));
      await connection.request();
      connection.send("HTTP/1.1 103 Early Hints\r\n\r\n");
      await connection.sendNow("");
      connection.end();
    });
    await world.proxy.exchange(get());
    const text = await world.proxy.exchange(get());
    expect(readResponses(text).map(({ status }) => status)).toEqual([103, 502]);
    expect(world.origin.connections.length).toBe(1);
  });
});

describe("a new connection that fails (ERRP-03)", () => {
  test("is not tried again unless a callback wants it", async () => {
    await using world = await inFrontOf(answeringOnConnection(1));
    expect(outcome(await world.proxy.exchange(get()))).toMatch(/^502 /);
    expect(world.origin.connections.length).toBe(1);
  });

  test("is tried again when `errorWhileProxy` wants it: GET, not POST", async () => {
    const seen: [string, string, boolean][] = [];
    await using world = await inFrontOf(answeringOnConnection(2), {
      errorWhileProxy: (_peer, session, error, _ctx, reused) => {
        seen.push([session.request.method, error.code, reused]);
        error.retry = true;
        return error;
      },
    });
    expect(outcome(await world.proxy.exchange(post("pay")))).toMatch(/^502 /);
    expect(outcome(await world.proxy.exchange(get()))).toBe("200 2:");
    expect(seen).toEqual([
      ["POST", "ConnectionClosed", false],
      ["GET", "ConnectionClosed", false],
    ]);
  });

  test("a POST of which nothing was sent is tried again", async () => {
    let failed = false;
    await using world = await inFrontOf(answeringOnConnection(1), {
      ...again,
      upstreamRequestFilter: () => {
        if (failed) return;
        failed = true;
        throw new Error("not yet");
      },
    });
    expect(outcome(await world.proxy.exchange(post("data")))).toBe("200 1:data");
    expect((await world.origin.connections.at(0)).text).toBe("");
  });

  test("no other attempt once the response has begun (ERRP-06)", async () => {
    let decisions = 0;
    await using world = await inFrontOf(
      async (connection) => {
        await connection.request();
        await connection.sendNow("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
        connection.reset();
      },
      {
        errorWhileProxy: (_peer, _session, error) => {
          decisions++;
          error.retry = true;
          return error;
        },
      },
    );
    const text = await world.proxy.exchange(get());
    expect(() => readResponses(text)).toThrow();
    expect(decisions).toBe(0);
    expect(world.origin.connections.length).toBe(1);
  });
});

describe("the request body, sent again (ERRP-05)", () => {
  const put = (body: string) => post(body).replace("POST", "PUT");

  test("goes through `requestBodyFilter` again", async () => {
    let filtered = "";
    await using world = await inFrontOf(answeringOnConnection(1), {
      ...again,
      requestBodyFilter: (session, chunk) => {
        if (chunk.data === undefined) return;
        filtered += `[${session.attempts} ${chunk.data}]`;
        chunk.data = Buffer.from(chunk.data.toString().toUpperCase());
      },
    });
    expect(outcome(await world.proxy.exchange(put("text")))).toBe("200 1:TEXT");
    expect(filtered).toBe("[1 text][2 text]");
  });

  test("what a slow filter of an attempt that failed still has in hand is not sent to the next origin", async () => {
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    await using world = await inFrontOf(
      async (connection) => {
        if (connection.index === 0) {
          await connection.requestHead();
          connection.end();
          return;
        }
        await connection.requestHead();
        release();
        connection.send(okResponse((await connection.request()).body));
      },
      { ...again, requestBodyFilter: (session) => (session.attempts === 1 ? released : undefined) },
    );
    const chunked = "PUT / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n";
    const client = await world.proxy.client();
    client.send(`${chunked}4\r\nonce\r\n`);
    await (await world.origin.connections.at(1)).until("once\r\n");
    client.send("5\r\n more\r\n0\r\n\r\n");
    expect(outcome(await client.responses(1))).toBe("200 once more");
  });

  test("a body that is longer than the buffer is not sent again", async () => {
    for (const [bytes, status] of [
      [1000, /^200 1:x{1000}$/],
      [1001, /^502 /],
    ] as const) {
      await using world = await inFrontOf(answeringOnConnection(1), again, { retryBufferBytes: 1000 });
      expect(outcome(await world.proxy.exchange(put("x".repeat(bytes))))).toMatch(status);
    }
  });
});
