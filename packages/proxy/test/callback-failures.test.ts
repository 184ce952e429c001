import { CirqueError } from "@cirque/core";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { ProxyHttp } from "../src/index.ts";
import { okResponse, RawOrigin } from "./harness/raw-origin.ts";
import { get, post, TestProxy } from "./harness/test-proxy.ts";
import { TracedCallbacks } from "./harness/traced-callbacks.ts";

const rejections: unknown[] = [];
const onRejection = (reason: unknown): void => {
  rejections.push(reason);
};
beforeEach(() => {
  rejections.length = 0;
  process.on("unhandledRejection", onRejection);
});
afterEach(() => {
  process.off("unhandledRejection", onRejection);
  expect(rejections).toEqual([]);
});

const beforeTheResponse = [
  "newCtx",
  "earlyRequestFilter",
  "requestFilter",
  "proxyUpstreamFilter",
  "upstreamPeer",
  "connectedToUpstream",
  "upstreamRequestFilter",
  "requestBodyFilter",
  "upstreamResponseFilter",
  "responseFilter",
] as const;

for (const name of beforeTheResponse) {
  for (const how of name === "newCtx" ? (["throws"] as const) : (["throws", "rejects"] as const)) {
    test(`\`${name}\` ${how}: that request gets 500, the others go on`, async () => {
      await using origin = await RawOrigin.answering(okResponse("fine"));
      let broken = false;
      const fail = (): undefined => {
        if (broken) throw new Error("secret of the callback");
      };
      const own: ProxyHttp = { upstreamPeer: () => origin.peer() };
      const callback = (own[name] as (() => never) | undefined)?.bind(own);
      const failing = how === "throws" ? () => fail() ?? callback?.() : async () => fail() ?? callback?.();
      const traced = new TracedCallbacks<unknown>({ ...own, [name]: failing });
      await using proxy = await TestProxy.start(traced.callbacks);
      const other = await proxy.client();
      await other.send(post("tea", "")).until("fine");

      broken = true;
      const response = await proxy.exchange(post("tea"));
      broken = false;
      await other.send(post("tea", "")).responses(2);

      expect(response).toMatch(/^HTTP\/1\.1 500 Internal Server Error\r\n.*\r\n\r\n500 Internal Server Error\n$/s);
      expect(response).not.toContain("secret");
      await traced.called("logging", 3);
      const failed = traced.calls.items.filter((call) => call.name === "logging")[1];
      expect(failed?.args[1]).toMatchObject({ code: "InternalError", source: "internal" });
      expect(`${failed?.args[1]}`).toContain("secret of the callback");
      expect(await proxy.metric('cirque_requests_total{service="http",status="5xx"}')).toBe(1);
    });
  }
}

test("an error that names a status is answered with it", async () => {
  await using proxy = await TestProxy.start({
    requestFilter: () => {
      throw CirqueError.httpStatus(429, "too many");
    },
    upstreamPeer: () => new Response(),
  });

  expect(await proxy.exchange(get())).toMatch(/^HTTP\/1\.1 429 Too Many Requests\r\n/);
});

test("what is thrown need not be an error", async () => {
  for (const thrown of [undefined, null, "text", 7, {}]) {
    await using proxy = await TestProxy.start({
      requestFilter: () => {
        throw thrown;
      },
      upstreamPeer: () => new Response(),
    });
    expect(await proxy.exchange(get())).toMatch(/^HTTP\/1\.1 500 /);
  }
});

for (const name of ["upstreamResponseBodyFilter", "responseBodyFilter"] as const) {
  for (const how of ["throws", "rejects"] as const) {
    test(`\`${name}\` ${how}: the response is seen to be cut, and the filter is not called again`, async () => {
      await using origin = await RawOrigin.answering(okResponse("0123456789"));
      const fail = (): never => {
        throw new Error("no");
      };
      const traced = new TracedCallbacks<unknown>({
        upstreamPeer: () => origin.peer(),
        [name]: how === "throws" ? fail : async () => fail(),
      });
      await using proxy = await TestProxy.start(traced.callbacks);

      const response = await proxy.exchange(get("/", ""));
      await traced.called("logging");

      expect(response).toMatch(/^(|HTTP\/1\.1 200 OK\r\nContent-Length: 10\r\n.*\r\n\r\n)$/s);
      expect(traced.count("logging")).toBe(1);
      expect(await proxy.metric('cirque_requests_aborted_total{service="http"}')).toBe(1);
      expect(traced.count(name)).toBe(1);
    });
  }
}

describe("callbacks at the end of a request that fail", () => {
  for (const name of ["failToProxy", "suppressErrorLog", "requestSummary"] as const) {
    test(`\`${name}\`: the client gets its 502, and the error is in the log`, async () => {
      const traced = new TracedCallbacks<unknown>({
        proxyUpstreamFilter: () => false,
        upstreamPeer: () => new Response(),
        [name]: () => {
          throw new Error("no");
        },
      });
      await using proxy = await TestProxy.start(traced.callbacks);

      expect(await proxy.exchange(get())).toMatch(/^HTTP\/1\.1 502 /);

      expect(traced.count("logging")).toBe(1);
      expect(proxy.logger.records.map((record) => `${Reflect.get(record.fields, "err")}`)).toContain("Error: no");
    });
  }

  for (const name of ["failToConnect", "errorWhileProxy"] as const) {
    test(`\`${name}\`: what it throws is the error of the request`, async () => {
      await using origin = await RawOrigin.start(async (connection) => {
        await connection.request();
        connection.reset();
      });
      const traced = new TracedCallbacks<unknown>({
        upstreamPeer: () => (name === "errorWhileProxy" ? origin.peer() : origin.peer({ localAddress: "192.0.2.1" })),
        [name]: () => {
          throw CirqueError.httpStatus(418, "mine");
        },
      });
      await using proxy = await TestProxy.start(traced.callbacks);

      expect(await proxy.exchange(get())).toMatch(/^HTTP\/1\.1 418 /);
      expect(traced.count("logging")).toBe(1);
    });
  }

  for (const how of ["throws", "rejects"] as const) {
    test(`\`logging\` ${how}: the response is whole, and the failure is in the log`, async () => {
      const fail = (): never => {
        throw new Error("no disk");
      };
      await using proxy = await TestProxy.start({
        upstreamPeer: () => new Response("fine"),
        logging: how === "throws" ? fail : async () => fail(),
      });

      expect(await proxy.exchange(get())).toMatch(/\r\n\r\nfine$/);
      expect(proxy.logger.messages("error")).toEqual(["the callback `logging` failed"]);
    });

    test(`\`persistConnectionContext\` ${how}: the next request is served without it`, async () => {
      const fail = (): never => {
        throw new Error("no");
      };
      const traced = new TracedCallbacks<unknown>({
        upstreamPeer: () => new Response("fine"),
        persistConnectionContext: how === "throws" ? fail : async () => fail(),
      });
      await using proxy = await TestProxy.start(traced.callbacks);

      await proxy.exchange(get("/", "") + get());

      expect(traced.count("logging")).toBe(2);
      expect(traced.count("onConnectionReuse")).toBe(0);
      expect(proxy.logger.messages("error")).toEqual(["the callback `persistConnectionContext` failed"]);
    });
  }
});

describe("a callback that never settles", () => {
  const names = [
    ...["earlyRequestFilter", "requestFilter", "proxyUpstreamFilter", "upstreamPeer", "connectedToUpstream"],
    ...["upstreamRequestFilter", "upstreamResponseFilter", "responseFilter"],
    ...["upstreamResponseBodyFilter", "responseBodyFilter"],
  ] as (keyof ProxyHttp<unknown>)[];
  for (const name of names) {
    test(`\`${name}\`: once the client leaves, the request is over and the process goes on`, async () => {
      await using origin = await RawOrigin.answering(okResponse("fine"));
      let stuck = true;
      const own: ProxyHttp<unknown> = { upstreamPeer: () => origin.peer() };
      const callback = (own[name] as (() => never) | undefined)?.bind(own);
      const never = (): unknown => (stuck ? new Promise(() => {}) : callback?.());
      const traced = new TracedCallbacks<unknown>({ ...own, [name]: never });
      await using proxy = await TestProxy.start(traced.callbacks);
      const client = await proxy.client();

      client.send(post("tea"));
      await traced.called(name);
      expect(await proxy.metric('cirque_requests_in_flight{service="http"}')).toBe(1);
      client.reset();
      await traced.called("logging");

      expect(traced.names.slice(traced.names.indexOf(name) + 1)).toEqual(
        expect.arrayContaining(["failToProxy", "logging"]),
      );
      expect(traced.calls.items.at(-1)?.args[1]).toMatchObject({ code: "ConnectionClosed", source: "downstream" });
      expect(await proxy.metric('cirque_requests_in_flight{service="http"}')).toBe(0);
      stuck = false;
      expect(await proxy.exchange(get())).toMatch(/\r\n\r\nfine$/);
    });
  }

  for (const name of names) {
    test(`\`${name}\`: when its time is up, that request alone fails`, async () => {
      await using origin = await RawOrigin.answering(okResponse("fine"));
      let stuck = true;
      const own: ProxyHttp<unknown> = { upstreamPeer: () => origin.peer() };
      const callback = (own[name] as (() => never) | undefined)?.bind(own);
      const never = (): unknown => (stuck ? new Promise(() => {}) : callback?.());
      const traced = new TracedCallbacks<unknown>({ ...own, [name]: never });
      await using proxy = await TestProxy.start(traced.callbacks, { callbackTimeoutMs: 20 });
      const other = await proxy.client();

      const response = await proxy.exchange(post("tea"));
      await traced.called("logging");
      stuck = false;
      await other.send(post("tea", "")).until("fine");

      // A body filter is asked when the head has been sent: what the client gets is seen to be cut.
      if (name.endsWith("BodyFilter")) expect(response).not.toMatch(/fine$/);
      else expect(response).toMatch(/^HTTP\/1\.1 500 /);
      const failed = traced.calls.items.find((call) => call.name === "logging");
      expect(failed?.args[1]).toMatchObject({ code: "CallbackTimedout", source: "internal" });
      expect(await proxy.metric('cirque_requests_in_flight{service="http"}')).toBe(0);
    });
  }

  test("`requestBodyFilter`, which the client's body waits for: the origin's time is up", async () => {
    await using origin = await RawOrigin.start();
    const traced = new TracedCallbacks<unknown>({
      upstreamPeer: () => origin.peer({ readTimeoutMs: 50 }),
      requestBodyFilter: () => new Promise(() => {}),
    });
    await using proxy = await TestProxy.start(traced.callbacks);
    const client = await proxy.client();

    client.send(post("tea"));
    await traced.called("requestBodyFilter");
    client.reset();
    await traced.called("logging");

    expect(traced.calls.items.at(-1)?.args[1]).toMatchObject({ code: "ReadTimedout", source: "upstream" });
    expect(await proxy.metric('cirque_requests_in_flight{service="http"}')).toBe(0);
  });

  test("`logging`: the client has its response, and the server still stops", async () => {
    await using proxy = await TestProxy.start({
      upstreamPeer: () => new Response("fine"),
      logging: () => new Promise(() => {}),
    });

    expect(await proxy.exchange(get())).toMatch(/\r\n\r\nfine$/);
    await proxy.proxy.drain(new AbortController().signal);
  });
});

test("what a request leaves waits for a slow `logging`, and so does the next request, even one that is pipelined", async () => {
  const logged = Promise.withResolvers<void>();
  const previous: unknown[] = [];
  let requests = 0;
  await using proxy = await TestProxy.start<number>({
    newCtx: () => ++requests,
    onConnectionReuse: (_session, _ctx, left) => {
      previous.push(left);
    },
    upstreamPeer: (_session, ctx) => new Response(`answer ${ctx}`),
    logging: async () => {
      await logged.promise;
    },
    persistConnectionContext: (_session, ctx) => `left by ${ctx}`,
  });
  const client = await proxy.client();

  client.send(get("/", "") + get("/", "") + get());
  await client.until("answer 1");
  expect(requests).toBe(1);
  logged.resolve();

  expect((await client.whenClosed()).text).toContain("answer 3");
  expect(previous).toEqual(["left by 1", "left by 2"]);
});

test("an error of `upstreamPeer` that may be retried asks it again, as long as attempts are left", async () => {
  let asked = 0;
  const traced = new TracedCallbacks<unknown>({
    upstreamPeer: () => {
      asked++;
      if (asked < 3) throw CirqueError.upstream("ConnectProxyFailure", "no backend yet", { retry: true });
      return new Response("found");
    },
  });
  await using patient = await TestProxy.start(traced.callbacks, { maxAttempts: 3 });
  expect(await patient.exchange(get())).toMatch(/\r\n\r\nfound$/);
  expect(await patient.metric('cirque_upstream_retries_total{service="http"}')).toBe(2);

  asked = 0;
  await using strict = await TestProxy.start(traced.callbacks, { maxAttempts: 2 });
  expect(await strict.exchange(get())).toMatch(/^HTTP\/1\.1 502 /);
  expect(asked).toBe(2);
  expect(traced.count("failToConnect")).toBe(0);
});
